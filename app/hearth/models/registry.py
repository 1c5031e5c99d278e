"""The models on this machine: a folder each, with a manifest.

A copied model appears by one rename, when it is whole; until then it lies in `.incoming`. One that is quantized here
grows in `.quantizing`, where what was stopped half-way waits to be gone on with. A removed one lies in `.trash` until the program closes or uses another folder. A model that was registered in place has a folder with a
manifest only, and its own files, which belong to the owner, are never touched. Models that are part of Hearth lie
among its resources, where nothing is ever written.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock, get_ident

import msgspec

from hearth.errors import (
    DiskFull,
    HearthError,
    ModelBuiltIn,
    ModelFileChanged,
    ModelFileTruncated,
    ModelFolderMissing,
    ModelInUse,
    ModelNameTaken,
    ModelNotFound,
    ModelsBusy,
    ModelsFolderUnusable,
    because,
    writing_failed,
)
from hearth.i18n import tr
from hearth.model_folder import genai_config
from hearth.model_folder import manifest as manifest_file
from hearth.model_folder.confinement import Confinement
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.hub_cache import snapshot_folder
from hearth.model_folder.manifest import VERSION, Manifest, Quantization, read_manifest, write_manifest
from hearth.model_folder.quality import QualityReport
from hearth.models import names
from hearth.models.copying import SPARE_BYTES, CancelledCallback, ProgressCallback, Transfer
from hearth.models.workspace import QUANTIZING, Workspace
from hearth.paths import models_folder, resource

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model on this machine.

    Attributes:
        path: the folder with its files; the owner's own for a model registered in place.
        bytes: size of its files.
        built_in: it is part of Hearth.
    """

    name: str
    format: str
    path: Path
    bytes: int
    in_place: bool
    aliases: tuple[str, ...]
    manifest: Manifest
    built_in: bool = False


@dataclass(frozen=True, slots=True)
class RemovedModel:
    """A model that was removed and can be restored until the program closes or uses another folder."""

    name: str
    path: Path


