"""Weights that are mapped from a file, moved to memory with huge pages.

Every step reads all weights. With pages of 2 MB in place of 4 kB the processor finds them sooner, but what is mapped
from a file has small ones. A copy of each part is made in memory that asks for huge pages, and then takes the part's
place in one call of the system's, so whoever reads it meanwhile reads the same bytes. Only Linux needs this.
"""

from __future__ import annotations

import ctypes
import logging
import mmap
import os
import sys
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

HUGE_BYTES = 2 << 20
_MREMAP_MAYMOVE, _MREMAP_FIXED = 1, 2
_MADV_HUGEPAGE = 14
_FAILED = ctypes.c_void_p(-1).value


def move_to_huge_pages(file: Path) -> int:
    """Move what this process has mapped from the file, where it is large enough; how many bytes were moved.

    The file's own content is not touched, and no pointer changes. 0 where the system has no such pages.
    """
    if sys.platform != "linux":
        return 0
    system = _system()
    return sum(size for start, size in _mapped(file) if size >= HUGE_BYTES and _move(system, start, size))


def _mapped(file: Path) -> Iterator[tuple[int, int]]:
    """Where the file is mapped to be read: addresses and sizes, in bytes."""
    wanted = os.path.realpath(file)
    # As `realpath` has them, paths may be no text.
    for line in Path("/proc/self/maps").read_text("utf-8", "surrogateescape").splitlines():
        place, mode, *_, path = line.split(maxsplit=5)
        if path == wanted and mode.startswith("r"):
            start, end = (int(text, 16) for text in place.split("-"))
            yield start, end - start


def _move(system: ctypes.CDLL, start: int, size: int) -> bool:
    # A copy whose addresses lie in huge pages as those of the original do: moving it then keeps them whole.
    room = size + HUGE_BYTES
    base = system.mmap(
        None, room, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0
    )
    if base == _FAILED:
        return False
    copy = base + (start - base) % HUGE_BYTES
    system.madvise(copy, size, _MADV_HUGEPAGE)
    ctypes.memmove(copy, start, size)
    flags = _MREMAP_MAYMOVE | _MREMAP_FIXED
    moved: bool = system.mremap(copy, size, size, flags, start) == start
    # What the copy has left around itself, and all of it where it could not be moved.
    for rest, length in ((base, copy - base), (copy + size, base + room - copy - size)):
        if length:
            system.munmap(rest, length)
    if not moved:
        system.munmap(copy, size)
    return moved


def _system() -> ctypes.CDLL:
    system = ctypes.CDLL(None, use_errno=True)
    system.mmap.restype = system.mremap.restype = ctypes.c_void_p
    system.mmap.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    ]
    system.mremap.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_void_p,
    ]
    system.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    system.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return system
