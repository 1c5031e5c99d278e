"""Models on their way from the hub: a queue that outlives the program, with pause, cancel and progress.

Each download is a folder beside the models, `.downloads/<id>`, which says what is wanted and has what is there, so the
queue is what lies on the disk: a window that starts, and a command in another process, find the same one.

How a front uses it:

- `hub.look(name)` tells what a repository has, and `add` puts one choice of it into the queue.
- `start` has the queue worked on, one download at a time, on a thread of its own. A window calls it when it is up,
  which goes on with what the last run of the program left, and after each `add` or `resume`. It returns at once.
- `list` gives every download as it is now: for a window that has just started, or opens its page. Then `changes` tells
  whatever happens, on the thread of the download, or on the one that called `add`, `pause`, `resume` or `cancel`:
  `DownloadStatus` several times a second while one runs, and at each change of its state; `DownloadDone` when it has
  arrived, and `DownloadRemoved` when it was cancelled, after which it is not listed any more.
- `run` is for a command that waits for the one download: it fetches on the calling thread, whatever the queue does.

A download that another process runs is listed as running, `elsewhere`; it cannot be paused or cancelled from here.
"""

from __future__ import annotations

import builtins
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING

import msgspec

from hearth.errors import DownloadStopped, HearthError, InstallDamaged
from hearth.model_folder.model_settings import NO_SETTINGS, ModelSettings
from hearth.models.copying import CancelledCallback
from hearth.models.hub.checkpoints import CheckpointEntry
from hearth.models.hub.choices import Choice, Format
from hearth.models.hub.download_folder import DownloadFolder, DownloadFolders
from hearth.models.hub.download_job import DownloadJob, Failure, Wanted, new_job
from hearth.models.hub.names_on_the_way import check_not_on_the_way
from hearth.models.registry import ModelEntry, ModelRegistry
from hearth.models.workspace import DOWNLOADS
from hearth.services.download_arrival import arrived, bring
from hearth.services.download_events import (
    DownloadDone,
    DownloadEvent,
    DownloadRemoved,
    DownloadState,
    DownloadStatus,
)
from hearth.services.download_statuses import damaged_download, download_status
from hearth.services.events import Listeners
from hearth.services.threads import JoinableThread, ThreadFactory, plain_thread

if TYPE_CHECKING:
    from hearth.models.hub.fetch import FetchProgress
    from hearth.models.hub.repository import Repository

log = logging.getLogger(__name__)

_CLOSE_SECONDS = 5.0


@dataclass(slots=True)
class _Running:
    """The download that the queue's thread has in hand.

    Attributes:
        stop: what becomes of it when it has stopped; None while it shall go on.
        remove: whether it is deleted then.
    """

    id: str
    stop: Wanted | None = None
    remove: bool = False

    def is_stopped(self) -> bool:
        return self.stop is not None

    def wanted(self) -> Wanted:
        return self.stop or Wanted.PAUSED


