"""What the installs of one models folder want, as it lies on the disk, and what is there of it: downloads, checkpoints, models."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import msgspec

from hearth.errors import (
    CheckpointMissing,
    DownloadNotFound,
    HearthError,
    InstallDamaged,
    InstallNotFound,
    ModelFileInvalid,
    ModelNameOnItsWay,
    QuantizeBusy,
)
from hearth.model_folder.held_folder import is_held
from hearth.model_folder.model_settings import NO_SETTINGS, ModelSettings
from hearth.models.hub.checkpoints import CheckpointEntry, Checkpoints
from hearth.models.hub.download_folder import DownloadFolder, DownloadFolders
from hearth.models.hub.download_job import DownloadJob, Failure
from hearth.models.hub.install_folder import InstallFolder, InstallFolders, InstallNote, Wanted
from hearth.models.hub.names_on_the_way import check_not_on_the_way
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
        """The install of the model of that name. Raises InstallNotFound, InstallDamaged."""
        folder = self.folders.of(name)
        try:
            return folder, folder.read()
        except HearthError:
            missing = InstallDamaged if folder.has_note else InstallNotFound
            raise missing(name=name) from None

    def restore(self, name: str) -> None:
        """Go back to the copy of a damaged note, if there is one.

        Raises:
            HearthError: as `write`.
        """
        folder = self.folders.of(name)
        if folder.is_damaged:
            with self._models.fetching(), self.folders.held(folder):
                folder.restore()

    def new(
        self,
        name: str | None,
        recipe: str,
        *,
        source: str,
        repository: str = "",
        fetch: DownloadJob | None = None,
        settings: ModelSettings = NO_SETTINGS,
    ) -> InstallNote:
        """What is to be noted, where nothing speaks against it.

        Args:
            name: None for a free one after the repository.
            fetch: what brings the checkpoint, where it is not here yet, or only an older commit of it.

        Raises:
            ModelNameInvalid, ModelNameTaken, ModelNameOnItsWay: the model cannot have that name.
            RecipeUnknown: no such recipe comes with Hearth.
            QuantizeBusy: somebody quantizes a model of that name.
        """
        load_built_in_recipe(recipe)
        name = name or free_name(PurePosixPath(repository).name, self._models.taken_names())
        folder = self.folders.of(name)
        self._models.check_free(name)
        check_not_on_the_way(self._models.root, name, folder.id)
        here = Checkpoints(self._models.root).get(repository)
        note = InstallNote(
            name=name,
            recipe=recipe,
            source=source,
            repository=repository,
            fetch=fetch,
            outdated="" if here is None or fetch is None else here.manifest.revision,
            settings=settings,
            added_at=datetime.now(UTC),
        )
        with suppress(ModelFileInvalid):  # there is none yet, or a damaged one
            return _again(folder.read(), note)
        if self.is_quantized_elsewhere(name):
            raise QuantizeBusy(name=name)
        return note

    def write(self, note: InstallNote) -> InstallFolder:
        """Keep it.

        Raises:
            InstallBusy: somebody works on it.
            ModelFolderMissing, ModelsFolderUnusable, ModelsBusy, DiskFull, HomeUnwritable: it cannot be kept.
        """
        folder = self.folders.of(note.name)
        with self._models.fetching(), self.folders.held(folder):
            folder.write(note)
        return folder

    def change(self, folder: InstallFolder, wanted: Wanted, failure: Failure | None = None) -> InstallNote:
        """Keep what shall become of it. Raises InstallNotFound, InstallDamaged and as `write`."""
        with self._models.fetching(), self.folders.held(folder):
            _, note = self.find(folder.path.name)
            note = msgspec.structs.replace(note, wanted=wanted, failure=failure)
            folder.write(note)
        return note

    def download_of(self, note: InstallNote) -> DownloadFolder:
        """The download of its checkpoint, which may have ended or never been."""
        return self._download_from(note.repository)

    def is_passing(self, download: str) -> bool:
        """Whether the download is for installs alone, as it is taken to be where that cannot be read."""
        try:
            return self._downloads.get(download).read().passing
        except HearthError:
            return True

    def waiting_for(self, download: str) -> list[tuple[InstallFolder, InstallNote]]:
        """The installs whose checkpoint the download brings."""
        return [
            pair for pair in self.pairs() if pair[1].repository and self.download_of(pair[1]).id == download
        ]

    def is_on_its_way(self, note: InstallNote) -> bool:
        """Whether its checkpoint is still to be fetched, or a newer commit of it."""
        return bool(note.repository) and self.download_of(note).has_note

    def source_of(self, note: InstallNote) -> Path | CheckpointEntry:
        """What it is made of. Raises CheckpointMissing where that is not here, or only what it was added to replace."""
        if not note.repository:
            return Path(note.source)
        found = self.checkpoint(note.repository)
        if note.outdated and found.manifest.revision == note.outdated:
            raise CheckpointMissing(name=note.repository)
        return found

    def to_fetch(self, note: InstallNote) -> DownloadJob | None:
        """What brings its checkpoint, where that is neither here nor on its way.

        So it is after a kill between the notes of the install and of its download.
        """
        if note.fetch is None or note.wanted is not Wanted.MADE or self.is_on_its_way(note):
            return None
        try:
            self.source_of(note)
        except CheckpointMissing:
            return None if self.made(note) is not None else note.fetch
        return None

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
        """Delete the checkpoint if nobody has asked for it itself, and no other install needs it."""
        if not self.others(note):
            self._drop_checkpoint(note.repository)

    def _drop_checkpoint(self, repository: str) -> None:
        checkpoints, download = Checkpoints(self._models.root), self._download_from(repository)
        if checkpoints.get(repository) is None:
            return
        try:
            with self._downloads.held(download):  # so that nobody asks for it meanwhile
                found = checkpoints.get(repository)
                if found is not None and found.manifest.passing and not download.has_note:
                    checkpoints.remove(found)
        except HearthError as error:
            log.warning("The checkpoint of %s stays: %s", repository, error)

    def drop_unclaimed(self, damaged: InstallFolder, cancel: Callable[[str], None]) -> None:
        """Delete what only an install can have wanted, and none is known to want: it is that of this damaged one.

        Where another one is damaged too, nobody knows whose it is, and it stays until the last of them goes.

        Args:
            cancel: called with the id of a download.
        """
        # Read first: an install is noted before its download, so what is listed here has its note by then.
        downloads, checkpoints = self._downloads.list(), Checkpoints(self._models.root).list()
        fetched = {job.repository for _, job in downloads if job.passing}
        passing = {entry.name for entry in checkpoints if entry.manifest.passing}
        unclaimed = (fetched | passing) - self._claimed()
        if any(other.path != damaged.path for other in self.folders.damaged()):
            return
        for repository in unclaimed:
            if repository in fetched:
                with suppress(DownloadNotFound):  # it has arrived
                    cancel(self._download_from(repository).id)
            if repository not in self._claimed():  # an install that finds its checkpoint here has no download
                self._drop_checkpoint(repository)

    def drop_arrived(self, entry: CheckpointEntry) -> None:
        """Delete a checkpoint that has just arrived, if it was fetched for installs, and none wants it any more.

        While an install is damaged, nobody knows whose it is, and it stays.
        """
        if entry.manifest.passing and not self.folders.damaged() and entry.name not in self._claimed():
            self._drop_checkpoint(entry.name)

    def _claimed(self) -> set[str]:
        """The repositories that installs are made of."""
        return {note.repository for _, note in self.pairs()}

    @property
    def _downloads(self) -> DownloadFolders:
        return DownloadFolders(self._models.root / DOWNLOADS)

    def _download_from(self, repository: str) -> DownloadFolder:
        """The download of its checkpoint, which is the one choice that has the name of its repository."""
        return self._downloads.of(repository, repository)

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
    fetched = new if new.fetch is not None else old
    return msgspec.structs.replace(
        old,
        fetch=fetched.fetch,
        outdated=fetched.outdated,
        settings=new.settings,
        wanted=Wanted.MADE,
        failure=None,
    )
