"""A folder that one process works in at a time, however that process ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_LOCK = "lock"


class FolderHeld(Exception):
    """Another process, or another part of this one, works in the folder."""


@contextmanager
def held_folder(folder: Path, patience_seconds: float = 0.0) -> Iterator[None]:
    """Nobody else holds the folder meanwhile; it is made where it is missing.

    Args:
        patience_seconds: how long to wait for whoever holds it.

    Raises:
        FolderHeld: somebody else does.
        OSError: it cannot be made.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        stream = _open(folder, deadline)
        with stream:
            if _lock(stream) and _is_current(stream, folder):
                yield
                return
        if time.monotonic() > deadline:
            raise FolderHeld
        time.sleep(0.1)


def remove_left_lock(folder: Path) -> None:
    """Remove a folder that its last holder has emptied, on Windows, where nobody deletes a lock while it is held.

    A lock that somebody holds by now stays, and so does a folder with anything else in it.
    """
    if sys.platform == "win32":
        with suppress(OSError):
            (folder / _LOCK).unlink()
            folder.rmdir()


def is_held(folder: Path) -> bool:
    """Whether somebody holds the folder at this moment. Makes nothing."""
    try:
        with (folder / _LOCK).open("r+b") as stream:
            return not _lock(stream, only_looks=True)
    except OSError:  # nobody ever did, or it cannot be told
        return False


def _open(folder: Path, deadline: float) -> IO[bytes]:
    """The lock, made where it is missing; whoever removes an empty folder may just have been faster."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return (folder / _LOCK).open("ab")
        except FileNotFoundError:
            if time.monotonic() > deadline:
                raise


def _is_current(stream: IO[bytes], folder: Path) -> bool:
    """Whether the file is still the one in the folder: its last holder may have deleted it."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), (folder / _LOCK).stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(stream: IO[bytes], *, only_looks: bool = False) -> bool:  # noqa: ARG001 (all locks are alike here)
        """Lock the file until it is closed, however its process ends; whether nobody else has."""
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _lock(stream: IO[bytes], *, only_looks: bool = False) -> bool:
        """Lock the file until it is closed, however its process ends; whether nobody else has.

        `only_looks`: two who look at the same moment do not take each other for its holder.
        """
        try:
            fcntl.flock(stream.fileno(), (fcntl.LOCK_SH if only_looks else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
