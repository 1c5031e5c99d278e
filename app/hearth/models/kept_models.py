"""The models that are there: a folder each, with a manifest.

A removed one lies in `.trash` until the program closes or uses another folder. A model that was registered in place has
a folder with a manifest only, and its own files, which belong to the owner, are never touched. Models that are part of
Hearth lie among its resources, where nothing is ever written; what the owner sets for one lies in a manifest beside the
user's models.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from hearth.errors import HearthError, ModelBuiltIn, ModelInUse, ModelNameTaken, ModelNotFound, writing_failed
from hearth.model_folder.manifest import Manifest, write_manifest
from hearth.models import names
from hearth.models.copying import CancelledCallback, ProgressCallback
from hearth.models.entry import ModelEntry, RemovedModel, is_model, own_manifest, read_entry
from hearth.models.gate import Gate
from hearth.models.hub.names_on_the_way import check_not_on_the_way, names_on_the_way
from hearth.models.manifest_changes import changing_manifests
from hearth.models.remote_keys import delete_key
from hearth.models.source import verify_files
from hearth.models.workspace import Workspace

log = logging.getLogger(__name__)

# What the owner may set of a model of Hearth.
_SETTABLE = {"settings", "speed"}


class KeptModels:
    """The models in one folder, and those that are part of Hearth. Any thread and any process may use it at once.

    Attributes:
        root: the folder with the user's models.
    """

    def __init__(self, root: Path, built_in: Sequence[ModelEntry]) -> None:
        self._gate = Gate()
        self._removed: list[RemovedModel] = []
        self._built_in = built_in
        self.use_folder(root)

    def use_folder(self, root: Path) -> None:
        """Work with the models in another folder from now on. Moves no files; see `exclusively`."""
        self.root = root
        self._trash = Workspace(root / ".trash")
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

    def set_has_key(self, name: str, has_key: bool) -> ModelEntry:
        """Note whether the key store has a key for a remote model.

        Raises:
            ModelNotFound: there is no such remote model.
            ModelsBusy: the models are being moved.
        """
        with self._changing():
            entry = self._own(name)
            if entry.manifest.remote is None:
                raise ModelNotFound(name=name)
            folder = self.root / entry.name
            remote = msgspec.structs.replace(entry.manifest.remote, has_key=has_key)
            self._write(folder, msgspec.structs.replace(own_manifest(folder), remote=remote))
            return read_entry(folder)

    def alias(self, name: str, alias: str) -> None:
        """Give a model another name.

        Raises:
            ModelNotFound: there is no such model.
            ModelBuiltIn: it is part of Hearth.
            ModelNameInvalid, ModelNameTaken, ModelNameOnItsWay: the alias cannot be used.
            ModelsBusy: the models are being moved.
        """
        with self._changing():
            entry = self._own(name)
            if alias not in entry.aliases:
                self.check_unclaimed(alias)
                self._set_aliases(entry, (*entry.aliases, alias))

    def check_rename(self, name: str, new: str) -> ModelEntry:
        """The model that `rename` would give the name `new`.

        Raises:
            ModelNotFound: there is no such model.
            ModelBuiltIn: it is part of Hearth.
            ModelNameInvalid, ModelNameTaken, ModelNameOnItsWay: the name cannot be used.
        """
        entry = self._own(name)
        if new in entry.aliases:
            names.check_name(new)
        elif new != entry.name:
            self.check_unclaimed(new)
        return entry

    def rename(self, name: str, new: str) -> ModelEntry:
        """Give a model a name in place of its own, which stays an alias, so that whoever says it finds the model.

        An alias of the model may become its name.

        Raises:
            ModelNotFound: there is no such model.
            ModelBuiltIn: it is part of Hearth.
            ModelNameInvalid, ModelNameTaken, ModelNameOnItsWay: the name cannot be used.
            ModelInUse: its files are held open (on Windows).
            ModelsBusy: the models are being moved.
            HomeUnwritable: it cannot be moved.
        """
        with self._changing():
            entry = self.check_rename(name, new)
            if new == entry.name:
                return entry
            kept = (alias for alias in entry.aliases if alias != new)
            self._set_aliases(entry, (*kept, entry.name))
            try:
                self._move_away(entry.name, self.root / new)
            except BaseException:
                self._set_aliases(entry, entry.aliases)
                raise
            return read_entry(self.root / new)

    def _move_away(self, name: str, target: Path) -> None:
        try:
            (self.root / name).rename(target)
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
        with self._changing():
            entry = self.get(name)
            return self._note(entry, settings=entry.manifest.settings.changed(changes))

    def note(self, name: str, **fields: Any) -> ModelEntry:
        """Change fields of a model's manifest; of a model of Hearth only `settings` and `speed`.

        Raises:
            ModelNotFound: there is no such model.
            ModelBuiltIn: it is part of Hearth.
            ModelsBusy: the models are being moved.
            HomeUnwritable, DiskFull: it cannot be written.
        """
        with self._changing():
            return self._note(self.get(name), **fields)

    def _note(self, entry: ModelEntry, **fields: Any) -> ModelEntry:
        folder = self.root / entry.name
        if entry.built_in:
            if not fields.keys() <= _SETTABLE:
                raise ModelBuiltIn(name=entry.name)
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
        with self._changing():
            for entry in self.list():
                if alias in entry.aliases:
                    self._set_aliases(entry, tuple(other for other in entry.aliases if other != alias))
                    return
            raise ModelNotFound(name=alias)

    def verify(
        self,
        name: str,
        progress: ProgressCallback | None = None,
        cancelled: CancelledCallback | None = None,
    ) -> None:
        """Compare every file with its checksum, and check the folder as loading does.

        Args:
            progress: called with the bytes done and their total.
            cancelled: asked between pieces of 4 MB.

        Raises:
            VerifyCancelled: `cancelled` said so.
            ModelFileMissing, ModelFileTruncated, ModelFileChanged: a file is not what was imported.
            HearthError: whatever ModelFolder.open finds wrong with it.
        """
        entry = self.get(name)
        # Read anew: it raises where `get` made do without.
        manifest = own_manifest(entry.path if entry.built_in else self.root / entry.name)
        verify_files(entry, manifest, progress, cancelled)

    def remove(self, name: str) -> RemovedModel:
        """Take a model out of the store; `restore` brings it back until the program closes or uses another folder.

        Raises:
            ModelNotFound: there is no such model.
            ModelBuiltIn: it is part of Hearth.
            ModelInUse: its files are held open (on Windows).
            ModelsBusy: the models are being moved.
            HomeUnwritable: it cannot be moved.
        """
        with self._changing():
            entry = self._own(name)
            removed = RemovedModel(entry.name, self._trash.new() / entry.name, entry.manifest.remote)
            self._move_away(entry.name, removed.path)
            self._removed.append(removed)
            return removed

    def restore(self, removed: RemovedModel) -> None:
        """Undo `remove`.

        Raises:
            ModelNameTaken, ModelNameOnItsWay: another model has taken the name.
            ModelNotFound: it was purged already.
            ModelsBusy: the models are being moved.
            DiskFull, HomeUnwritable: it cannot be moved.
        """
        with self._changing():
            self.check_unclaimed(removed.name)
            if not removed.path.is_dir():
                raise ModelNotFound(name=removed.name)
            self._move(removed.path, removed.name)
            self._removed = [other for other in self._removed if other != removed]

    @property
    def has_removed(self) -> bool:
        """Whether this process removed something that is not purged yet."""
        return bool(self._removed)

    def removed(self) -> tuple[ModelEntry, ...]:
        """What this process removed, and can still restore."""
        return tuple(read_entry(model.path) for model in self._removed if model.path.is_dir())

    def purge_removed(self) -> None:
        """Delete what this process removed, with its keys; there is no undo after that. Never raises."""
        self._trash.clear()
        removed, self._removed = self._removed, []
        remotes = [(model.name, model.remote.address) for model in removed if model.remote]
        if not remotes:
            return  # the folder need not be readable for that
        try:
            entries = self.list()
        except (HearthError, OSError) as error:
            log.warning(
                "the keys of removed models are kept, since it cannot be told who has them now: %s", error
            )
            return
        here = {(entry.name, entry.manifest.remote.address) for entry in entries if entry.manifest.remote}
        for name, address in remotes:
            if (name, address) not in here:  # one that was added since
                delete_key(name, address)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Nobody else changes a manifest meanwhile. Raises ModelsBusy, DiskFull, HomeUnwritable."""
        with self._gate.writing(), changing_manifests(self.root):
            yield

    def _own(self, name: str) -> ModelEntry:
        """The user's model with this name. Raises ModelNotFound, and ModelBuiltIn for one of Hearth's."""
        entry = self.get(name)
        if entry.built_in:
            raise ModelBuiltIn(name=entry.name)
        return entry

    def taken(self) -> set[str]:
        """Every name and alias."""
        return {name for entry in self.list() for name in (entry.name, *entry.aliases)}

    def taken_names(self) -> set[str]:
        """Every name and alias of a model that is here, or on its way."""
        return self.taken() | names_on_the_way(self.root).keys()

    def check_free(self, name: str) -> None:
        """Raise ModelNameInvalid or ModelNameTaken for a name that a new model cannot have."""
        names.check_name(name)
        if name in self.taken() or os.path.lexists(self.root / name):
            raise ModelNameTaken(name=name)

    def check_unclaimed(self, name: str) -> None:
        """The same, and raise ModelNameOnItsWay for the name of a model that is being brought."""
        self.check_free(name)
        check_not_on_the_way(self.root, name)

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
