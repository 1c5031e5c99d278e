"""How much of a model is written and on the disk for good, so that a build that was killed can go on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from hearth.errors import ModelFileInvalid
from hearth.model_folder.json_file import read_json

# Between two notes: of the time, and of the checkpoint's numbers, at most so much is done again after a kill.
_SECONDS = 10.0
_NUMBERS = 1 << 27
_MAX_BYTES = 1 << 16


class _Note(msgspec.Struct):
    key: str
    pieces: int


class Journal:
    """A file that says how many pieces, from the first on, are done.

    Attributes:
        pieces: that are done.
    """

    def __init__(self, file: Path, key: str, seconds: float = _SECONDS) -> None:
        """Read the file, if there is one.

        Args:
            key: names what is built; a note of anything else counts for nothing.
            seconds: between two notes.
        """
        self._file = file
        self._key = key
        self._seconds = seconds
        self._numbers = 0
        self._written = time.monotonic()
        self.pieces = 0
        try:
            note = read_json(file, _Note, _MAX_BYTES)
        except ModelFileInvalid:
            return
        if note.key == key:
            self.pieces = note.pieces

    def count(self, numbers: int) -> bool:
        """One more piece, of so many numbers, is done; whether that should be noted now."""
        self.pieces += 1
        self._numbers += numbers
        return self._numbers >= _NUMBERS or time.monotonic() - self._written >= self._seconds

    def write(self) -> None:
        """Note what is done; its bytes must be on the disk. Raises OSError."""
        temporary = self._file.with_suffix(".tmp")
        with temporary.open("wb") as stream:
            stream.write(msgspec.json.encode(_Note(self._key, self.pieces)))
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self._file)
        self._numbers, self._written = 0, time.monotonic()