class ModelRegistry:
    """The models in one folder, and those that are part of Hearth. Any thread and any process may use it at once.

    Attributes:
        root: the folder with the user's models.
    """

    def __init__(self, root: Path | None = None, built_in: Sequence[Path] | None = None) -> None:
        """`built_in`: folders of the models that are part of Hearth; those that are not there are left out."""
        self._lock = Lock()
        self._writers = 0
        self._mover: int | None = None  # the thread that has the models for itself
        self._built_in = _built_in_entries(built_in_folders() if built_in is None else built_in)
        self.use_folder(root or models_folder())

    def use_folder(self, root: Path) -> None:
        """Work with the models in another folder from now on. Moves no files; see `exclusively`."""
        self.root = root
        self._incoming = Workspace(root / ".incoming")
        self._trash = Workspace(root / ".trash")
        self._incoming.sweep()
        self._trash.sweep()

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Nobody else in this process imports, renames or removes models meanwhile. May be nested.

        Raises:
            ModelsBusy: somebody does.
        """
        thread = get_ident()
        with self._lock:
            if self._writers or self._mover not in (None, thread):
                raise ModelsBusy
            outer, self._mover = self._mover, thread
        try:
            yield
        finally:
            with self._lock:
                self._mover = outer

    def list(self) -> list[ModelEntry]:
        """Every model: those of Hearth, then the others by name; a damaged one is listed, so that it can be removed."""
        hidden = {entry.name for entry in self._built_in}
        return [*self._built_in, *(_entry(folder) for folder in self.folders() if folder.name not in hidden)]

    def folders(self) -> tuple[Path, ...]:
        """The folders of the user's models, by name."""
        try:
            return tuple(folder for folder in sorted(self.root.iterdir()) if _is_model(folder))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise writing_failed(self.root, error) from error

    def get(self, name: str) -> ModelEntry:
        """The model with this name or alias, ignoring case.

        Raises:
            ModelNotFound: there is none.
        """
        wanted = name.lower()
        for entry in self.list():
            if wanted == entry.name or wanted in entry.aliases:
                return entry
        raise ModelNotFound(name=name)

    def suggest_name(self, path: Path) -> str:
        """A free name for the model in that folder."""
        return names.suggest_name(path.expanduser().resolve(), self._taken())

    def import_folder(
        self,
        path: Path,
        *,
        name: str | None = None,
        in_place: bool = False,
        progress: ProgressCallback | None = None,
        cancelled: CancelledCallback | None = None,
    ) -> ModelEntry:
        """Check a model folder and copy it into the store, or register it where it is.

        Args:
            path: the folder, or a repository in the cache of Hugging Face's tools.
            progress: called with the bytes done and their total.
            cancelled: asked between pieces of 4 MB; True stops, and nothing stays behind.

        Raises:
            ModelNameInvalid, ModelNameTaken: the name cannot be used.
            DiskFull, HomeUnwritable, ModelFolderMissing, ModelsFolderUnusable: it cannot be stored.
            ModelsBusy: the models are being moved.
            ImportCancelled: `cancelled` said so.
            HearthError: whatever ModelFolder.open finds wrong with it.
        """
        source = snapshot_folder(path.expanduser().resolve())
        with self._writing():
            return self._import(source, name, in_place, progress, cancelled)

    def _import(
        self,
        source: Path,
        name: str | None,
        in_place: bool,
        progress: ProgressCallback | None,
        cancelled: CancelledCallback | None,
    ) -> ModelEntry:
        if name is None:
            name = self.suggest_name(source)
        self._check_free(name)
        check_models_folder(self.root)
        folder = ModelFolder.open(source)
        total = folder.bytes
        made = self._incoming.new()
        try:
            transfer = Transfer(total, progress, cancelled)
            if in_place:
                files = {_relative(folder, file): transfer.hash(file) for file in folder.files()}
            else:
                self._check_space(total)
                files = {
                    _relative(folder, file): transfer.copy(file, made / _relative(folder, file))
                    for file in folder.files()
                }
                ModelFolder.open(made)  # the source may have changed while it was copied
            manifest = Manifest(
                version=VERSION,
                name=name,
                source=str(source),
                imported_at=datetime.now(UTC),
                in_place=str(source) if in_place else "",
                files=files,
            )
            self._write(made, manifest)
            self._move(made, name)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return _entry(self.root / name)

    @contextmanager
    def building(self, name: str) -> Iterator[Path]:
        """A place on the models' disk to build the model `name` in, for as long as that takes; `add_built` takes it from there.

        Raises:
            ModelNameInvalid, ModelNameTaken: the name cannot be used.
            ModelFolderMissing, ModelsFolderUnusable: it cannot be stored.
            ModelsBusy: the models are being moved.
        """
        with self._writing():
            self._check_free(name)
            check_models_folder(self.root)
            try:
                yield self.work_folder(name)
            finally:
                with suppress(OSError):  # not there, or others are built in it
                    (self.root / QUANTIZING).rmdir()

    def work_folder(self, name: str) -> Path:
        """Where the model `name` is built; it need not be there.

        Raises:
            ModelNameInvalid: that is no name.
        """
        names.check_name(name)
        return self.root / QUANTIZING / name

    def add_built(
        self,
        made: Path,
        *,
        name: str,
        source: Path,
        quantization: Quantization,
        quality: QualityReport | None = None,
        progress: ProgressCallback | None = None,
        cancelled: CancelledCallback | None = None,
    ) -> ModelEntry:
        """Check the finished model in the folder `made`, and move it into the store.

        Raises:
            ModelNameTaken: somebody was faster.
            DiskFull, HomeUnwritable: it cannot be moved.
            ImportCancelled: `cancelled` said so; it stays where it is.
            HearthError: whatever ModelFolder.open finds wrong with it.
        """
        folder = ModelFolder.open(made)
        transfer = Transfer(folder.bytes, progress, cancelled)
        manifest = Manifest(
            version=VERSION,
            name=name,
            source=str(source),
            imported_at=datetime.now(UTC),
            files={_relative(folder, file): transfer.hash(file) for file in folder.files()},
            quantization=quantization,
            quality=quality,
        )
        self._check_free(name)
        self._write(made, manifest)
        self._move(made, name)
        return _entry(self.root / name)

    def alias(self, name: str, alias: str) -> None:
        """Give a model another name.

        Raises:
            ModelNotFound: there is no such model.
            ModelBuiltIn: it is part of Hearth.
            ModelNameInvalid, ModelNameTaken: the alias cannot be used.
            ModelsBusy: the models are being moved.
        """
        with self._writing():
            entry = self._own(name)
            if alias not in entry.aliases:
                self._check_free(alias)
                self._set_aliases(entry, (*entry.aliases, alias))

    def remove_alias(self, alias: str) -> None:
        """Take an alias away.

        Raises:
            ModelNotFound: there is no such alias.
            ModelsBusy: the models are being moved.
        """
        with self._writing():
            for entry in self.list():
                if alias in entry.aliases:
                    self._set_aliases(entry, tuple(other for other in entry.aliases if other != alias))
                    return
            raise ModelNotFound(name=alias)

    def verify(self, name: str, progress: ProgressCallback | None = None) -> None:
        """Compare every file with its checksum, and check the folder as loading does.

        Raises:
            ModelFileMissing, ModelFileTruncated, ModelFileChanged: a file is not what was imported.
            HearthError: whatever ModelFolder.open finds wrong with it.
        """
        entry = self.get(name)
        folder = entry.path if entry.built_in else self.root / entry.name
        recorded = _manifest(folder).files  # raises where `get` made do without
        confinement = Confinement(entry.path)
        transfer = Transfer(sum(file.bytes for file in recorded.values()), progress)
        for relative, expected in recorded.items():
            file = confinement.file(relative)
            size = file.stat().st_size
            if size < expected.bytes:
                raise ModelFileTruncated(file=str(file), actual=size, expected=expected.bytes)
            if size > expected.bytes or transfer.hash(file) != expected:
                raise ModelFileChanged(file=str(file))
        ModelFolder.open(entry.path)

    def remove(self, name: str) -> RemovedModel:
        """Take a model out of the store; `restore` brings it back until the program closes or uses another folder.

        Raises:
            ModelNotFound: there is no such model.
            ModelBuiltIn: it is part of Hearth.
            ModelInUse: its files are held open (on Windows).
            ModelsBusy: the models are being moved.
            HomeUnwritable: it cannot be moved.
        """
        with self._writing():
            entry = self._own(name)
            removed = RemovedModel(entry.name, self._trash.new() / entry.name)
            try:
                (self.root / entry.name).rename(removed.path)
            except PermissionError as error:
                if sys.platform == "win32":
                    raise ModelInUse(name=entry.name) from error
                raise writing_failed(self.root, error) from error
            except OSError as error:
                raise writing_failed(self.root, error) from error
            return removed

    def restore(self, removed: RemovedModel) -> None:
        """Undo `remove`.

        Raises:
            ModelNameTaken: another model has taken the name.
            ModelNotFound: it was purged already.
            ModelsBusy: the models are being moved.
        """
        with self._writing():
            self._check_free(removed.name)
            if not removed.path.is_dir():
                raise ModelNotFound(name=removed.name)
            self._move(removed.path, removed.name)

    def purge_removed(self) -> None:
        """Delete what this process removed; there is no undo after that."""
        self._trash.clear()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Something is imported, renamed or removed. Raises ModelsBusy while the models are being moved."""
        with self._lock:
            if self._mover is not None:
                raise ModelsBusy
            self._writers += 1
        try:
            yield
        finally:
            with self._lock:
                self._writers -= 1

    def _own(self, name: str) -> ModelEntry:
        """The user's model with this name. Raises ModelNotFound, and ModelBuiltIn for one of Hearth's."""
        entry = self.get(name)
        if entry.built_in:
            raise ModelBuiltIn(name=entry.name)
        return entry

    def _taken(self) -> set[str]:
        return {name for entry in self.list() for name in (entry.name, *entry.aliases)}

    def _check_free(self, name: str) -> None:
        names.check_name(name)
        if name in self._taken() or os.path.lexists(self.root / name):
            raise ModelNameTaken(name=name)

    def _check_space(self, needed: int) -> None:
        if shutil.disk_usage(self.root).free < needed + SPARE_BYTES:
            raise DiskFull(path=str(self.root))

    def _set_aliases(self, entry: ModelEntry, aliases: tuple[str, ...]) -> None:
        folder = self.root / entry.name
        self._write(folder, msgspec.structs.replace(_manifest(folder), aliases=aliases))

    def _write(self, folder: Path, manifest: Manifest) -> None:
        try:
            write_manifest(folder, manifest)
        except OSError as error:
            raise writing_failed(folder, error) from error

    def _move(self, folder: Path, name: str) -> None:
        target = self.root / name
        try:
            folder.rename(target)
        except OSError as error:
            if target.exists():  # another process was faster
                raise ModelNameTaken(name=name) from error
            raise writing_failed(self.root, error) from error


def built_in_folders() -> tuple[Path, ...]:
    """Where the models lie that are part of Hearth."""
    return (resource("starter", "model"),)


def check_models_folder(root: Path) -> None:
    """See whether the folder is there that the user chose. Hearth's default folder comes with the first model.

    Raises:
        ModelFolderMissing: it is not there, as when its disk is unplugged.
        ModelsFolderUnusable: it is no folder, or cannot be read.
    """
    if root == models_folder():
        return
    try:
        with os.scandir(root):
            return
    except FileNotFoundError as error:
        raise ModelFolderMissing(path=str(root)) from error
    except NotADirectoryError as error:
        raise ModelsFolderUnusable(path=str(root), reason=tr("it is not a folder")) from error
    except OSError as error:
        raise ModelsFolderUnusable(path=str(root), reason=because(error)) from error


def _built_in_entries(folders: Sequence[Path]) -> tuple[ModelEntry, ...]:
    entries = []
    for folder in folders:
        if not os.path.lexists(folder):
            continue
        try:
            manifest = read_manifest(folder)
            names.check_name(manifest.name)
        except HearthError as error:
            log.warning("The model in %s, which is part of Hearth, cannot be used: %s", folder, error)
            continue
        entries.append(
            replace(
                _entry(folder), name=manifest.name, path=folder, in_place=False, aliases=(), built_in=True
            )
        )
    return tuple(entries)


def _entry(folder: Path) -> ModelEntry:
    try:
        manifest = _manifest(folder)
    except HearthError as error:
        log.warning("The model in %s has no usable manifest: %s", folder, error)
        manifest = Manifest(version=VERSION, name=folder.name)
    return ModelEntry(
        name=folder.name,
        format=manifest.format,
        path=Path(manifest.in_place) if manifest.in_place else folder,
        bytes=sum(file.bytes for file in manifest.files.values()) or _size_on_disk(folder),
        in_place=bool(manifest.in_place),
        aliases=tuple(alias for alias in manifest.aliases if names.is_name(alias)),
        manifest=manifest,
    )


def _manifest(folder: Path) -> Manifest:
    """The folder's manifest, or an empty one for a model folder that was put here by hand."""
    if not os.path.lexists(folder / manifest_file.FILE_NAME):
        return Manifest(version=VERSION, name=folder.name)
    return read_manifest(folder)


def _is_model(folder: Path) -> bool:
    return names.is_name(folder.name) and any(
        os.path.lexists(folder / file) for file in (manifest_file.FILE_NAME, genai_config.FILE_NAME)
    )


def _size_on_disk(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*"))


def _relative(folder: ModelFolder, file: Path) -> str:
    return file.relative_to(folder.path).as_posix()
