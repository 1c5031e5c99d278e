"""The models on this machine: a folder each, with a manifest.

A copied model appears by one rename, when it is whole; until then it lies in `.incoming`. One that is quantized here
grows in `.quantizing`, where what was stopped half-way waits to be gone on with; one that is fetched, in `.downloads`. A removed one lies in `.trash` until the program closes or uses another folder. A model that was registered in place has a folder with a
manifest only, and its own files, which belong to the owner, are never touched. Models that are part of Hearth lie
among its resources, where nothing is ever written; what the owner sets for one lies in a manifest beside the user's
models.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from hearth.errors import (
    DiskFull,
    ModelBuiltIn,
    ModelFileChanged,
    ModelFileTruncated,
    ModelInUse,
    ModelNameTaken,
    ModelNotFound,
    writing_failed,
)
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.hub_cache import snapshot_folder
from hearth.model_folder.manifest import (
    GENAI,
    REMOTE,
    VERSION,
    Manifest,
    Quantization,
    RemoteModel,
    write_manifest,
)
from hearth.model_folder.quality import QualityReport
from hearth.models import names
from hearth.models.built_in import built_in_entries, built_in_folders
from hearth.models.copying import SPARE_BYTES, CancelledCallback, ProgressCallback, Transfer
from hearth.models.entry import ModelEntry, RemovedModel, is_model, own_manifest, read_entry
from hearth.models.gate import Gate
from hearth.models.models_root import check_models_folder
from hearth.models.remote_keys import delete_key
from hearth.models.source import check_model, imported_file, naming_path, open_source, take
from hearth.models.workspace import QUANTIZING, Workspace
from hearth.paths import models_folder

__all__ = ["ModelEntry", "ModelRegistry", "RemovedModel", "check_models_folder"]

# What the owner may set of a model of Hearth.
_SETTABLE = {"settings", "speed"}


class ModelRegistry:
    """The models in one folder, and those that are part of Hearth. Any thread and any process may use it at once.

    Attributes:
        root: the folder with the user's models.
    """

    def __init__(self, root: Path | None = None, built_in: Sequence[Path] | None = None) -> None:
        """`built_in`: folders of the models that are part of Hearth; those that are not there are left out."""
        self._gate = Gate()
        self._keys_to_forget: list[tuple[str, str]] = []
        self._built_in = built_in_entries(built_in_folders() if built_in is None else built_in)
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
        with self._gate.exclusively():
            yield

    def list(self) -> list[ModelEntry]:
        """Every model: those of Hearth, then the others by name; a damaged one is listed, so that it can be removed."""
        hidden = {entry.name for entry in self._built_in}
        built_in = (self._with_own(entry) for entry in self._built_in)
        return [*built_in, *(read_entry(folder) for folder in self.folders() if folder.name not in hidden)]

    def _with_own(self, entry: ModelEntry) -> ModelEntry:
        """A model of Hearth with what the owner has set for it."""
        if not is_model(self.root / entry.name):
            return entry
        own = read_entry(self.root / entry.name).manifest
        manifest = msgspec.structs.replace(
            entry.manifest, **{field: getattr(own, field) for field in _SETTABLE}
        )
        return replace(entry, manifest=manifest)

    def folders(self) -> tuple[Path, ...]:
        """The folders of the user's models, by name."""
        try:
            return tuple(folder for folder in sorted(self.root.iterdir()) if is_model(folder))
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
        """A free name for the model in that folder or file."""
        return names.suggest_name(naming_path(_resolved(path)), self._taken())

    def import_folder(
        self,
        path: Path,
        *,
        name: str | None = None,
        in_place: bool = False,
        progress: ProgressCallback | None = None,
        cancelled: CancelledCallback | None = None,
    ) -> ModelEntry:
        """Check a model folder or file and copy it into the store, or register it where it is.

        Args:
            path: the folder, or a repository in the cache of Hugging Face's tools.
            progress: called with the bytes done and their total.
            cancelled: asked between pieces of 4 MB; True stops, and nothing stays behind.

        Raises:
            ModelNameInvalid, ModelNameTaken: the name cannot be used.
            DiskFull, HomeUnwritable, ModelFolderMissing, ModelsFolderUnusable: it cannot be stored.
            ModelsBusy: the models are being moved.
            ImportCancelled: `cancelled` said so.
            HearthError: whatever `open_source` finds wrong with it.
        """
        with self._gate.writing():
            return self._import(snapshot_folder(_resolved(path)), name, in_place, progress, cancelled)

    def _import(
        self,
        path: Path,
        name: str | None,
        in_place: bool,
        progress: ProgressCallback | None,
        cancelled: CancelledCallback | None,
    ) -> ModelEntry:
        if name is None:
            name = self.suggest_name(path)
        self.check_free(name)
        check_models_folder(self.root)
        source = open_source(path)
        made = self._incoming.new()
        try:
            if not in_place:
                self._check_space(source.bytes)
            transfer = Transfer(source.bytes, progress, cancelled)
            manifest = take(source, name, None if in_place else made, transfer)
            self._write(made, manifest)
            self._move(made, name)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return read_entry(self.root / name)

    def add_remote(self, name: str, remote: RemoteModel) -> ModelEntry:
        """Add a model that runs on a server. Whether it answers shows when it is loaded.

        Raises:
            ModelNameInvalid, ModelNameTaken: the name cannot be used.
            HomeUnwritable, ModelFolderMissing, ModelsFolderUnusable: it cannot be stored.
            ModelsBusy: the models are being moved.
        """
        with self._gate.writing():
            self.check_free(name)
            check_models_folder(self.root)
            made = self._incoming.new()
            try:
                manifest = Manifest(
                    version=VERSION,
                    name=name,
                    format=REMOTE,
                    source=remote.address,
                    imported_at=datetime.now(UTC),
                    remote=remote,
                )
                self._write(made, manifest)
                self._move(made, name)
            finally:
                shutil.rmtree(made, ignore_errors=True)
            return read_entry(self.root / name)

    def set_has_key(self, name: str, has_key: bool) -> ModelEntry:
        """Note whether the key store has a key for a remote model.

        Raises:
            ModelNotFound: there is no such remote model.
            ModelsBusy: the models are being moved.
        """
        with self._gate.writing():
            entry = self._own(name)
            if entry.manifest.remote is None:
                raise ModelNotFound(name=name)
            folder = self.root / entry.name
            remote = msgspec.structs.replace(entry.manifest.remote, has_key=has_key)
            self._write(folder, msgspec.structs.replace(own_manifest(folder), remote=remote))
            return read_entry(folder)

    @contextmanager
    def building(self, name: str) -> Iterator[Path]:
        """A place on the models' disk to build the model `name` in, for as long as that takes; `add_built` takes it from there.

        Raises:
            ModelNameInvalid, ModelNameTaken: the name cannot be used.
            ModelFolderMissing, ModelsFolderUnusable: it cannot be stored.
            ModelsBusy: the models are being moved.
        """
        with self._gate.writing():
            self.check_free(name)
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
        source: str,
        revision: str = "",
        licence: str = "",
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
            source=source,
            revision=revision,
            licence=licence,
            imported_at=datetime.now(UTC),
            files={file.relative_to(made).as_posix(): transfer.hash(file) for file in folder.files()},
            quantization=quantization,
            quality=quality,
        )
        self.check_free(name)
        self._write(made, manifest)
        self._move(made, name)
        return read_entry(self.root / name)

    @contextmanager
    def fetching(self) -> Iterator[Path]:
        """The models folder, which is not changed for another one meanwhile.

        Raises:
            ModelFolderMissing, ModelsFolderUnusable: it cannot be used.
            ModelsBusy: the models are being moved.
        """
        with self._gate.writing():
            check_models_folder(self.root)
            yield self.root

    def add_fetched(self, made: Path, manifest: Manifest) -> ModelEntry:
        """Check the finished model in the folder `made`, and move it into the store with this manifest.

        Raises:
            ModelNameInvalid, ModelNameTaken: it cannot have that name.
            DiskFull, HomeUnwritable: it cannot be moved.
            HearthError: whatever is wrong with it.
        """
        source = open_source(made if manifest.format == GENAI else made / min(manifest.files))
        manifest = msgspec.structs.replace(
            manifest,
            facts=source.facts,
            model_file=source.model_file,
            licence=manifest.licence or source.licence,
        )
        self.check_free(manifest.name)
        self._write(made, manifest)
        self._move(made, manifest.name)
        return read_entry(self.root / manifest.name)

    def alias(self, name: str, alias: str) -> None:
        """Give a model another name.

        Raises:
            ModelNotFound: there is no such model.
            ModelBuiltIn: it is part of Hearth.
            ModelNameInvalid, ModelNameTaken: the alias cannot be used.
            ModelsBusy: the models are being moved.
        """
        with self._gate.writing():
            entry = self._own(name)
            if alias not in entry.aliases:
                self.check_free(alias)
                self._set_aliases(entry, (*entry.aliases, alias))

    def rename(self, name: str, new: str) -> ModelEntry:
        """Give a model a name in place of its own, which stays an alias, so that whoever says it finds the model.

        An alias of the model may become its name.

        Raises:
            ModelNotFound: there is no such model.
            ModelBuiltIn: it is part of Hearth.
            ModelNameInvalid, ModelNameTaken: the name cannot be used.
            ModelInUse: its files are held open (on Windows).
            ModelsBusy: the models are being moved.
            HomeUnwritable: it cannot be moved.
        """
        with self._gate.writing():
            entry = self._own(name)
            if new == entry.name:
                return entry
            if new in entry.aliases:
                names.check_name(new)
            else:
                self.check_free(new)
            kept = (alias for alias in entry.aliases if alias != new)
            self._set_aliases(entry, (*kept, entry.name))
            try:
                self._rename_folder(entry.name, new)
            except BaseException:
                self._set_aliases(entry, entry.aliases)
                raise
            return read_entry(self.root / new)

    def _rename_folder(self, name: str, new: str) -> None:
        try:
            (self.root / name).rename(self.root / new)
        except PermissionError as error:
            if sys.platform == "win32":
                raise ModelInUse(name=name) from error
            raise writing_failed(self.root, error) from error
        except OSError as error:
            raise writing_failed(self.root, error) from error

    def change_settings(self, name: str, changes: Mapping[str, object | None]) -> ModelEntry:
        """Set what a model uses of its own, as `{"temperature": 0.2}`; None takes a setting away.

        Raises:
            ModelNotFound: there is no such model.
            ModelSettingUnknown, ModelSettingInvalid: a key or value has no meaning.
            ModelsBusy: the models are being moved.
            HomeUnwritable, DiskFull: it cannot be written.
        """
        settings = self.get(name).manifest.settings.changed(changes)
        return self.note(name, settings=settings)

    def note(self, name: str, **fields: Any) -> ModelEntry:
        """Change fields of a model's manifest; of a model of Hearth only `settings` and `speed`.

        Raises:
            ModelNotFound: there is no such model.
            ModelBuiltIn: it is part of Hearth.
            ModelsBusy: the models are being moved.
            HomeUnwritable, DiskFull: it cannot be written.
        """
        with self._gate.writing():
            entry = self.get(name)
            if entry.built_in and not fields.keys() <= _SETTABLE:
                raise ModelBuiltIn(name=entry.name)
            folder = self.root / entry.name
            if entry.built_in:
                try:
                    folder.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise writing_failed(folder, error) from error
            self._write(folder, msgspec.structs.replace(own_manifest(folder), **fields))
            return self.get(entry.name)

    def remove_alias(self, alias: str) -> None:
        """Take an alias away.

        Raises:
            ModelNotFound: there is no such alias.
            ModelsBusy: the models are being moved.
        """
        with self._gate.writing():
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
        manifest = own_manifest(folder)  # raises where `get` made do without
        transfer = Transfer(sum(file.bytes for file in manifest.files.values()), progress)
        for relative, expected in manifest.files.items():
            file = imported_file(entry.path, manifest, relative)
            size = file.stat().st_size
            if size < expected.bytes:
                raise ModelFileTruncated(file=str(file), actual=size, expected=expected.bytes)
            if size > expected.bytes or transfer.hash(file) != expected:
                raise ModelFileChanged(file=str(file))
        if not entry.is_remote:
            check_model(entry.path, manifest)

    def remove(self, name: str) -> RemovedModel:
        """Take a model out of the store; `restore` brings it back until the program closes or uses another folder.

        Raises:
            ModelNotFound: there is no such model.
            ModelBuiltIn: it is part of Hearth.
            ModelInUse: its files are held open (on Windows).
            ModelsBusy: the models are being moved.
            HomeUnwritable: it cannot be moved.
        """
        with self._gate.writing():
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
            if entry.manifest.remote is not None:
                self._keys_to_forget.append((entry.name, entry.manifest.remote.address))
            return removed

    def restore(self, removed: RemovedModel) -> None:
        """Undo `remove`.

        Raises:
            ModelNameTaken: another model has taken the name.
            ModelNotFound: it was purged already.
            ModelsBusy: the models are being moved.
        """
        with self._gate.writing():
            self.check_free(removed.name)
            if not removed.path.is_dir():
                raise ModelNotFound(name=removed.name)
            self._move(removed.path, removed.name)
            self._keys_to_forget = [key for key in self._keys_to_forget if key[0] != removed.name]

    def purge_removed(self) -> None:
        """Delete what this process removed, with its keys; there is no undo after that."""
        self._trash.clear()
        forgotten, self._keys_to_forget = self._keys_to_forget, []
        if not forgotten:
            return  # the folder need not be readable for that
        here = {(entry.name, entry.manifest.remote.address) for entry in self.list() if entry.manifest.remote}
        for name, address in forgotten:
            if (name, address) not in here:  # one that was added since
                delete_key(name, address)

    def _own(self, name: str) -> ModelEntry:
        """The user's model with this name. Raises ModelNotFound, and ModelBuiltIn for one of Hearth's."""
        entry = self.get(name)
        if entry.built_in:
            raise ModelBuiltIn(name=entry.name)
        return entry

    def _taken(self) -> set[str]:
        return {name for entry in self.list() for name in (entry.name, *entry.aliases)}

    def check_free(self, name: str) -> None:
        """Raise ModelNameInvalid or ModelNameTaken for a name that a new model cannot have."""
        names.check_name(name)
        if name in self._taken() or os.path.lexists(self.root / name):
            raise ModelNameTaken(name=name)

    def _check_space(self, needed: int) -> None:
        if shutil.disk_usage(self.root).free < needed + SPARE_BYTES:
            raise DiskFull(path=str(self.root))

    def _set_aliases(self, entry: ModelEntry, aliases: tuple[str, ...]) -> None:
        folder = self.root / entry.name
        self._write(folder, msgspec.structs.replace(own_manifest(folder), aliases=aliases))

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


def _resolved(path: Path) -> Path:
    """Absolute. A file's own name is kept where it is a link: it says more than the name in a cache does."""
    path = path.expanduser()
    return path.absolute() if path.is_file() else path.resolve()
