"""The thread that makes models of checkpoints, one after the other, and keeps how each went."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock

import msgspec

from hearth.errors import CheckpointMissing, HearthError, QuantizeBusy, QuantizeCancelled
from hearth.models.hub.download_job import DownloadJob, Failure
from hearth.models.hub.install_folder import InstallFolder, InstallNote, Wanted
from hearth.models.registry import ModelEntry, ModelRegistry
from hearth.quantize.recipe_file import load_built_in_recipe
from hearth.services.install_events import InstallDone, InstallEvent, InstallState, InstallStatus
from hearth.services.install_notes import InstallNotes
from hearth.services.install_statuses import Making, damaged_install, made
from hearth.services.quantizing import QuantizeProgress, quantize
from hearth.services.threads import JoinableThread, ThreadFactory

log = logging.getLogger(__name__)

_CLOSE_SECONDS = 5.0


@dataclass(slots=True)
class _Running:
    """The install that the thread has in hand.

    Attributes:
        stop: what shall become of it when it has stopped; None while it shall go on.
    """

    folder: InstallFolder
    making: Making
    stop: Wanted | None = None

    @property
    def name(self) -> str:
        return self.folder.path.name

    def is_stopped(self) -> bool:
        return self.stop is not None


class InstallMaker:
    """Makes whatever the notes want and has its checkpoint here. Any thread may call."""

    def __init__(
        self,
        models: ModelRegistry,
        notes: InstallNotes,
        thread_factory: ThreadFactory,
        *,
        tell: Callable[[InstallEvent], None],
        ended: Callable[[InstallFolder], None],
        remove: Callable[[InstallFolder], None],
        fetch: Callable[[DownloadJob], None],
    ) -> None:
        """
        Args:
            tell: called with what happens, on the thread.
            ended: called on the thread when one has ended, but was not made.
            remove: called on the thread for what is to be removed.
            fetch: called on the thread with a download that is still to be noted.
        """
        self._models = models
        self._notes = notes
        self._thread_factory = thread_factory
        self._tell = tell
        self._ended = ended
        self._remove = remove
        self._fetch = fetch
        self._lock = Lock()
        self._thread: JoinableThread | None = None
        self._current: _Running | None = None
        self._look_again = False
        self._tried = set[str]()  # by the thread that works now
        self._closed = False

    def wake(self) -> None:
        """Look what is to be done. Returns at once."""
        with self._lock:
            self._look_again = True
            if not self._closed and self._thread is None:
                self._thread = self._thread_factory(self._work, "installs")
                self._thread.start()

    def status(self, name: str) -> InstallStatus | None:
        """Of the model that is made at this moment; None for any other."""
        with self._lock:
            current = self._current
            return current.making.status if current is not None and current.name == name else None

    def stop(self, name: str, wanted: Wanted) -> bool:
        """Have it stopped, if it is made at this moment; whether it is."""
        with self._lock:
            if self._current is None or self._current.name != name:
                return False
            if self._current.stop is not Wanted.REMOVED:
                self._current.stop = wanted
            return True

    def go_on(self, name: str) -> bool:
        """Let it be tried again; whether it is made at this moment, or begun anew as soon as it has stopped."""
        with self._lock:
            self._tried.discard(name)
            if self._current is None or self._current.name != name:
                return False
            if self._current.stop is Wanted.PAUSED:
                self._current.stop = Wanted.MADE
            return self._current.stop is not Wanted.REMOVED

    def close(self) -> None:
        """Stop; what was being made is still wanted."""
        with self._lock:
            self._closed = True
            thread = self._thread
            if self._current is not None and self._current.stop is None:
                self._current.stop = Wanted.MADE
        if thread is not None:
            thread.join(_CLOSE_SECONDS)

    # On the thread

    def _work(self) -> None:
        for damaged in self._notes.folders.damaged():
            self._tell(damaged_install(damaged))
        while (current := self._next()) is not None:
            try:
                self._make(current)
            except HearthError as error:  # it is somebody else's at this moment
                log.info("the install of %s waits: %s", current.name, error)
            except Exception:
                # A defect must not keep the others from being made.
                log.exception("the install of %s failed", current.name)
            with self._lock:
                self._current = None
            if current.folder.has_note:
                self._ended(current.folder)

    def _next(self) -> _Running | None:
        """The next one that can be made; one that did not end well is not tried twice in a row."""
        while True:
            with self._lock:
                self._look_again = False
            for folder, note in self._notes.pairs():
                if note.wanted is Wanted.REMOVED:
                    self._remove(folder)
                elif (job := self._notes.to_fetch(note)) is not None:
                    self._fetch(job)
                elif self._is_ready(note) and (current := self._take(folder, note)) is not None:
                    return current
            with self._lock:
                if self._closed or not self._look_again:
                    self._thread = None
                    self._tried.clear()
                    return None

    def _is_ready(self, note: InstallNote) -> bool:
        """Whether it waits for nothing but its turn."""
        if note.wanted is not Wanted.MADE or self._notes.is_on_its_way(note):
            return False
        try:
            return bool(self._notes.source_of(note))
        except CheckpointMissing:  # it may be deleted already, since the model is made
            return self._notes.made(note) is not None

    def _take(self, folder: InstallFolder, note: InstallNote) -> _Running | None:
        with self._lock:
            if self._closed or note.name in self._tried:
                return None
            self._tried.add(note.name)
            self._current = _Running(folder, Making(replace(made(folder, note), state=InstallState.RUNNING)))
            return self._current

    def _make(self, current: _Running) -> None:
        """Make one, and keep how that went.

        Raises:
            ModelsBusy, InstallBusy, ModelFolderMissing, ModelsFolderUnusable: it cannot be tried.
            DiskFull, HomeUnwritable: what became of it cannot be noted.
        """
        folder = current.folder
        entry: ModelEntry | None = None
        failure: Failure | None = None
        with self._models.fetching(), self._notes.folders.held(folder):
            note = folder.read()  # as whoever held it last left it
            wanted = note.wanted
            try:
                if wanted is Wanted.MADE:
                    entry = self._notes.made(note) or self._quantize(note, current)
            except (QuantizeCancelled, QuantizeBusy) as error:
                log.info("%s is not made now: %s", note.name, error.code)
            except HearthError as error:
                log.warning("%s cannot be made: %s", note.name, error)
                wanted, failure = Wanted.FAILED, Failure(error.code, error.params)
            except Exception as error:
                log.exception("making %s failed", note.name)
                wanted, failure = Wanted.FAILED, Failure(HearthError.code, {"detail": repr(error)})
            with self._lock:  # whoever comes from now on changes the note, as soon as it is not held any more
                self._current = None
            if entry is not None:
                self._notes.drop_checkpoint(note)
                folder.delete()
            else:
                if current.stop is not None and (failure is None or current.stop is Wanted.REMOVED):
                    wanted, failure = current.stop, None
                done, total = current.making.quantized
                changes = {"wanted": wanted, "failure": failure, "done": done, "total": total}
                folder.write(msgspec.structs.replace(note, **changes))
        if entry is not None:
            self._tell(InstallDone(folder.id, entry))
        elif wanted is Wanted.REMOVED:
            self._remove(folder)

    def _quantize(self, note: InstallNote, current: _Running) -> ModelEntry:
        def tell(at: QuantizeProgress) -> None:
            if current.making.advance(at):
                self._tell(current.making.status)

        self._tell(current.making.status)
        return quantize(
            self._models,
            self._notes.source_of(note),
            note.name,
            load_built_in_recipe(note.recipe),
            settings=note.settings.sound(),
            progress=tell,
            cancelled=current.is_stopped,
        )
