"""A folder of something that is on its way: a note of what it is, and a lock. It outlives its process."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from hearth.errors import HearthError, writing_failed
from hearth.model_folder.held_folder import FolderHeld, held_folder, is_held, remove_left_lock
from hearth.models.hub.note_file import restore_note, write_note

# A process that was killed is gone a moment later.
_PATIENCE_SECONDS = 2.0
# Whoever only looks whether a folder is held has it for a moment.
_LOOK_SECONDS = 0.3
_Note = TypeVar("_Note", bound=msgspec.Struct)


class NoteFolder(ABC, Generic[_Note]):
    """One of them.

    Attributes:
        note_name: of the note's file.
    """

    note_name: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def note_file(self) -> Path:
        return self.path / self.note_name

    @property
    def has_note(self) -> bool:
        """Whether something is on its way here."""
        return self.note_file.exists()

    @abstractmethod
    def read(self) -> _Note:
        """Raises ModelFileInvalid where there is no note, or one that Hearth has not written: it may be anybody's."""

    @abstractmethod
    def busy(self) -> HearthError:
        """What is told where somebody else holds it."""

    def write(self, note: _Note) -> None:
        """Note it, whole or not at all.

        Raises:
            DiskFull, HomeUnwritable: it cannot be written.
        """
        try:
            write_note(self.note_file, note)
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
            restore_note(self.note_file)
        except OSError as error:
            raise writing_failed(self.path, error) from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else works on it or deletes it meanwhile.

        Raises:
            DownloadBusy, InstallBusy: somebody does; see `busy`.
            DiskFull, HomeUnwritable: the folder cannot be made.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(held_folder(self.path, _PATIENCE_SECONDS))
            except FolderHeld:
                raise self.busy() from None
            except OSError as error:
                raise writing_failed(self.path, error) from error
            yield

    def is_held(self) -> bool:
        """Whether somebody works on it at this moment."""
        return is_held(self.path)


class NoteFolders:
    """All of one kind in one models folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def paths(self) -> list[Path]:
        """The folders that there are, whoever made them, by name."""
        try:
            return sorted(path for path in self.root.iterdir() if path.is_dir())
        except OSError:  # there is none yet
            return []

    @contextmanager
    def held(self, folder: NoteFolder[Any]) -> Iterator[None]:
        """As `folder.held()`. Where there is no note in the end, nothing of the folder stays.

        So it is when it was deleted meanwhile, or before: by whoever held it first, and then being held made it anew.
        """
        try:
            with folder.held():
                yield
        finally:
            if not folder.has_note:
                self._tidy(folder)

    def _tidy(self, folder: NoteFolder[Any]) -> None:
        """Remove what is left of a folder that was deleted, and this one where there are no others.

        One that somebody holds by now stays: a note may be about to be written into it.
        """
        if folder.path.exists():
            with suppress(FolderHeld, OSError), held_folder(folder.path, _LOOK_SECONDS):
                if not folder.has_note:
                    shutil.rmtree(folder.path, ignore_errors=True)
            remove_left_lock(folder.path)
        with suppress(OSError):  # there are others
            self.root.rmdir()
