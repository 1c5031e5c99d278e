"""What the installs of one models folder want, as it lies on the disk, and what is there of it: downloads, checkpoints, models."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import msgspec

from hearth.errors import (
    CheckpointMissing,
    HearthError,
    InstallNotFound,
    ModelFileInvalid,
    ModelNameOnItsWay,
    QuantizeBusy,
)
from hearth.model_folder.held_folder import is_held
from hearth.models.hub.checkpoints import CheckpointEntry, Checkpoints
from hearth.models.hub.download_folder import DownloadFolder, DownloadFolders, Failure
from hearth.models.hub.install_folder import InstallFolder, InstallFolders, InstallNote, Wanted
from hearth.models.hub.names_on_the_way import check_not_on_the_way, taken_names
from hearth.models.names import free_name
from hearth.models.registry import ModelEntry, ModelRegistry
from hearth.models.workspace import DOWNLOADS, INSTALLS
from hearth.quantize.recipe_file import load_built_in_recipe

log = logging.getLogger(__name__)


class InstallNotes:
    """Any thread may call; all of it reads or writes files."""

    def __init__(self, models: ModelRegistry) -> None:
        self._models = models
        self._folders = InstallFolders(models.root / INSTALLS)

    @property
    def folders(self) -> InstallFolders:
        """Those of the models folder that is in use."""
        root = self._models.root / INSTALLS
        if self._folders.root != root:
            self._folders = InstallFolders(root)
        return self._folders

    def pairs(self) -> list[tuple[InstallFolder, InstallNote]]:
        """Every install, the oldest first."""
        return self.folders.list()

    def find(self, name: str) -> tuple[InstallFolder, InstallNote]:
        """The install of the model of that name. Raises InstallNotFound."""
        folder = self.folders.of(name)
        try:
            return folder, folder.read()
        except HearthError:
            raise InstallNotFound(name=name) from None

    def new(
        self,
        name: str | None,
        recipe: str,
        *,
        source: str,
        repository: str = "",
        fetches: bool = False,
        keep: bool = False,
    ) -> InstallNote:
        """What is to be noted, where nothing speaks against it.

        Args:
            name: None for a free one after the repository.
            fetches: the checkpoint is not here yet, or only an older commit of it.
            keep: as the person wants it; a checkpoint that was here before stays anyway.

        Raises:
            ModelNameInvalid, ModelNameTaken, ModelNameOnItsWay: the model cannot have that name.
            RecipeUnknown: no such recipe comes with Hearth.
            QuantizeBusy: somebody quantizes a model of that name.
        """
        load_built_in_recipe(recipe)
        name = name or free_name(PurePosixPath(repository).name, taken_names(self._models))
        folder = self.folders.of(name)
        self._models.check_free(name)
        check_not_on_the_way(self._models.root, name, folder.id)
        note = InstallNote(
            name=name,
            recipe=recipe,
            source=source,
            repository=repository,
            fetches=fetches,
            keep=keep or not repository,
            added_at=datetime.now(UTC),
        )
        with suppress(ModelFileInvalid):  # there is none yet, or a damaged one
            return _again(folder.read(), note)
        if self.is_quantized_elsewhere(name):
            raise QuantizeBusy(name=name)
        others = self.others(note)
        was_here = bool(repository) and Checkpoints(self._models.root).get(repository) is not None
        if any(other.keep for other in others) or (was_here and not others):
            note = msgspec.structs.replace(note, keep=True)
        return note

    def write(self, note: InstallNote) -> InstallFolder:
        """Keep it.

        Raises:
            InstallBusy: somebody works on it.
            ModelFolderMissing, ModelsFolderUnusable, ModelsBusy, DiskFull, HomeUnwritable: it cannot be kept.
        """
        folder = self.folders.of(note.name)
        with self._models.fetching(), folder.held():
            folder.write(note)
        return folder

    def change(self, folder: InstallFolder, wanted: Wanted, failure: Failure | None = None) -> InstallNote:
        """Keep what shall become of it. Raises InstallNotFound and as `write`."""
        try:
            with self._models.fetching(), folder.held():
                _, note = self.find(folder.path.name)
                note = msgspec.structs.replace(note, wanted=wanted, failure=failure)
                folder.write(note)
        except InstallNotFound:
            self.folders.tidy(folder)  # which was made by being held
            raise
        return note

    def download_of(self, note: InstallNote) -> DownloadFolder:
        """The download of its checkpoint, which may have ended or never been."""
        # A checkpoint is the one choice that has the name of its repository.
        return DownloadFolders(self._models.root / DOWNLOADS).of(note.repository, note.repository)

    def waiting_for(self, download: str) -> list[tuple[InstallFolder, InstallNote]]:
        """The installs whose checkpoint the download brings."""
        return [
            pair for pair in self.pairs() if pair[1].repository and self.download_of(pair[1]).id == download
        ]

    def is_on_its_way(self, note: InstallNote) -> bool:
        """Whether its checkpoint is still to be fetched, or a newer commit of it."""
        return bool(note.repository) and self.download_of(note).has_job

    def source_of(self, note: InstallNote) -> Path | CheckpointEntry:
        """What it is made of. Raises CheckpointMissing where that is not here."""
        return Path(note.source) if not note.repository else self.checkpoint(note.repository)

    def checkpoint(self, repository: str) -> CheckpointEntry:
        """What was fetched from the repository. Raises CheckpointMissing."""
        found = Checkpoints(self._models.root).get(repository)
        if found is None:
            raise CheckpointMissing(name=repository)
        return found

    def others(self, note: InstallNote) -> list[InstallNote]:
        """The other installs that need the same checkpoint."""
        return [
            other
            for _, other in self.pairs()
            if note.repository and other.repository == note.repository and other.name != note.name
        ]

    def drop_checkpoint(self, note: InstallNote) -> None:
        """Delete the checkpoint if it was fetched for this install and no other needs it."""
        found = Checkpoints(self._models.root).get(note.repository)
        if found is None or note.keep or self.others(note):
            return
        try:
            Checkpoints(self._models.root).remove(found)
        except HearthError as error:
            log.warning("The checkpoint %s stays: %s", found.name, error)

    def made(self, note: InstallNote) -> ModelEntry | None:
        """The model that it has become already, before somebody was killed."""
        for entry in self._models.list():
            quantization = entry.manifest.quantization
            if entry.name == note.name and quantization is not None and entry.manifest.source == note.source:
                return entry if quantization.recipe.get("name") == note.recipe else None
        return None

    def is_quantized_elsewhere(self, name: str) -> bool:
        """Whether another program, or another part of this one, builds a model of that name."""
        return is_held(self._models.work_folder(name))


def _again(old: InstallNote, new: InstallNote) -> InstallNote:
    """The same install wanted once more goes on; another one of that name must not take its place."""
    is_same = old.recipe == new.recipe and (old.repository or old.source) == (new.repository or new.source)
    if not is_same or old.wanted is Wanted.REMOVED:
        raise ModelNameOnItsWay(name=new.name)
    return msgspec.structs.replace(
        old, keep=old.keep or new.keep, fetches=old.fetches or new.fetches, wanted=Wanted.MADE, failure=None
    )
