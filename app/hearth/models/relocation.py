"""Moving models from one folder to another; wherever it stops, each model is whole in one of the two.

On the same disk a model is moved by one rename. To another disk it is first copied to `.moving` in the target, which
nobody lists; a move that was killed finds its copies there. The old models go last.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from hearth.errors import (
    DiskFull,
    ModelFileInvalid,
    ModelInUse,
    ModelsFolderTaken,
    ModelsFolderUnusable,
    OldModelsStay,
    because,
    writing_failed,
)
from hearth.i18n import tr
from hearth.models.copying import SPARE_BYTES, CancelledCallback, ProgressCallback, Transfer
from hearth.models.workspace import CHANGING

log = logging.getLogger(__name__)


class Relocation:
    """A move of the models `names` from the folder `source` to the folder `target`: check, copy, place, remove_old.

    A name may also be that of a folder beside the models and one in it, such as `.downloads/x`.
    """

    def __init__(self, source: Path, target: Path, names: Sequence[str]) -> None:
        self.source = source
        self.target = target
        self.names = tuple(names)
        self._stage = target / ".moving"
        self._placed: list[str] = []

    def check(self) -> None:
        """Make the target and see whether the models can go there.

        Raises:
            ModelsFolderUnusable: it cannot be made or written to, or lies in the source.
            ModelsFolderTaken: it has something else of a model's name.
            DiskFull: there is too little space.
            ModelFileInvalid: a model cannot be read.
        """
        try:
            if self.target.exists() and not self.target.is_dir():
                raise ModelsFolderUnusable(path=str(self.target), reason=tr("it is a file"))
            if self.target.resolve().is_relative_to(self.source.resolve()):
                reason = tr("it lies in the folder that the models are in now")
                raise ModelsFolderUnusable(path=str(self.target), reason=reason)
            self.target.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.target):
                pass
        except OSError as error:
            full = writing_failed(self.target, error)
            if isinstance(full, DiskFull):
                raise full from error
            reason = because(error)
            raise ModelsFolderUnusable(path=str(self.target), reason=reason) from error
        for name in self.names:
            if os.path.lexists(self.target / name):
                raise ModelsFolderTaken(path=str(self.target / name))
        if not self._by_rename:
            self._check_space()

    def copy(self, progress: ProgressCallback | None, cancelled: CancelledCallback | None) -> None:
        """Copy what cannot be renamed, and compare it with the source.

        Raises:
            ImportCancelled: `cancelled` said so.
            ModelFileInvalid: the source cannot be read.
            DiskFull, HomeUnwritable, ModelsFolderUnusable: the target cannot be written, or does not keep it.
        """
        total = 0 if self._by_rename else sum(_size(folder) for folder in self._folders())
        transfer = Transfer(total * 2, _halved(progress, total), cancelled)  # once to write, once to compare
        transfer.check()
        if self._by_rename:
            return
        try:
            for folder in self._folders():
                self._copy_model(folder, self._stage / folder.relative_to(self.source), transfer)
        except OSError as error:
            raise writing_failed(self.target, error) from error

    def place(self) -> None:
        """Give every model its place in the target. `undo` takes that back.

        Raises:
            ModelInUse: its files are held open (on Windows).
            DiskFull, HomeUnwritable: it cannot be moved.
        """
        for name in self.names:
            old = self.source / name
            try:
                (self.target / name).parent.mkdir(exist_ok=True)
                if old.is_symlink():
                    (self.target / name).symlink_to(old.resolve(), target_is_directory=True)
                else:
                    (old if self._by_rename else self._stage / name).rename(self.target / name)
            except PermissionError as error:
                if sys.platform == "win32":
                    raise ModelInUse(name=name) from error
                raise writing_failed(self.target, error) from error
            except OSError as error:
                raise writing_failed(self.target, error) from error
            self._placed.append(name)

    def undo(self) -> bool:
        """Take back what `place` did; the copies lie in the stage again. Whether all of it could be taken back."""
        left = []
        for name in self._placed:
            old, new = self.source / name, self.target / name
            try:
                if not os.path.lexists(new):
                    continue
                if not os.path.lexists(old):
                    old.parent.mkdir(exist_ok=True)
                    new.rename(old)
                elif new.is_symlink():
                    new.unlink()
                elif self._by_rename:  # somebody has made another one meanwhile: neither may be lost
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(old))
                else:
                    (self._stage / name).parent.mkdir(parents=True, exist_ok=True)
                    new.rename(self._stage / name)
            except OSError as error:
                log.error("%s could not be moved back: %s", new, error)
                left.append(name)
        self._placed = left
        self._tidy(self.target)
        return not left

    def undo_killed(self) -> bool:
        """Take back what another process placed before it was killed. Whether all of it could be taken back."""
        self._placed = list(self.names)
        return self.undo()

    def discard(self) -> None:
        """Delete the copies in the stage."""
        shutil.rmtree(self._stage, ignore_errors=True)

    def remove_old(self) -> None:
        """Delete the old models, each only if the new one is in its place.

        Raises:
            OldModelsStay: one could not be deleted; the others are.
        """
        self.discard()
        stays: OldModelsStay | None = None
        for name in self.names:
            old, new = self.source / name, self.target / name
            if not os.path.lexists(old) or not new.exists():
                continue
            if self._by_rename and not old.is_symlink():  # it has been made since: the old one was renamed
                continue
            try:
                _delete(old)
            except OSError as error:
                log.warning("%s could not be deleted: %s", old, error)
                stays = OldModelsStay(path=str(old), reason=because(error))
        shutil.rmtree(self.source / CHANGING, ignore_errors=True)  # nobody would look for it there any more
        self._tidy(self.source)
        if stays is not None:
            raise stays

    def _tidy(self, root: Path) -> None:
        """Delete the empty folders beside the models."""
        for folder in {
            ".incoming",
            ".trash",
            *(name.partition("/")[0] for name in self.names if "/" in name),
        }:
            with suppress(OSError):  # not there, or another process works in it
                (root / folder).rmdir()

    @cached_property
    def _by_rename(self) -> bool:
        """The target is to be there by now."""
        return self._is_one_disk()

    def _is_one_disk(self) -> bool:
        """Whether files of the source can be renamed into the target: proved with an empty folder."""
        try:
            with (
                tempfile.TemporaryDirectory(dir=self.source) as here,
                tempfile.TemporaryDirectory(dir=self.target) as there,
            ):
                (Path(here) / "probe").mkdir()
                (Path(here) / "probe").rename(Path(there) / "probe")
        except OSError:  # another disk, or a source that only can be read: then copying says what is wrong
            return False
        return True

    def _check_space(self) -> None:
        staged = sum(
            file.stat().st_size
            for folder in self._folders()
            for file in _files(folder)
            if _is_copy(file, self._stage / file.relative_to(self.source))
        )
        needed = sum(_size(folder) for folder in self._folders()) - staged
        if needed and shutil.disk_usage(self.target).free < needed + SPARE_BYTES:
            raise DiskFull(path=str(self.target))

    def _folders(self) -> list[Path]:
        """The old models whose files have to come along; of a link to a folder elsewhere, only the link moves."""
        return [self.source / name for name in self.names if not (self.source / name).is_symlink()]

    def _copy_model(self, folder: Path, staged: Path, transfer: Transfer) -> None:
        _prune(folder, staged)
        staged.mkdir(parents=True, exist_ok=True)
        for path in _walk(folder):
            copy = staged / path.relative_to(folder)
            if path.is_symlink():
                copy.symlink_to(path.readlink(), target_is_directory=path.is_dir())
            elif path.is_dir():
                copy.mkdir(exist_ok=True)
            elif path.is_file():
                self._copy_file(path, copy, transfer)

    def _copy_file(self, file: Path, copy: Path, transfer: Transfer) -> None:
        if not copy.exists() or transfer.hash(file) != transfer.hash(
            copy
        ):  # else a move that was killed copied it
            copy.unlink(missing_ok=True)
            if transfer.copy(file, copy) != transfer.hash(copy):
                reason = tr("what is written there does not read back the same")
                raise ModelsFolderUnusable(path=str(self.target), reason=reason)
        # Half a quantized model, and what was packed for this machine, know their source by its time too.
        times = file.stat()
        os.utime(copy, ns=(times.st_atime_ns, times.st_mtime_ns))


def _walk(folder: Path) -> Iterator[Path]:
    """Everything in a folder, from the outside in; links are not followed.

    Raises:
        ModelFileInvalid: a folder cannot be read: what is in it must not be left out, for the old model goes.
    """
    for root, folders, files in os.walk(folder, onerror=_unreadable):
        for name in sorted([*folders, *files]):
            yield Path(root, name)


def _unreadable(error: OSError) -> NoReturn:
    raise ModelFileInvalid(file=str(error.filename), reason=because(error)) from error


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in _walk(folder) if path.is_file() and not path.is_symlink())


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in _files(folder))


def _is_copy(file: Path, copy: Path) -> bool:
    """Whether `copy` may be one, by its size."""
    return copy.is_file() and not copy.is_symlink() and copy.stat().st_size == file.stat().st_size


def _prune(folder: Path, staged: Path) -> None:
    """Leave in a half-made copy only what may be whole files of the model."""
    if not os.path.lexists(staged):
        return
    for path in [staged, *_walk(staged)]:
        original = folder / path.relative_to(staged)
        if not os.path.lexists(path):
            continue
        both_folders = all(place.is_dir() and not place.is_symlink() for place in (path, original))
        if not both_folders and (
            original.is_symlink() or not original.is_file() or not _is_copy(original, path)
        ):
            _delete(path)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _halved(progress: ProgressCallback | None, total: int) -> ProgressCallback | None:
    """`progress` in bytes of the models, each of which is read twice, or three times where a copy was there."""
    if progress is None:
        return None
    return lambda done, _total: progress(min(done // 2, total), total)
