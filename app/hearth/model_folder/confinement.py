"""Which files a model folder may read, links resolved: its own, a registered root's, its blobs in a Hugging Face cache."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from hearth.errors import ModelFileInvalid, ModelFileMissing, ModelFileOutside, because
from hearth.i18n import tr
from hearth.model_folder.hub_cache import blobs_folder


class Confinement:
    """The folder of one model and the roots that its owner registered."""

    def __init__(self, folder: Path, roots: Sequence[Path] = ()) -> None:
        self.folder = folder
        self._allowed = tuple(Path(os.path.realpath(root)) for root in (folder, *roots))
        self._blobs = blobs_folder(self._allowed[0])

    def file(self, location: str) -> Path:
        """The regular file at `location`, relative to the folder; neither opened nor followed out of the folder.

        Raises:
            ModelFileInvalid: the location is not a path, or not a regular file.
            ModelFileOutside: the location is absolute, climbs with “..”, or leads out by a link.
            ModelFileMissing: nothing is there.
        """
        if not location or "\0" in location or len(location) > 1024:
            raise ModelFileInvalid(file=str(self.folder), reason=tr("a file name in it is not a name"))
        windows = PureWindowsPath(location)
        # “..” is refused even where it comes back in: behind a link it means one place here and another in a copy.
        climbs = ".." in windows.parts
        if PurePosixPath(location).is_absolute() or windows.drive or windows.root or climbs:
            raise ModelFileOutside(file=location, target=location)
        path = self.folder / location
        resolved = Path(os.path.realpath(path))
        is_inside = any(resolved.is_relative_to(root) for root in self._allowed)
        if not is_inside and resolved.parent != self._blobs:
            raise ModelFileOutside(file=location, target=str(resolved))
        try:
            mode = resolved.stat().st_mode
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ModelFileMissing(folder=str(self.folder), file=location) from error
        except OSError as error:  # a ring of links, a name that is too long, no permission
            raise ModelFileInvalid(file=str(path), reason=because(error)) from error
        if not stat.S_ISREG(mode):  # a pipe would block whoever opens it
            raise ModelFileInvalid(file=str(path), reason=tr("it is not a regular file"))
        return path

    def optional_file(self, location: str) -> Path | None:
        """`file`, or None where there is none; a link to nowhere is an error, not an absence."""
        if not os.path.lexists(self.folder / location):
            return None
        return self.file(location)
