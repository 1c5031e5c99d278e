"""Files put out of the system's file cache, so that the next reader waits for the disk."""

from __future__ import annotations

import errno
import mmap
import os
import sys
from collections.abc import Sequence
from pathlib import Path

_PROBES = 64


def evict(files: Sequence[Path]) -> bool:
    """Drop these files from the cache; whether the system did."""
    if sys.platform != "linux":
        return False
    try:
        for file in files:
            _drop(file)
        gone = not any(_is_cached(file) for file in files)
        for file in files:
            _drop(file)  # asking may have brought a little of it back
    except OSError:
        return False
    return gone


def _drop(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # what was not written yet stays
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _is_cached(file: Path) -> bool:
    """Whether any of some places in it can be read without the disk; said where that cannot be asked, too."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.posix_fadvise(
            descriptor, 0, 0, os.POSIX_FADV_RANDOM
        )  # one probe must not bring in the next one's page
        size = os.fstat(descriptor).st_size
        for place in range(0, size, max(size // _PROBES, mmap.PAGESIZE)):
            try:
                os.preadv(descriptor, [bytearray(1)], place, os.RWF_NOWAIT)
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    return True
            else:
                return True
        return False
    finally:
        os.close(descriptor)
