"""The folder of one install: which model shall be made of which checkpoint, and a lock. It outlives its process.

`.installs/<name>/install.json`, after the model's name. What is only fetched, and not quantized, needs none: it is a
download and no more.
"""

from __future__ import annotations

import builtins
import logging
import shutil
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from hearth.errors import HearthError, InstallBusy, ModelFileInvalid, writing_failed
from hearth.i18n import tr
from hearth.model_folder.json_file import read_json
from hearth.model_folder.model_settings import NO_SETTINGS, ModelSettings
from hearth.models.hub.choices import Format
from hearth.models.hub.download_job import DownloadJob, Failure
from hearth.models.hub.note_folder import NoteFolder, NoteFolders
from hearth.models.hub.repository import is_repository_name
from hearth.models.names import is_name

log = logging.getLogger(__name__)

_MAX_BYTES = 16 << 20
# No download has such an id.
_ID = "model:"


class Wanted(StrEnum):
    """What shall become of an install."""

    MADE = "made"  # now, or when its turn comes
    PAUSED = "paused"
    FAILED = "failed"  # nothing, until somebody tries again
    REMOVED = "removed"  # as soon as its download has ended


class InstallNote(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be made. Fields that a newer Hearth wrote are ignored.

    Attributes:
        name: of the model.
        recipe: the name of one that comes with Hearth.
        source: as the model's manifest will have it; the path of a checkpoint that is not from the hub.
        repository: of a checkpoint from the hub, else empty.
        fetch: the download that brings its checkpoint; None where that was here when the install was added.
        outdated: commit of the checkpoint that was here instead, and is not what is wanted; empty where none was.
        settings: of the model, from its first moment.
        added_at: its place in the queue.
        done, total: of quantizing, when it was last stopped.
    """

    name: str
    recipe: str
    source: str
    repository: str = ""
    fetch: DownloadJob | None = None
    outdated: str = ""
    settings: ModelSettings = NO_SETTINGS
    added_at: datetime
    wanted: Wanted = Wanted.MADE
    failure: Failure | None = None
    done: int = 0
    total: int = 0


class InstallFolder(NoteFolder[InstallNote]):
    """Of one model that shall be."""

    note_name = "install.json"

    @property
    def id(self) -> str:
        return f"{_ID}{self.path.name}"

    def read(self) -> InstallNote:
        note = read_json(self.note_file, InstallNote, _MAX_BYTES)
        if note.name != self.path.name or not _is_sound(note):
            raise ModelFileInvalid(file=str(self.note_file), reason=tr("it is no install of Hearth"))
        return note

    def busy(self) -> InstallBusy:
        return InstallBusy(name=self.path.name)

    def delete(self) -> None:
        """Delete it; the folder is to be held.

        Raises:
            HomeUnwritable: it cannot be deleted.
        """
        try:
            self.note_file.unlink(missing_ok=True)
        except OSError as error:
            raise writing_failed(self.path, error) from error
        # But for the lock on Windows, where it cannot be deleted yet.
        shutil.rmtree(self.path, ignore_errors=True)


class InstallFolders(NoteFolders):
    """All installs of one models folder."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._told = set[Path]()

    def of(self, name: str) -> InstallFolder:
        """The folder for the model of this name; it need not be there."""
        return InstallFolder(self.root / name)

    @staticmethod
    def name_of(install: str) -> str | None:
        """The name of the model that has this id; None where it is that of a download."""
        name = install.removeprefix(_ID)
        return name if install.startswith(_ID) and is_name(name) else None

    def damaged(self) -> builtins.list[InstallFolder]:
        """The installs whose note cannot be read."""
        return [
            folder
            for path in self.paths()
            if is_name(path.name) and not path.is_symlink() and (folder := InstallFolder(path)).is_damaged
        ]

    def list(self) -> list[tuple[InstallFolder, InstallNote]]:
        """Every install, the oldest first; what is none is left out."""
        found = []
        for path in self.paths():
            folder = InstallFolder(path)
            try:
                found.append((folder, folder.read()))
            except HearthError as error:
                if path not in self._told:
                    self._told.add(path)
                    log.warning("%s is no install: %s", path, error)
        return sorted(found, key=lambda pair: (pair[1].added_at, pair[0].id))


def _is_sound(note: InstallNote) -> bool:
    """Whether Hearth can have written it."""
    if note.fetch is not None and not (
        note.fetch.is_sound()
        and note.fetch.format is Format.CHECKPOINT
        and note.fetch.repository == note.repository
    ):
        return False
    if note.repository:
        has_source = is_repository_name(note.repository)
    else:
        has_source = Path(note.source).is_absolute()
    return (
        is_name(note.name)
        and has_source
        and note.added_at.tzinfo is not None
        and 0 <= note.done <= note.total
    )
