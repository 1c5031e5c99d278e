"""The folder in which one model is built: held by one process at a time, and found again by the next one."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hearth.errors import QuantizeBusy
from hearth.quantize.journal import Journal

# A process that was killed is gone a moment later, and so is one whose caller was.
_PATIENCE_SECONDS = 5.0
_LOCK, _JOURNAL, _MODEL = "lock", "journal.json", "model"


class WorkFolder:
    """`model/` with what is done, `journal.json` that says how much that is, and a lock.

    Attributes:
        path: the folder.
        model: what becomes the model.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model = path / _MODEL

    @property
    def has_work(self) -> bool:
        """Whether something is done that a later process can go on from."""
        return (self.path / _JOURNAL).exists()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else works in the folder meanwhile; it is made where it is missing.

        Raises:
            QuantizeBusy: another process works in it.
            OSError: it cannot be made.
        """
        with _locked(self.path):
            yield

    def journal(self, key: str, data: Path, size: int, seconds: float) -> Journal:
        """What is done of the model with this key, whose weights are the file `data`; nothing, and no file, if it is another.

        Args:
            seconds: between two notes; 0 is as usual.

        Raises:
            OSError: the folder cannot be written.
        """
        file = self.path / _JOURNAL
        journal = Journal(file, key, seconds) if seconds else Journal(file, key)
        if journal.pieces and data.exists() and data.stat().st_size == size:
            return journal
        self.clear()
        self.model.mkdir()
        return Journal(file, key, seconds) if seconds else Journal(file, key)

    def clear(self) -> None:
        """Delete what is done; the folder is to be held."""
        (self.path / _JOURNAL).unlink(missing_ok=True)
        if self.model.exists():
            shutil.rmtree(self.model)

    def remove(self) -> None:
        """Delete the folder with all that is in it; it need not be there.

        Raises:
            QuantizeBusy: another process works in it.
            OSError: it cannot be deleted.
        """
        if not self.path.exists():
            return
        with self.held():
            self.clear()
            shutil.rmtree(self.path, ignore_errors=True)
        if sys.platform == "win32":  # where nobody deletes a lock while it is held
            shutil.rmtree(self.path, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _LOCK).open("ab") as stream:
            if _lock(stream) and _is_current(stream, folder):
                yield
                return
        if time.monotonic() > deadline:
            raise QuantizeBusy(name=folder.name)
        time.sleep(0.1)


def _is_current(stream: IO[bytes], folder: Path) -> bool:
    """Whether the file is still the one in the folder: its last holder may have deleted it."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), (folder / _LOCK).stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(stream: IO[bytes]) -> bool:
        """Lock the file until it is closed, however its process ends; whether nobody else has."""
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _lock(stream: IO[bytes]) -> bool:
        """Lock the file until it is closed, however its process ends; whether nobody else has."""
        try:
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
