"""Copying and hashing the files of a model, with progress, in pieces that can be stopped between."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from hearth.errors import ImportCancelled, ModelFileInvalid, because, writing_failed
from hearth.model_folder.manifest import ManifestFile

CHUNK_BYTES = 4 << 20
# Left free beside a copy, so that the database can still be written when it is done.
SPARE_BYTES = 64 << 20

ProgressCallback = Callable[[int, int], None]
CancelledCallback = Callable[[], bool]


class Transfer:
    """One run over several files: counts bytes, reports them, and stops when it is told to."""

    def __init__(
        self, total: int, progress: ProgressCallback | None = None, cancelled: CancelledCallback | None = None
    ) -> None:
        self._done = 0
        self._total = total
        self._progress = progress
        self._cancelled = cancelled

    def hash(self, source: Path) -> ManifestFile:
        """Read `source` and give its checksum and size.

        Raises:
            ModelFileInvalid: it cannot be read.
            ImportCancelled: the caller's `cancelled` said so.
        """
        digest, size = hashlib.sha256(), 0
        for chunk in self._chunks(source):
            digest.update(chunk)
            size += len(chunk)
        return ManifestFile(digest.hexdigest(), size)

    def copy(self, source: Path, target: Path) -> ManifestFile:
        """Copy `source` to `target`, which must not exist, and give its checksum and size.

        Raises:
            ModelFileInvalid: the source cannot be read.
            DiskFull, HomeUnwritable: the target cannot be written.
            ImportCancelled: the caller's `cancelled` said so.
        """
        digest, size = hashlib.sha256(), 0
        chunks = self._chunks(source)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())  # a power cut must not leave a listed model with empty files
        except OSError as error:
            raise writing_failed(target.parent, error) from error
        return ManifestFile(digest.hexdigest(), size)

    def check(self) -> None:
        """Raise ImportCancelled where the caller's `cancelled` says so."""
        if self._cancelled is not None and self._cancelled():
            raise ImportCancelled

    def _chunks(self, source: Path) -> Iterator[bytes]:
        try:
            with source.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    self.check()
                    yield chunk
                    self._done += len(chunk)
                    if self._progress is not None:
                        self._progress(self._done, self._total)
        except OSError as error:
            raise ModelFileInvalid(file=str(source), reason=because(error)) from error
