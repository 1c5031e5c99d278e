"""The models on this machine: a folder each, with a manifest.

A copied model appears by one rename, when it is whole; until then it lies in `.incoming`. A removed one lies in
`.trash` until the program closes. A model that was registered in place has a folder with a manifest only, and its
own files, which belong to the owner, are never touched.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from hearth.errors import (
    DiskFull,
    HearthError,
    ModelFileChanged,
    ModelFileTruncated,
    ModelInUse,
    ModelNameTaken,
    ModelNotFound,
)
from hearth.model_folder import genai_config
from hearth.model_folder import manifest as manifest_file
from hearth.model_folder.confinement import Confinement
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.manifest import VERSION, Manifest, read_manifest, write_manifest
from hearth.models import names
from hearth.models.copying import CancelledCallback, ProgressCallback, Transfer, writing_failed
from hearth.models.workspace import Workspace
from hearth.paths import models_folder

# Left free beside the copy, so that the database can still be written when it is done.
SPARE_BYTES = 64 << 20

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model on this machine.

    Attributes:
        path: the folder with its files; the owner's own for a model registered in place.
        bytes: size of its files.
    """

    name: str
    format: str
    path: Path
    bytes: int
    in_place: bool
    aliases: tuple[str, ...]
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class RemovedModel:
    """A model that was removed and can be restored until the program closes."""

    name: str
    path: Path


class ModelRegistry:
    """The models in one folder. Any thread and any process may use it at once."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or models_folder()
        self._incoming = Workspace(self.root / ".incoming")
        self._trash = Workspace(self.root / ".trash")
        self._incoming.sweep()
        self._trash.sweep()

    def list(self) -> list[ModelEntry]:
        """Every model, by name; a damaged one is listed too, so that it can be seen and removed."""
        try:
            folders = sorted(self.root.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise writing_failed(self.root, error) from error
        return [_entry(folder) for folder in folders if _is_model(folder)]

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
            progress: called with the bytes done and their total.
            cancelled: asked between pieces of 4 MB; True stops, and nothing stays behind.

        Raises:
            ModelNameInvalid, ModelNameTaken: the name cannot be used.
            DiskFull, HomeUnwritable: it cannot be stored.
            ImportCancelled: `cancelled` said so.
            HearthError: whatever ModelFolder.open finds wrong with it.
        """
        source = path.expanduser().resolve()
        if name is None:
            name = self.suggest_name(source)
        self._check_free(name)
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

    def alias(self, name: str, alias: str) -> None:
        """Give a model another name.

        Raises:
            ModelNotFound: there is no such model.
            ModelNameInvalid, ModelNameTaken: the alias cannot be used.
        """
        entry = self.get(name)
        if alias not in entry.aliases:
            self._check_free(alias)
            self._set_aliases(entry, (*entry.aliases, alias))

    def remove_alias(self, alias: str) -> None:
        """Take an alias away.

        Raises:
            ModelNotFound: there is no such alias.
        """
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
        recorded = _manifest(self.root / entry.name).files  # raises where `get` made do without
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
        """Take a model out of the store; `restore` brings it back until the program closes.

        Raises:
            ModelNotFound: there is no such model.
            ModelInUse: its files are held open (on Windows).
            HomeUnwritable: it cannot be moved.
        """
        entry = self.get(name)
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
        """
        self._check_free(removed.name)
        if not removed.path.is_dir():
            raise ModelNotFound(name=removed.name)
        self._move(removed.path, removed.name)

    def purge_removed(self) -> None:
        """Delete what this process removed; there is no undo after that."""
        self._trash.clear()

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
