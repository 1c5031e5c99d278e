"""The models on this machine: those that are there (`kept_models.py`), and how others arrive.

A copied model appears by one rename, when it is whole; until then it lies in `.incoming`. One that is quantized here
grows in `.quantizing`, where what was stopped half-way waits to be gone on with; one that is fetched, in `.downloads`;
what shall be made of a checkpoint is noted in `.installs`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from hearth.errors import DiskFull
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.hub_cache import snapshot_folder
from hearth.model_folder.manifest import GENAI, REMOTE, VERSION, Manifest, Quantization, RemoteModel
from hearth.model_folder.model_settings import NO_SETTINGS, ModelSettings
from hearth.model_folder.quality import QualityReport
from hearth.models import names
from hearth.models.built_in import built_in_entries, built_in_folders
from hearth.models.copying import SPARE_BYTES, CancelledCallback, ProgressCallback, Transfer
from hearth.models.entry import ModelEntry, RemovedModel, read_entry
from hearth.models.kept_models import KeptModels
from hearth.models.models_root import check_models_folder
from hearth.models.source import naming_path, open_source, take
from hearth.models.workspace import QUANTIZING, Workspace
from hearth.paths import models_folder

__all__ = ["ModelEntry", "ModelRegistry", "RemovedModel", "check_models_folder"]


class ModelRegistry(KeptModels):
    """The models in one folder, and what comes to them."""

    def __init__(self, root: Path | None = None, built_in: Sequence[Path] | None = None) -> None:
        """`built_in`: folders of the models that are part of Hearth; those that are not there are left out."""
        entries = built_in_entries(built_in_folders() if built_in is None else built_in)
        super().__init__(root or models_folder(), entries)

    def use_folder(self, root: Path) -> None:
        """Work with the models in another folder from now on. Moves no files; see `exclusively`."""
        super().use_folder(root)
        self._incoming = Workspace(root / ".incoming")
        self._incoming.sweep()

    def suggest_name(self, path: Path) -> str:
        """A free name for the model in that folder or file."""
        return names.suggest_name(naming_path(_resolved(path)), self.taken_names())

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
            ModelNameInvalid, ModelNameTaken, ModelNameOnItsWay: the name cannot be used.
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
        self.check_unclaimed(name)
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
            ModelNameInvalid, ModelNameTaken, ModelNameOnItsWay: the name cannot be used.
            HomeUnwritable, ModelFolderMissing, ModelsFolderUnusable: it cannot be stored.
            ModelsBusy: the models are being moved.
        """
        with self._gate.writing():
            self.check_unclaimed(name)
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
        settings: ModelSettings = NO_SETTINGS,
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
            settings=settings,
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

    def _check_space(self, needed: int) -> None:
        if shutil.disk_usage(self.root).free < needed + SPARE_BYTES:
            raise DiskFull(path=str(self.root))


def _resolved(path: Path) -> Path:
    """Absolute. A file's own name is kept where it is a link: it says more than the name in a cache does."""
    path = path.expanduser()
    return path.absolute() if path.is_file() else path.resolve()
