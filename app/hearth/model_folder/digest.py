"""Which model this is, told in a moment."""

from __future__ import annotations

import hashlib

from hearth.model_folder.folder import ModelFolder

_SAMPLES = 16
_SAMPLE_BYTES = 64 << 10


def model_digest(folder: ModelFolder) -> str:
    """A digest of samples of the graph and the weights, 32 hex digits; a graph without weights is read nearly whole.

    Not of every byte: this is asked for at each load, and tells models apart that are alike, not forged ones.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for file in (folder.graph_file, *folder.data_files):
        size = file.stat().st_size
        digest.update(f"{file.name} {size}".encode())
        with file.open("rb") as stream:
            for sample in range(_SAMPLES):
                stream.seek(max(0, size - _SAMPLE_BYTES) * sample // (_SAMPLES - 1))
                digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:32]
