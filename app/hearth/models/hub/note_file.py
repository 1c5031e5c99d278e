"""A note of what is on its way, and its copy: room for the next note on a full disk, and what a damaged one is restored from."""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path

import msgspec

from hearth.model_folder.json_file import write_json

_FULL = (errno.ENOSPC, errno.EDQUOT)


def write_note(path: Path, value: msgspec.Struct) -> None:
    """Write the note whole or not at all; a full disk takes it in place of the copy.

    Raises:
        OSError: it cannot be written; an older note is then untouched.
    """
    copy = copy_of(path)
    try:
        write_json(path, value)
    except OSError as error:
        if error.errno not in _FULL or not copy.exists():
            raise
        copy.unlink()
        write_json(path, value)
    with suppress(OSError):
        write_json(copy, value)


def restore_note(path: Path) -> None:
    """Put the copy, if there is one, in the place of a damaged note.

    Raises:
        OSError: it cannot be moved.
    """
    with suppress(FileNotFoundError):
        copy_of(path).replace(path)


def copy_of(path: Path) -> Path:
    """Where the copy of the note lies; it need not be there."""
    return path.with_name(f"{path.stem}.copy{path.suffix}")
