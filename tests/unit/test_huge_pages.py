"""Weights in huge pages: the same bytes at the same addresses, and no file behind them any more."""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from hearth.engine.huge_pages import HUGE_BYTES, move_to_huge_pages

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux maps files in small pages")

SIZE = 3 * HUGE_BYTES + 12 * mmap.PAGESIZE


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / os.fsdecode(b"a name with spaces that is no text: \xff")
    path.write_bytes(np.random.default_rng(7).bytes(SIZE))
    return path


def mapped(file: Path, size: int = SIZE) -> mmap.mmap:
    with file.open("rb") as stream:
        return mmap.mmap(stream.fileno(), size, mmap.MAP_PRIVATE)


def mapped_bytes(file: Path) -> int:
    """How much of the file this process has mapped."""
    total = 0
    for line in Path("/proc/self/maps").read_text("utf-8", "surrogateescape").splitlines():
        if line.endswith(os.path.realpath(file)):
            start, end = line.split()[0].split("-")
            total += int(end, 16) - int(start, 16)
    return total


def test_what_was_mapped_reads_the_same_and_lies_in_memory(file: Path) -> None:
    content = file.read_bytes()
    with mapped(file) as weights:
        seen = np.frombuffer(weights, np.uint8)
        assert mapped_bytes(file) == SIZE
        assert move_to_huge_pages(file) == SIZE
        assert mapped_bytes(file) == 0
        assert seen.tobytes() == content
        # What becomes of the file changes nothing any more, and the other way round.
        file.write_bytes(b"other")
        assert seen.tobytes() == content
        del seen


def test_only_that_file_and_only_large_parts_of_it_are_moved(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(file.read_bytes())
    with mapped(other) as apart, mapped(file, HUGE_BYTES - mmap.PAGESIZE) as small:
        assert move_to_huge_pages(file) == 0
        assert mapped_bytes(file) == len(small)
        assert mapped_bytes(other) == len(apart)
