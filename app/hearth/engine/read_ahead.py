"""Weight files read into the system's cache by several threads, while onnxruntime goes through them in order.

A page that is mapped is read when it is touched, and so one after the other; a disk gives more to several readers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from threading import Event, Thread

import psutil

_READERS = 4
_PIECE_BYTES = 4 << 20
# Fewer are there before the readers are.
_LEAST_BYTES = 64 << 20
# Where so many times the files do not fit, what is read ahead would push out what is needed now.
_MEMORY_FACTOR = 2


def is_worth_reading_ahead(files: Sequence[Path], memory_bytes: int = 0) -> bool:
    """Whether the files are large, but small beside the memory that is free.

    Args:
        memory_bytes: of the machine, as far as this app may use it; 0 where that is not known.
    """
    total = sum(file.stat().st_size for file in files)
    left = psutil.virtual_memory().available
    if memory_bytes:
        left = min(left, memory_bytes)
    return _LEAST_BYTES <= total <= left // _MEMORY_FACTOR


@contextmanager
def read_ahead(files: Sequence[Path]) -> Iterator[None]:
    """Read the files while the block runs, each piece that is not in the cache yet; its end ends the readers."""
    done = Event()
    threads = [
        Thread(target=_read, args=(files, reader, done), name=f"read ahead {reader}", daemon=True)
        for reader in range(_READERS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _read(files: Sequence[Path], reader: int, done: Event) -> None:
    piece = bytearray(_PIECE_BYTES)
    for file in files:
        try:
            with file.open("rb", buffering=0) as stream:
                size = os.fstat(stream.fileno()).st_size
                for place in range(reader * _PIECE_BYTES, size, _READERS * _PIECE_BYTES):
                    if done.is_set():
                        return
                    if not _is_cached(stream, place):
                        stream.seek(place)
                        stream.readinto(piece)
        except OSError:
            return  # whoever needs the file says what is wrong with it


def _is_cached(stream: FileIO, place: int) -> bool:
    """Whether the first byte of a piece is in the cache; False where the system does not tell."""
    if not hasattr(os, "RWF_NOWAIT"):
        return False
    try:
        return os.preadv(stream.fileno(), [bytearray(1)], place, os.RWF_NOWAIT) == 1
    except OSError:
        return False
