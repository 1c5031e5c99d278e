"""The folder of one install: which model shall be made of which checkpoint, and a lock. It outlives its process.

`.installs/<name>/install.json`, after the model's name. What is only fetched, and not quantized, needs none: it is a
download and no more.
"""

from __future__ import annotations

import builtins
import logging
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from hearth.errors import HearthError, InstallBusy, ModelFileInvalid, writing_failed
from hearth.i18n import tr
from hearth.model_folder.held_folder import FolderHeld, held_folder, is_held, remove_left_lock
from hearth.model_folder.json_file import read_json
from hearth.model_folder.model_settings import ModelSettings
from hearth.models.hub.choices import Format
from hearth.models.hub.download_job import DownloadJob, Failure
from hearth.models.hub.note_file import restore_note, write_note
from hearth.models.hub.repository import is_repository_name
from hearth.models.names import is_name

log = logging.getLogger(__name__)

_NOTE, _MAX_BYTES = "install.json", 16 << 20
# A process that was killed is gone a moment later.
_PATIENCE_SECONDS = 2.0
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
    settings: ModelSettings = ModelSettings()
    added_at: datetime
    wanted: Wanted = Wanted.MADE
    failure: Failure | None = None
    done: int = 0
    total: int = 0


class InstallFolder:
    """Of one model that shall be."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> str:
        return f"{_ID}{self.path.name}"

    @property
    def has_note(self) -> bool:
        """Whether something is to be made."""
        return (self.path / _NOTE).exists()

    def read(self) -> InstallNote:
        """Raises ModelFileInvalid where there is no note, or one that Hearth has not written: it may be anybody's."""
        note = read_json(self.path / _NOTE, InstallNote, _MAX_BYTES)
        if note.name != self.path.name or not _is_sound(note):
            raise ModelFileInvalid(file=str(self.path / _NOTE), reason=tr("it is no install of Hearth"))
        return note

    def write(self, note: InstallNote) -> None:
        """Note it, whole or not at all.

        Raises:
            DiskFull, HomeUnwritable: it cannot be written.
        """
        try:
            write_note(self.path / _NOTE, note)
        except OSError as error:
            raise writing_failed(self.path, error) from error

    @property
    def is_damaged(self) -> bool:
        """Whether there is a note that cannot be read."""
        try:
            self.read()
        except HearthError:
            return self.has_note
        return False

    def restore(self) -> None:
        """Go back to the copy of a damaged note, if there is one; the folder is to be held.

        Raises:
            HomeUnwritable: it cannot be moved.
        """
        try:
            restore_note(self.path / _NOTE)
        except OSError as error:
            raise writing_failed(self.path, error) from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else works on it or changes it meanwhile.

        Raises:
            InstallBusy: somebody does.
            DiskFull, HomeUnwritable: the folder cannot be made.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(held_folder(self.path, _PATIENCE_SECONDS))
            except FolderHeld:
                raise InstallBusy(name=self.path.name) from None
            except OSError as error:
                raise writing_failed(self.path, error) from error
            yield

    def is_held(self) -> bool:
        """Whether somebody works on it at this moment."""
        return is_held(self.path)

    def delete(self) -> None:
        """Delete it; the folder is to be held.

        Raises:
            HomeUnwritable: it cannot be deleted.
        """
        try:
            (self.path / _NOTE).unlink(missing_ok=True)
        except OSError as error:
            raise writing_failed(self.path, error) from error
        shutil.rmtree(
            self.path, ignore_errors=True
        )  # but for the lock on Windows, where it cannot be deleted yet


class InstallFolders:
    """All installs of one models folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._told = set[Path]()

    def of(self, name: str) -> InstallFolder:
        """The folder for the model of this name; it need not be there."""
        return InstallFolder(self.root / name)

    @staticmethod
    def name_of(install: str) -> str | None:
        """The name of the model that has this id; None where it is that of a download."""
        name = install.removeprefix(_ID)
        return name if install.startswith(_ID) and is_name(name) else None

    def tidy(self, folder: InstallFolder) -> None:
        """Remove what is left of a folder that was deleted, and this one where there are no others.

        One that somebody holds by now stays: a note may be about to be written into it.
        """
        if folder.path.exists():
            with suppress(FolderHeld, OSError), held_folder(folder.path):
                if not folder.has_note:
                    shutil.rmtree(folder.path, ignore_errors=True)
            remove_left_lock(folder.path)
        with suppress(OSError):
            self.root.rmdir()

    def damaged(self) -> builtins.list[InstallFolder]:
        """The installs whose note cannot be read."""
        return [
            folder
            for path in _folders(self.root)
            if is_name(path.name) and not path.is_symlink() and (folder := InstallFolder(path)).is_damaged
        ]

    def list(self) -> list[tuple[InstallFolder, InstallNote]]:
        """Every install, the oldest first; what is none is left out."""
        found = []
        for path in _folders(self.root):
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


def _folders(root: Path) -> list[Path]:
    try:
        return [path for path in root.iterdir() if path.is_dir()]
    except OSError:  # there is none yet
        return []
