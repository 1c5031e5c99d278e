"""Which model this is, told in a moment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from hearth.model_folder.folder import ModelFolder

_SAMPLES = 16
_SAMPLE_BYTES = 64 << 10


def model_digest(folder: ModelFolder) -> str:
    """A digest of samples of the graph and the weights, 32 hex digits; a graph without weights is read nearly whole.

    Not of every byte, since this is asked for at each load: when each file was written counts as well, so that one that
    is changed between the samples is another model.

    Raises:
        OSError: a file cannot be read.
    """
    return files_digest((folder.graph_file, *folder.data_files))


def files_digest(files: Iterable[Path]) -> str:
    """A digest of samples of these files, with their names and times, 32 hex digits.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for file in files:
        state = file.stat()
        size = state.st_size
        digest.update(f"{file.name} {size} {state.st_mtime_ns}".encode())
        with file.open("rb") as stream:
            for sample in range(_SAMPLES):
                stream.seek(max(0, size - _SAMPLE_BYTES) * sample // (_SAMPLES - 1))
                digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:32]