class Downloads:
    """The queue of one models folder. Any thread may call; all but `start` read and write files, so no main thread.

    Attributes:
        changes: tells what happens to downloads.
    """

    def __init__(self, models: ModelRegistry, *, thread_factory: ThreadFactory = plain_thread) -> None:
        self.changes: Listeners[DownloadEvent] = Listeners()
        self._models = models
        self._thread_factory = thread_factory
        self._lock = Lock()
        self._thread: JoinableThread | None = None
        self._current: _Running | None = None
        self._tried = set[str]()  # by the thread that works now
        self._closed = False

    def list(self) -> list[DownloadStatus]:
        """Every download, in the order of the queue."""
        with self._lock:
            here = self._current.id if self._current is not None else None
        found = []
        for folder, job in self._folders.list():
            elsewhere = folder.id != here and folder.is_held()
            state = DownloadState.RUNNING if elsewhere or folder.id == here else None
            found.append(replace(download_status(folder, job, state), elsewhere=elsewhere))
        damaged = (folder for folder in self._folders.damaged() if folder.id != here)
        return found + [damaged_download(folder) for folder in damaged]

    def of_repository(self, repository: str) -> builtins.list[DownloadStatus]:
        """Those from there, ignoring case.

        A damaged one is told by its copy. Where there is none, it is told by the name of its folder, which is cut
        short: it may be that of another repository whose name begins with the same 40 characters.
        """
        return [
            one
            for one in self.list()
            if one.repository.lower() == repository.lower()
            or (not one.repository and DownloadFolders.may_be_of(one.id, repository))
        ]

    def add(
        self,
        repository: Repository,
        choice: Choice,
        name: str | None = None,
        settings: ModelSettings = NO_SETTINGS,
    ) -> DownloadStatus:
        """Put it into the queue; what is there of an earlier try is gone on with. `start` then has it fetched.

        Args:
            name: of the model; from its repository or file by default. A checkpoint is named by its repository.
            settings: of the model, from its first moment.

        Raises:
            ModelNameInvalid, ModelNameTaken, ModelNameOnItsWay: the model cannot have that name.
            DownloadBusy: it is being fetched.
            ModelFolderMissing, ModelsFolderUnusable, ModelsBusy, DiskFull, HomeUnwritable: it cannot be noted.
        """
        return self.put(new_job(repository, choice, name, settings=settings))

    def put(self, job: DownloadJob) -> DownloadStatus:
        """The same with what `new_job` gave."""
        folder = self._folders.of(job.repository, job.choice.name)
        if job.format is not Format.CHECKPOINT and arrived(self._models, job) is None:
            self._models.check_free(job.name)
            check_not_on_the_way(self._models.root, job.name, folder.id)
        with self._models.fetching(), self._folders.held(folder):
            with suppress(HearthError):  # there is none yet
                before = folder.read()
                passing = job.passing and before.passing
                job = msgspec.structs.replace(job, added_at=before.added_at, passing=passing)
            folder.keep_only(job)
            folder.write(job)
        with self._lock:
            self._tried.discard(folder.id)
        status = download_status(folder, job)
        self.changes.emit(status)
        return status

    def start(self) -> None:
        """Have the queue worked on. Returns at once."""
        with self._lock:
            if self._closed or self._thread is not None:
                return
            self._thread = self._thread_factory(self._work, "downloads")
            self._thread.start()

    def run(
        self,
        download: str,
        *,
        progress: Callable[[DownloadStatus], None] = lambda _status: None,
        cancelled: CancelledCallback = lambda: False,
    ) -> ModelEntry | CheckpointEntry:
        """Fetch one download now, on this thread; the model or checkpoint that it has become.

        Whatever stops this, the list of models has the whole model or nothing, and what is fetched is kept. It is
        paused where `cancelled` or Ctrl+C stopped it, failed where an error did, and still queued after a kill.

        Args:
            progress: called several times a second, on this thread.
            cancelled: asked as often; True stops.

        Raises:
            DownloadNotFound: there is none of that id.
            DownloadBusy: another thread or process fetches it.
            DownloadStopped: `cancelled` said so.
            DownloadRoom, DiskFull, HomeUnwritable, ModelFolderMissing, ModelsFolderUnusable: it cannot be stored.
            FileNotAsListed: a file is not what the repository lists.
            RepositoryNotFound, RevisionNotFound, RepositoryGated, HubRefused, TokenRefused: the hub does not give it.
            HubOffline, HubUnreachable, HubBusy, HubFailed: the hub cannot be reached.
            ModelsBusy: the models are being moved.
            HearthError: whatever is wrong with the model.
        """
        return self._fetch(download, progress, cancelled, lambda: Wanted.PAUSED)

    def pause(self, download: str) -> None:
        """Stop it where it is, until `resume`.

        Raises:
            DownloadNotFound: there is none of that id.
            DownloadBusy: it runs in another process.
        """
        if not self._stop_running(download, Wanted.PAUSED):
            self._want(download, Wanted.PAUSED)

    def resume(self, download: str) -> None:
        """Put a paused or failed one back into the queue; `start` then has it fetched.

        Raises:
            DownloadNotFound: there is none of that id.
            DownloadBusy: it runs in another process.
            InstallDamaged: it is damaged, and so is its copy.
        """
        if self._is_running(download):
            return
        folder = self._folders.get(download)
        if folder.is_damaged:
            with self._models.fetching(), self._folders.held(folder):
                folder.restore()
        self._want(download, Wanted.FETCHED)

    def cancel(self, download: str) -> None:
        """Stop it, and delete what is there of it.

        Raises:
            DownloadNotFound: there is none of that id.
            DownloadBusy: it runs in another process.
            HomeUnwritable: it cannot be deleted.
        """
        if not self._stop_running(download, Wanted.PAUSED, remove=True):
            with self._models.fetching():
                self._remove(self._folders.get(download))

    def close(self) -> None:
        """Stop; what was running is gone on with when the queue is next started."""
        with self._lock:
            self._closed = True
            thread = self._thread
            if self._current is not None and self._current.stop is None:
                self._current.stop = Wanted.FETCHED
        if thread is not None:
            thread.join(_CLOSE_SECONDS)

    @property
    def _folders(self) -> DownloadFolders:
        return DownloadFolders(self._models.root / DOWNLOADS)

    def _work(self) -> None:
        """The queue's thread: whatever is wanted, one after the other."""
        for damaged in self._folders.damaged():
            self.changes.emit(damaged_download(damaged))
        while (current := self._next()) is not None:
            try:
                self._fetch(current.id, lambda _status: None, current.is_stopped, current.wanted)
            except HearthError as error:
                log.info("the download %s ended by %s", current.id, error.code)
            except Exception:
                # A defect must not keep the others from being fetched.
                log.exception("the download %s failed", current.id)
            with self._lock:
                self._current = None
            if current.remove:
                with suppress(HearthError):  # its files stay until somebody cancels it again
                    self._remove(self._folders.get(current.id))

    def _next(self) -> _Running | None:
        """The next download that waits; one that did not end well is not tried twice in a row."""
        with self._lock:
            for folder, job in [] if self._closed else self._folders.list():
                if job.wanted is Wanted.FETCHED and folder.id not in self._tried:
                    self._tried.add(folder.id)
                    self._current = _Running(folder.id)
                    return self._current
            self._thread = None
            self._tried.clear()
            return None

    def _fetch(
        self,
        download: str,
        progress: Callable[[DownloadStatus], None],
        cancelled: CancelledCallback,
        when_stopped: Callable[[], Wanted],
    ) -> ModelEntry | CheckpointEntry:
        folder, _ = self._find(download)
        with self._models.fetching(), self._folders.held(folder):
            _, job = self._find(download)  # as whoever held it last left it

            def tell(at: FetchProgress) -> None:
                progress(self._tell(folder, job, at))

            try:
                entry = arrived(self._models, job) or bring(self._models, folder, job, tell, cancelled)
            except DownloadStopped:
                self._note(folder, job, when_stopped())
                raise
            except HearthError as error:
                self._note(folder, job, Wanted.FAILED, Failure(error.code, error.params))
                raise
            except BaseException:  # Ctrl+C
                self._note(folder, job, Wanted.PAUSED)
                raise
            folder.delete()
        log.info("%s was fetched from %s", job.name, job.source)
        self.changes.emit(DownloadDone(download, entry))
        return entry

    def _find(self, download: str) -> tuple[DownloadFolder, DownloadJob]:
        for folder, job in self._folders.list():
            if folder.id == download:
                return folder, job
        raise InstallDamaged(name=self._folders.get(download).id)

    def _want(self, download: str, wanted: Wanted) -> None:
        with self._models.fetching():
            folder, _ = self._find(download)
            with self._folders.held(folder):
                self._note(folder, self._find(download)[1], wanted)
        with self._lock:
            self._tried.discard(download)

    def _note(
        self, folder: DownloadFolder, job: DownloadJob, wanted: Wanted, failure: Failure | None = None
    ) -> None:
        """Keep what shall become of it, and tell it. A disk that takes no note keeps the old one."""
        job = msgspec.structs.replace(job, wanted=wanted, failure=failure)
        try:
            folder.write(job)
        except HearthError as error:
            log.warning("It cannot be noted that %s is %s: %s", folder.id, wanted, error)
        self.changes.emit(download_status(folder, job))

    def _stop_running(self, download: str, wanted: Wanted, *, remove: bool = False) -> bool:
        """Have the queue's thread stop it, if it has it in hand; whether it has."""
        with self._lock:
            current = self._current
            if current is None or current.id != download:
                return False
            current.stop, current.remove = wanted, current.remove or remove
            return True

    def _is_running(self, download: str) -> bool:
        """Whether the queue's thread has it in hand, and goes on with it."""
        with self._lock:
            return (
                self._current is not None and self._current.id == download and not self._current.is_stopped()
            )

    def _remove(self, folder: DownloadFolder) -> None:
        if folder.path.exists():
            self._folders.remove(folder)
            self.changes.emit(DownloadRemoved(folder.id))

    def _tell(self, folder: DownloadFolder, job: DownloadJob, at: FetchProgress) -> DownloadStatus:
        status = replace(
            download_status(folder, job, DownloadState.RUNNING, at.done),
            bytes_per_second=at.bytes_per_second,
            seconds_left=at.seconds_left,
        )
        self.changes.emit(status)
        return status
