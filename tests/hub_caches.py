"""Puts a folder into a cache like that of Hugging Face's tools: every file a link to one among the blobs."""

from __future__ import annotations

import hashlib
from pathlib import Path

REVISION = "0123456789abcdef0123456789abcdef01234567"


def write_hub_cache(source: Path, cache: Path, revision: str = REVISION) -> Path:
    """The repository's folder `models--ORG--NAME`, with the files of `source` as its main revision."""
    repository = cache / "models--org--name"
    snapshot, blobs = repository / "snapshots" / revision, repository / "blobs"
    for folder in (snapshot, blobs, repository / "refs"):
        folder.mkdir(parents=True, exist_ok=True)
    (repository / "refs" / "main").write_text(revision)
    for file in sorted(source.iterdir()):
        content = file.read_bytes()
        blob = blobs / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / file.name).symlink_to(Path("..", "..", "blobs", blob.name))
    return repository
