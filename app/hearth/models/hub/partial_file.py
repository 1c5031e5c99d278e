"""A file on its way here: written in pieces by several threads, and gone on with after a kill.

`<oid>.part` is the file, with holes; `<oid>.done` says how far each piece has come, as little-endian 64-bit numbers: the
bytes of a piece, then those that are there of each. A number is written after the bytes it counts, so what a killed
process noted is there. What a power cut takes is found when the whole file is compared with its checksum.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from hearth.model_folder.manifest import ManifestFile
from hearth.models.hub.repository import RemoteFile

_READ_BYTES = 4 << 20
_NUMBER = struct.Struct("<Q")


class PartialFile:
    """One file. Each piece is written by one thread at a time; all else may be called by any.

    Attributes:
        done: the bytes that are there of each piece.
    """

    def __init__(self, folder: Path, file: RemoteFile, piece_bytes: int) -> None:
        """Find what is there of it in `folder`, or begin, with pieces of that size.

        Raises:
            OSError: it cannot be read or made.
        """
        self._path = folder / f"{file.oid}.part"
        self._note = folder / f"{file.oid}.done"
        self._file = file
        self._piece_bytes, self.done = self._read_note(piece_bytes)
        if self.bytes_done == 0:
            self.restart()

    @staticmethod
    def bytes_noted(folder: Path, file: RemoteFile) -> int:
        """What is there of the file, for whoever only looks on."""
        try:
            noted = (folder / f"{file.oid}.done").read_bytes()
        except OSError:
            return 0
        whole = len(noted) // _NUMBER.size * _NUMBER.size
        counts: list[int] = [number for (number,) in _NUMBER.iter_unpack(noted[_NUMBER.size : whole])]
        return min(file.bytes, sum(counts))

    @property
    def bytes_done(self) -> int:
        return sum(self.done)

    @property
    def bytes_allocated(self) -> int:
        """What it takes on the disk, as far as that can be told."""
        stat = self._path.stat()
        blocks = int(getattr(stat, "st_blocks", 0))  # not on Windows
        return blocks * 512 or min(stat.st_size, self.bytes_done)

    def piece(self, index: int) -> tuple[int, int]:
        """Where the piece starts and ends in the file."""
        start = index * self._piece_bytes
        return start, min(start + self._piece_bytes, self._file.bytes)

    def missing(self) -> list[int]:
        """The pieces that are not whole yet."""
        return [index for index, done in enumerate(self.done) if done < _length(self.piece(index))]

    def restart(self, piece_bytes: int = 0) -> None:
        """Forget what is there; no thread may write to it. Another size of pieces may be given.

        Raises:
            OSError: it cannot be written.
        """
        self._piece_bytes = piece_bytes or self._piece_bytes
        self.done = [0] * -(-self._file.bytes // self._piece_bytes)
        self._note.unlink(missing_ok=True)
        self._path.open("wb").close()
        self._note.write_bytes(_numbers(self._piece_bytes, *self.done))

    def writer(self, index: int) -> PieceWriter:
        """Writes on where the piece ends by now.

        Raises:
            OSError: it cannot be opened.
        """
        return PieceWriter(self._path, self._note, self, index)

    def finish(self, target: Path, check: Callable[[], None]) -> ManifestFile | None:
        """Compare the whole file with its checksum and give it its place; None where it is another file.

        Args:
            check: called between reads of 4 MB; may raise to stop.

        Raises:
            OSError: it cannot be read or moved.
        """
        digest = digest_of(self._path, self._file, check)
        if digest is None:
            return None
        with self._path.open("r+b") as stream:
            os.fsync(stream.fileno())  # a power cut must not leave a listed model with empty files
        check()  # that may take long: meanwhile somebody may have stopped, and even deleted, the whole
        target.parent.mkdir(parents=True, exist_ok=True)
        self._path.replace(target)
        self._note.unlink(missing_ok=True)
        return digest

    def remove(self) -> None:
        """Delete what is there.

        Raises:
            OSError: it cannot be deleted.
        """
        self._path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _read_note(self, piece_bytes: int) -> tuple[int, list[int]]:
        fresh = piece_bytes, [0] * -(-self._file.bytes // piece_bytes)
        try:
            noted, size = self._note.read_bytes(), self._path.stat().st_size
        except FileNotFoundError:
            return fresh
        if len(noted) < _NUMBER.size or len(noted) % _NUMBER.size:
            return fresh
        length, *done = (number for (number,) in _NUMBER.iter_unpack(noted))
        if not length or len(done) != -(-self._file.bytes // length):
            return fresh
        for index, count in enumerate(done):
            start = index * length
            if count > min(length, self._file.bytes - start) or (count and start + count > size):
                return fresh
        return length, done


class PieceWriter:
    """Appends to a piece. A context manager, for one thread."""

    def __init__(self, path: Path, note: Path, file: PartialFile, index: int) -> None:
        self._partial, self._index = file, index
        start, end = file.piece(index)
        self.position, self.end = start + file.done[index], end
        self._data = path.open("r+b", buffering=0)
        try:
            self._note = note.open("r+b", buffering=0)
        except BaseException:
            self._data.close()
            raise
        self._data.seek(self.position)

    def write(self, data: bytes) -> None:
        """Write what of `data` belongs to the piece, and note that it is there.

        Raises:
            OSError: it cannot be written; what was written before is noted.
        """
        left = memoryview(data)[: self.end - self.position]
        while left:
            count = self._data.write(left)
            left = left[count:]
            self.position += count
            self._partial.done[self._index] += count
            self._note.seek((self._index + 1) * _NUMBER.size)
            self._note.write(_NUMBER.pack(self._partial.done[self._index]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._data.close()
        self._note.close()


def digest_of(path: Path, file: RemoteFile, check: Callable[[], None]) -> ManifestFile | None:
    """SHA-256 and size of the file at `path`; None where its content is not that of `file`.

    Args:
        check: called between reads of 4 MB; may raise to stop.

    Raises:
        OSError: it cannot be read.
    """
    sha256 = hashlib.sha256()
    git = hashlib.sha1(b"blob %d\0" % file.bytes, usedforsecurity=False)
    size = 0
    with path.open("rb", buffering=0) as stream:
        while data := stream.read(_READ_BYTES):
            check()
            sha256.update(data)
            if not file.is_large:
                git.update(data)
            size += len(data)
    found = sha256.hexdigest() if file.is_large else git.hexdigest()
    if size != file.bytes or found != file.oid:
        return None
    return ManifestFile(sha256.hexdigest(), size)


def _length(piece: tuple[int, int]) -> int:
    return piece[1] - piece[0]


def _numbers(*values: int) -> bytes:
    return b"".join(map(_NUMBER.pack, values))
