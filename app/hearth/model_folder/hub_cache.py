"""The cache of Hugging Face's tools: a folder for each repository, whose snapshots are links to the files in its `blobs`.

    models--ORG--NAME/blobs/HASH
    models--ORG--NAME/refs/main                 names a revision
    models--ORG--NAME/snapshots/REVISION/FILE   is a link to ../../blobs/HASH

https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_REPOSITORY, _SNAPSHOTS, _BLOBS = "models--", "snapshots", "blobs"
_REVISION_MAX_CHARACTERS = 200


def snapshot_folder(folder: Path) -> Path:
    """The snapshot to use of a repository: that of its main revision, or the newest; any other folder as it is."""
    if not folder.name.startswith(_REPOSITORY):
        return folder
    with suppress(OSError):  # whoever opens the folder says what is wrong with it
        found = [path for path in (folder / _SNAPSHOTS).iterdir() if path.is_dir() and not path.is_symlink()]
        main = _main_revision(folder)
        chosen = [path for path in found if path.name == main] or found
        return max(chosen, key=lambda path: path.stat().st_mtime, default=folder)
    return folder


def blobs_folder(folder: Path) -> Path | None:
    """What the files of a snapshot may be links to, for the snapshot or a folder in it; None for any other folder.

    Args:
        folder: absolute, its links resolved.
    """
    repository = _repository(folder)
    return None if repository is None else repository / _BLOBS


def readable_name(folder: Path) -> str:
    """What a person calls the folder: the repository, as “ORG/NAME”, where it is in a snapshot of one; else its name."""
    repository = _repository(folder.resolve())
    if repository is None:
        return folder.name
    return repository.name.removeprefix(_REPOSITORY).replace("--", "/")


def _repository(folder: Path) -> Path | None:
    """The repository in the cache of whose snapshots the folder is one, or is in one."""
    for path in (folder, *folder.parents):
        snapshots = path.parent
        if snapshots.name == _SNAPSHOTS and snapshots.parent.name.startswith(_REPOSITORY):
            return snapshots.parent
    return None


def _main_revision(folder: Path) -> str:
    """As the repository says; empty where it does not."""
    try:
        with (folder / "refs" / "main").open(encoding="utf-8") as stream:
            return stream.read(_REVISION_MAX_CHARACTERS).strip()
    except (OSError, UnicodeDecodeError):
        return ""
