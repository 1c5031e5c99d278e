"""Models on their way from the hub to where they answer: downloads, and what is quantized of them. It outlives the program.

An install of a checkpoint is a note beside the models, `.installs/<name>`, and its download one of the queue in
`downloads.py`, so both are what lies on the disk. Where somebody stopped or killed Hearth, the next window goes on: the
download asks for no byte twice, and `quantize` finds its own work. What is only fetched is a download and needs no
note; the ones that `hearth models pull` left are listed too.

How a front uses it:

- `add` or `add_checkpoint` notes what is wanted, and `start` has it worked on: it returns at once, and may be called
  again and again; a window calls it when it is up, and after each `add` or `resume`. Downloads follow each other on
  their thread, and models are quantized on another, one at a time.
- `list` gives every install as it is now, and `changes` tells whatever happens from then on: `InstallStatus` several
  times a second while one runs, and at each change of its state; `InstallDone` when the model is in the list;
  `InstallRemoved` when there is nothing of it any more.

A checkpoint that was fetched for an install is deleted when the model is there and no other install needs it, unless
somebody has asked for the checkpoint itself: `Downloads.add` does, before, meanwhile or after.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock

from hearth.errors import (
    CheckpointMissing,
    DownloadNotFound,
    HearthError,
    InstallBusy,
    InstallNotFound,
    ModelFolderMissing,
)
from hearth.model_folder.model_settings import NO_SETTINGS, ModelSettings
from hearth.models.hub.checkpoints import CheckpointEntry, Checkpoints
from hearth.models.hub.choices import Choice, Format
from hearth.models.hub.download_job import DownloadJob, new_job
from hearth.models.hub.install_folder import InstallFolder, InstallFolders, InstallNote, Wanted
from hearth.models.hub.repository import Repository
from hearth.models.registry import ModelEntry, ModelRegistry
from hearth.quantize.recipe_file import DEFAULT_RECIPE
from hearth.services.download_events import DownloadDone, DownloadEvent, DownloadState, DownloadStatus
from hearth.services.downloads import Downloads
from hearth.services.events import Listeners
from hearth.services.install_events import (
    InstallDone,
    InstallEvent,
    InstallRemoved,
    InstallState,
    InstallStatus,
)
from hearth.services.install_maker import InstallMaker
from hearth.services.install_notes import InstallNotes
from hearth.services.install_statuses import damaged_install, fetched_first, made, not_begun, only_fetched
from hearth.services.quantizing import checkpoint_folder, discard
from hearth.services.threads import ThreadFactory, plain_thread

log = logging.getLogger(__name__)


class Installs:
    """The installs of one models folder. Any thread may call; all but `start` read and write files, so no main thread.

    Attributes:
        changes: tells what happens to installs, on the thread where it happens.
    """

    def __init__(
        self, models: ModelRegistry, downloads: Downloads, *, thread_factory: ThreadFactory = plain_thread
    ) -> None:
        self.changes: Listeners[InstallEvent] = Listeners()
        self._models = models
        self._downloads = downloads
        self._notes = InstallNotes(models)
        self._maker = InstallMaker(
            models,
            self._notes,
            thread_factory,
            tell=self.changes.emit,
            ended=self._on_ended,
            remove=self._go_on_removing,
            fetch=self._go_on_fetching,
        )
        self._removing = Lock()
        self._started = False
        self._unsubscribe = downloads.changes.subscribe(self._on_download)

    def list(self) -> list[InstallStatus]:
        """Every install: those that are past their download, then the others, each in its order."""
        notes = self._notes.pairs()
        downloads = {download.id: download for download in self._downloads.list()}
        waiting: dict[str, list[InstallStatus]] = {}
        found = []
        for folder, note in notes:
            download = downloads.get(self._notes.download_of(note).id) if note.repository else None
            if download is not None:
                waiting.setdefault(download.id, []).append(fetched_first(folder, note, download))
                continue
            status = self._status(folder, note)
            if folder.has_note:  # it may have ended a moment ago
                found.append(status)
        damaged = self._notes.folders.damaged()
        found += [self._maker.status(folder.path.name) or damaged_install(folder) for folder in damaged]
        for download in downloads.values():
            found += waiting.get(download.id) or [only_fetched(download)]
        return found

    def add(
        self,
        repository: Repository,
        choice: Choice,
        *,
        name: str | None = None,
        recipe: str = DEFAULT_RECIPE,
        settings: ModelSettings = NO_SETTINGS,
    ) -> InstallStatus:
        """Note that this choice shall become a model; what is there of an earlier try is gone on with.

        Args:
            name: of the model; by default after its repository or file.
            recipe: for a checkpoint, the name of one that comes with Hearth.
            settings: of the model, from its first moment.

        Raises:
            ModelNameInvalid, ModelNameTaken, ModelNameOnItsWay: the model cannot have that name.
            RecipeUnknown: there is no such recipe.
            InstallBusy, DownloadBusy, QuantizeBusy: somebody works on it.
            ModelFolderMissing, ModelsFolderUnusable, ModelsBusy, DiskFull, HomeUnwritable: it cannot be noted.
        """
        if choice.format is not Format.CHECKPOINT:
            return only_fetched(self._downloads.add(repository, choice, name, settings))
        there = Checkpoints(self._models.root).get(repository.name)
        if there is not None and there.manifest.revision == repository.commit:
            fetch, source = None, there.manifest.source
        else:
            fetch = new_job(repository, choice, passing=True)
            source = fetch.source
        note = self._notes.new(
            name, recipe, source=source, repository=repository.name, fetch=fetch, settings=settings
        )
        is_new = not self._notes.folders.of(note.name).has_note
        folder = self._want(note)
        if fetch is not None:
            try:
                self._want_download(fetch)
            except BaseException:
                if is_new:
                    with self._notes.folders.held(folder):
                        folder.delete()
                raise
        return self._told(folder)

    def add_checkpoint(self, source: str | Path, name: str, recipe: str = DEFAULT_RECIPE) -> InstallStatus:
        """Note that a model shall be made of a checkpoint that is here already, and stays.

        Args:
            source: the repository that it was fetched from, or the path of its folder.

        Raises:
            CheckpointMissing, ModelFolderMissing: it is not here.
            HearthError: as in `add`.
        """
        if isinstance(source, Path):
            path = checkpoint_folder(source)
            if not path.is_dir():
                raise ModelFolderMissing(path=str(source))
            note = self._notes.new(name, recipe, source=str(path))
        else:
            there = self._notes.checkpoint(source)
            note = self._notes.new(name, recipe, source=there.manifest.source, repository=there.name)
        return self._told(self._want(note))

    def start(self) -> None:
        """Go on with whatever is wanted. Returns at once."""
        self._started = True
        self._maker.wake()
        self._downloads.start()

    def pause(self, install: str) -> None:
        """Stop it where it is, until `resume`.

        Raises:
            InstallNotFound, DownloadNotFound: there is none of that id.
            InstallBusy, DownloadBusy: it runs in another process.
        """
        name = InstallFolders.name_of(install)
        if name is None:
            self._downloads.pause(install)
        else:
            self._stop(name, Wanted.PAUSED, self._downloads.pause)

    def resume(self, install: str) -> None:
        """Have a paused or failed one gone on with; `start` then does.

        Raises:
            InstallNotFound, DownloadNotFound: there is none of that id.
            InstallBusy, DownloadBusy: it runs in another process.
            CheckpointMissing: what it was to be made of is gone; `add` fetches it again.
            InstallDamaged: what was noted of it cannot be read, and neither can its copy.
        """
        name = InstallFolders.name_of(install)
        if name is None:
            self._downloads.resume(install)
        elif not self._maker.go_on(name):
            self._notes.restore(name)
            _, note = self._notes.find(name)
            if not self._notes.is_on_its_way(note) and note.fetch is None:
                self._notes.source_of(note)
            self._told(self._change(name, Wanted.MADE, self._downloads.resume))

    def cancel(self, install: str) -> None:
        """Stop it, and delete what is there of it.

        Raises:
            InstallNotFound, DownloadNotFound: there is none of that id.
            InstallBusy, DownloadBusy, QuantizeBusy: it runs in another process.
            HomeUnwritable: it cannot be deleted.
        """
        name = InstallFolders.name_of(install)
        if name is None:
            self._downloads.cancel(install)
        else:
            self._stop(name, Wanted.REMOVED, self._cancel_download)

    def close(self) -> None:
        """Stop; what was running is gone on with when installs are next started."""
        self._unsubscribe()
        self._maker.close()

    # What is wanted

    def _want(self, note: InstallNote) -> InstallFolder:
        """Keep it; one that runs here already goes on."""
        if self._maker.go_on(note.name):
            return self._notes.folders.of(note.name)
        return self._notes.write(note)

    def _want_download(self, job: DownloadJob) -> None:
        """Have the checkpoint fetched, unless that is done at this moment, for whomever."""
        if not any(
            download.state is DownloadState.RUNNING
            and (download.repository, download.choice) == (job.repository, job.choice.name)
            for download in self._downloads.list()
        ):
            self._downloads.put(job)

    def _change(self, name: str, wanted: Wanted, act: Callable[[str], None]) -> InstallFolder:
        """Keep what shall become of it, and do the same to its download, if that has not ended: both, or neither."""
        folder, before = self._notes.find(name)
        note = self._notes.change(folder, wanted)
        if self._notes.is_on_its_way(note):
            try:
                act(self._notes.download_of(note).id)
            except DownloadNotFound:
                log.info("the download for %s has just ended", name)
            except HearthError:
                self._notes.change(folder, before.wanted, before.failure)
                raise
        return folder

    def _cancel_download(self, download: str) -> None:
        """Cancel it, unless another install waits for it, or somebody has asked for the checkpoint itself."""
        waiting = self._notes.waiting_for(download)
        if self._notes.is_passing(download) and all(note.wanted is Wanted.REMOVED for _, note in waiting):
            self._downloads.cancel(download)

    def _stop(self, name: str, wanted: Wanted, act: Callable[[str], None]) -> None:
        """Stop it for that, whether it is made at this moment, or fetched, or neither."""
        if self._maker.stop(name, wanted):
            return
        folder = self._notes.folders.of(name)
        if wanted is Wanted.REMOVED and folder.is_damaged:
            self._notes.restore(name)  # so that it is known what is its own
            if folder.is_damaged:
                self._remove_damaged(folder)
                return
        try:
            folder = self._change(name, wanted, act)
        except InstallBusy:
            if not self._maker.stop(name, wanted):  # its turn may just have come
                raise
            return
        if wanted is Wanted.REMOVED:
            self._remove(folder)
        else:
            self._told(folder)

    # What happens

    def _status(self, folder: InstallFolder, note: InstallNote) -> InstallStatus:
        """Of one that is past its download."""
        running = self._maker.status(note.name)
        if running is not None:
            return running
        status = made(folder, note)
        if folder.is_held() or self._notes.is_quantized_elsewhere(note.name):
            return replace(status, state=InstallState.RUNNING, elsewhere=True)
        try:
            self._notes.source_of(note)
        except CheckpointMissing as error:
            if note.fetch is not None:
                return not_begun(folder, note, note.fetch)
            return replace(status, state=InstallState.FAILED, error=error)
        return status

    def _told(self, folder: InstallFolder) -> InstallStatus:
        """Tell where it stands now."""
        status = next((status for status in self.list() if status.id == folder.id), None)
        if status is None:
            raise InstallNotFound(name=folder.path.name)
        self.changes.emit(status)
        return status

    def _on_download(self, event: DownloadEvent) -> None:
        """On the thread of the download: what it means for the installs that wait for it."""
        waiting = self._notes.waiting_for(event.id)
        if not waiting:
            self.changes.emit(_of_download(event))
        for folder, note in waiting:
            if note.wanted is Wanted.REMOVED:
                self._remove(folder)
            elif isinstance(event, DownloadStatus):
                self.changes.emit(fetched_first(folder, note, event))
            else:
                self.changes.emit(self._status(folder, note))
        if isinstance(event, DownloadDone) and self._started:
            self._maker.wake()
        if isinstance(event, DownloadDone) and isinstance(event.entry, CheckpointEntry) and not waiting:
            with self._models.fetching():  # it may have been cancelled too late to be stopped
                self._notes.drop_arrived(event.entry)

    def _remove(self, folder: InstallFolder) -> None:
        """Delete what is there of a cancelled one; where its download has not ended yet, that comes back here.

        A download that somebody has asked for itself goes on, and is told as what is only fetched.
        """
        with self._removing:
            try:
                note = folder.read()
            except HearthError:  # somebody was faster
                return
            download = self._notes.download_of(note).id
            ends = self._notes.is_passing(download) and not self._notes.others(note)
            if note.wanted is not Wanted.REMOVED or (self._notes.is_on_its_way(note) and ends):
                return
            with self._models.fetching(), self._notes.folders.held(folder):
                discard(self._models, note.name)
                self._notes.drop_checkpoint(note)
                folder.delete()
        self.changes.emit(InstallRemoved(folder.id))
        if self._notes.is_on_its_way(note):
            for status in self.list():
                if status.id == download:
                    self.changes.emit(status)

    def _remove_damaged(self, folder: InstallFolder) -> None:
        """Delete one that says no more what it wanted."""
        with self._models.fetching(), self._notes.folders.held(folder):
            if not folder.is_damaged:  # somebody has added it anew, or was faster
                return
            self._notes.drop_unclaimed(folder, self._downloads.cancel)
            discard(self._models, folder.path.name)
            folder.delete()
        self.changes.emit(InstallRemoved(folder.id))
        # What has arrived meanwhile was left alone because of this one.
        self._notes.drop_unclaimed(folder, self._downloads.cancel)

    def _on_ended(self, folder: InstallFolder) -> None:
        with suppress(InstallNotFound):  # somebody was faster
            self._told(folder)

    def _go_on_removing(self, folder: InstallFolder) -> None:
        """Finish what was cancelled, in an earlier run of the program too."""
        try:
            _, note = self._notes.find(folder.path.name)
            if self._notes.is_on_its_way(note):
                self._cancel_download(self._notes.download_of(note).id)
            self._remove(folder)
        except HearthError as error:
            log.warning("%s cannot be removed now: %s", folder.path.name, error)

    def _go_on_fetching(self, job: DownloadJob) -> None:
        """Note the download of an install, which somebody was killed before, or has deleted since."""
        try:
            self._want_download(job)
            self._downloads.start()
        except HearthError as error:
            log.warning("%s cannot be fetched now: %s", job.name, error)


def _of_download(event: DownloadEvent) -> InstallEvent:
    """What happened to an install that is a download and no more."""
    if isinstance(event, DownloadStatus):
        return only_fetched(event)
    if isinstance(event, DownloadDone) and isinstance(event.entry, ModelEntry):
        return InstallDone(event.id, event.entry)
    return InstallRemoved(event.id)
