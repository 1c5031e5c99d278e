"""Files are read ahead into the cache where they are large and memory is not short."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from hearth.engine.read_ahead import is_worth_reading_ahead, read_ahead
from hearth.services.benchmark.file_cache import evict

SIZE = 80 << 20


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "weights"
    with file.open("wb") as stream:
        for _ in range(SIZE >> 20):
            stream.write(os.urandom(1 << 20))
    return file


def cached_places(file: Path) -> int:
    """Of 20 places in the file, how many can be read without the disk."""
    count = 0
    with file.open("rb", buffering=0) as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        for place in range(0, SIZE, SIZE // 20):
            try:
                os.preadv(stream.fileno(), [bytearray(1)], place, os.RWF_NOWAIT)
            except BlockingIOError:
                continue
            count += 1
    return count


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody tells what is cached")
def test_all_of_a_file_comes_into_the_cache(file: Path) -> None:
    if not evict([file]) or cached_places(file):
        pytest.skip("this file system keeps its files in the cache")
    with read_ahead([file]):
        while cached_places(file) < 20:
            time.sleep(0.05)


def test_a_file_that_is_gone_or_the_end_of_the_block_stops_nobody(file: Path) -> None:
    with read_ahead([file.with_name("gone"), file]):
        pass
    file.unlink()


def test_only_what_is_large_and_fits_twice_is_worth_it(file: Path) -> None:
    assert is_worth_reading_ahead([file])
    assert is_worth_reading_ahead([file], memory_bytes=2 * SIZE)
    assert not is_worth_reading_ahead([file], memory_bytes=2 * SIZE - 1)
    with file.open("rb+") as stream:
        stream.truncate(1 << 20)
    assert not is_worth_reading_ahead([file])
