"""The home folder made ready: it exists and can be written to."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hearth.errors import HomeUnwritable, because
from hearth.paths import home


def ensure_home() -> Path:
    """The home folder, made if it is missing and proved writable.

    Raises:
        HomeUnwritable: it cannot be made or written to.
    """
    folder = home()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Root passes os.access on a read-only file system; only writing proves that writing works.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise HomeUnwritable(path=str(folder), reason=because(error)) from error
    return folder
