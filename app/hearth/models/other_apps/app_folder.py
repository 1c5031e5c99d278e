"""A folder of another app, read with distrust: links lead nowhere else, sizes are capped, what is odd is left out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TypeVar

from hearth.errors import HearthError
from hearth.model_folder.confinement import Confinement
from hearth.model_folder.json_file import read_capped, read_json

log = logging.getLogger(__name__)

# More than any app keeps in one folder; a folder with more is not searched to its end.
MOST_ENTRIES = 10_000
JSON_MAX_BYTES = 16 << 20

T = TypeVar("T")


class AppFolder:
    """What lies in the folder `path` of another app.

    All methods take paths that begin with `path`, and none raises: what cannot be used is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._confinement = Confinement(path)

    def folders(self, folder: Path | None = None) -> list[Path]:
        """The folders in a folder, by name; not those that are links."""
        return [child for child in self._children(folder) if child.is_dir() and not child.is_symlink()]

    def files(self, folder: Path | None = None, suffix: str = "") -> list[Path]:
        """The regular files in a folder, by name; a link counts where it leads to one in this app's folder."""
        found = (child for child in self._children(folder) if child.name.lower().endswith(suffix))
        return [child for child in found if self.has(child)]

    def has(self, file: Path) -> bool:
        """Whether that is a regular file in this folder, links resolved, with a name that can be shown."""
        try:
            self._confinement.file(str(file.relative_to(self.path)))
        except (HearthError, ValueError) as error:
            log.debug("%r is left out: %s", str(file), error)
            return False
        # Neither a terminal nor JSON takes every name that a file may have.
        return str(file).isprintable()

    def size(self, file: Path) -> int:
        try:
            return file.stat().st_size
        except OSError:
            return 0

    def text(self, file: Path, max_bytes: int) -> str:
        """The file as text; empty where it is not there, too large or not UTF-8."""
        if not self.has(file):
            return ""
        try:
            return read_capped(file, max_bytes).decode()
        except (HearthError, UnicodeDecodeError) as error:
            log.info("%s is left out: %s", file, error)
            return ""

    def json(self, file: Path, kind: type[T]) -> T | None:
        """The file as `kind`; None where it is not there, or something else."""
        if not self.has(file):
            return None
        try:
            return read_json(file, kind, JSON_MAX_BYTES)
        except HearthError as error:
            log.info("%s is left out: %s", file, error)
            return None

    def begins_with(self, file: Path, magic: bytes) -> bool:
        try:
            with file.open("rb") as stream:
                return stream.read(len(magic)) == magic
        except OSError:
            return False

    def _children(self, folder: Path | None) -> list[Path]:
        found: list[Path] = []
        try:
            for child in (folder or self.path).iterdir():
                found.append(child)
                if len(found) == MOST_ENTRIES:
                    break
        except OSError:  # not there, or not ours to read
            return []
        return sorted(found)


def printable(text: str, most: int = 200) -> str:
    """The text without what a terminal would obey, and not longer than `most` characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:most])
