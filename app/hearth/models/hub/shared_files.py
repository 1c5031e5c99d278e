"""Files that are here already, as a part of another model: linked instead of fetched once more.

A hard link: the file is on the disk once, and gone when the last model that has it is. Where a file system has no such
links, it is copied, which still spares the line.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from hearth.errors import HearthError
from hearth.model_folder.confinement import Confinement
from hearth.model_folder.manifest import read_manifest
from hearth.models.copying import Transfer
from hearth.models.hub.partial_file import digest_of
from hearth.models.hub.repository import RemoteFile

log = logging.getLogger(__name__)


def shared_files(folders: Iterable[Path]) -> dict[str, Path]:
    """The files of the models in these folders, by SHA-256. Those that lie in their owner's own folder are his."""
    found: dict[str, Path] = {}
    for folder in folders:
        try:
            manifest = read_manifest(folder)
        except HearthError:  # it has none, or a damaged one: then its files are nobody's business here
            continue
        if manifest.in_place:
            continue
        confinement = Confinement(folder)
        for name, file in manifest.files.items():
            with suppress(HearthError):  # it is gone, or leads elsewhere
                path = confinement.file(name)
                if not path.is_symlink() and path.stat().st_size == file.bytes:
                    found.setdefault(file.sha256, path)
    return found


def share(source: Path, file: RemoteFile, target: Path, check: Callable[[], None]) -> bool:
    """Make `target` the same file as `source`, if that still is the file; whether it is.

    Args:
        check: called between reads of 4 MB; may raise to stop.

    Raises:
        DiskFull, HomeUnwritable: the target cannot be written.
    """
    try:
        if digest_of(source, file, check) is None:
            log.warning("%s is not the file any more that its manifest has", source)
            return False
    except OSError as error:
        log.warning("%s cannot be read: %s", source, error)
        return False
    link_or_copy(source, target)
    return True


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target`, which must not exist, the same file as `source`, or a copy of it.

    Raises:
        DiskFull, HomeUnwritable: it cannot be written.
        ModelFileInvalid: the source cannot be read.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)
    except OSError as error:  # no links on this disk, or too many
        log.info("%s is copied, since it cannot be linked: %s", source, error)
        Transfer(source.stat().st_size).copy(source, target)
