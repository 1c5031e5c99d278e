"""A pointer of Git LFS in the place of a file: what `git clone` leaves where nobody fetched the large files."""

from __future__ import annotations

from pathlib import Path

from hearth.errors import ModelFileInvalid
from hearth.i18n import tr

_BEGINNING = b"version https://git-lfs.github.com/spec/"


def check_no_pointer(path: Path, beginning: bytes) -> None:
    """Raises ModelFileInvalid where the file `path`, which is not what it should be, begins as a pointer does."""
    if beginning.startswith(_BEGINNING):
        reason = tr("Git LFS has not fetched it; “git lfs pull” in its folder does")
        raise ModelFileInvalid(file=str(path), reason=reason)
