"""The models that are loaded, or on their way: shared by every front."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Lock

from hearth.engine.host.client import HostClient
from hearth.engine.host.protocol import EngineOptions
from hearth.engine.host.spare import SpareHost
from hearth.engine.outputs import RequestOutput
from hearth.errors import ModelAnswering, ModelUnloaded
from hearth.i18n import tr
from hearth.models.registry import ModelRegistry
from hearth.services.events import Listeners, ModelState, ModelStatus
from hearth.services.model_worker import ModelWorker
from hearth.services.threads import ThreadFactory, plain_thread

log = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0


class ModelPool:
    """One worker for each loaded model. All methods return at once and may be called from any thread.

    A model is loaded when somebody wants it. It is unloaded when it has rested for as long as the settings say, and
    when another one needs its memory: those that have rested longest go first. One that is held, as by an open
    answer, stays; a model that finds no room waits for it.

    Attributes:
        changes: tells every change of a model's status, on a worker's thread.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        options: EngineOptions,
        *,
        thread_factory: ThreadFactory = plain_thread,
        log_file: Path | None = None,
        rest_seconds: float = 0.0,
        limit_bytes: int = 0,
        watch: Callable[[ModelWorker], Callable[[RequestOutput, int], None]] | None = None,
    ) -> None:
        """Load nothing yet.

        Args:
            options: how a model runs where `load` is not told otherwise.
            rest_seconds: after so much rest a model is unloaded; 0 keeps all.
            limit_bytes: memory for all models together; 0 is no limit. A model alone may take more.
            watch: makes what is told of every output of a worker, and how many requests it has.
        """
        self.changes: Listeners[ModelStatus] = Listeners()
        self._registry = registry
        self._options = options
        self._thread_factory = thread_factory
        self._spare = SpareHost(log_file)
        self._rest_seconds = rest_seconds
        self._limit_bytes = limit_bytes
        self._watch = watch
        self._lock = Lock()
        self._workers: dict[str, ModelWorker] = {}
        self._leaving: list[ModelWorker] = []
        self._closed = False

    def use_options(self, options: EngineOptions) -> None:
        """How models run that are loaded from now on."""
        with self._lock:
            self._options = options

    def use_limits(self, *, rest_seconds: float, limit_bytes: int) -> None:
        """How long models rest and what memory they have from now on; see `__init__`. Nothing is unloaded for it now."""
        with self._lock:
            self._rest_seconds, self._limit_bytes = rest_seconds, limit_bytes
            workers = list(self._workers.values())
        for worker in workers:
            worker.use_rest(rest_seconds)

    def prepare(self) -> Future[HostClient | None]:
        """Somebody may want a model soon: a host starts that can then load it at once; see `SpareHost`."""
        return self._spare.prepare()

    def load(self, name: str, options: EngineOptions | None = None) -> ModelWorker:
        """The model's worker, which loads it unless it is loaded or loading; one that failed is tried anew.

        Raises:
            ModelUnloaded: the pool is closed.
        """
        with self._lock:
            return self._load(name, options)

    def acquire(self, name: str, options: EngineOptions | None = None) -> ModelWorker:
        """The same, and the model stays until its worker's `rest.release` is called."""
        with self._lock:
            worker = self._load(name, options)
            worker.rest.hold()
            return worker

    def _load(self, name: str, options: EngineOptions | None) -> ModelWorker:
        if self._closed:
            raise ModelUnloaded(name=name)
        worker = self._workers.get(name)
        if worker is not None and worker.status.state in (ModelState.LOADING, ModelState.READY):
            worker.rest.touch()
            return worker
        if worker is not None:
            worker.close()
            self._leave(worker)
        worker = ModelWorker(
            name,
            find_entry=self._registry.get,
            options=options or self._options,
            thread_factory=self._thread_factory,
            on_status=self._changed,
            start_host=self._spare.take,
            make_room=self._make_room,
            on_rest=self._rest,
            rest_seconds=self._rest_seconds,
        )
        if self._watch is not None:
            worker.requests.watch = self._watch(worker)
        self._workers[name] = worker
        worker.start()
        return worker

    def is_answering(self, name: str) -> bool:
        """Whether answers of the model are open, or somebody else needs it."""
        with self._lock:
            worker = self._workers.get(name)
            return worker is not None and worker.rest.is_held

    def memory_bytes(self, name: str) -> int:
        """The memory that the model takes now; 0 where it is not loaded."""
        with self._lock:
            worker = self._workers.get(name)
        return 0 if worker is None else worker.memory_bytes()

    def use_own_rest(self, name: str, minutes: int | None) -> None:
        """The owner has set after how many minutes of rest this model is unloaded; None takes the setting of all."""
        with self._lock:
            worker = self._workers.get(name)
        if worker is not None:
            worker.use_own_rest(minutes)

    def unload(self, name: str) -> None:
        """End the model's host; its memory comes back at once. Open answers end with ModelUnloaded."""
        with self._lock:
            worker = self._workers.pop(name, None)
            if worker is not None:
                self._leave(worker)
        if worker is not None:
            worker.unload()

    def unload_moved(self, folders: Mapping[str, Path]) -> None:
        """Unload the models whose files do not lie where `folders` has them by name, or nowhere any more."""
        with self._lock:
            loaded = [(worker.name, worker.folder) for worker in self._workers.values()]
        for name, folder in loaded:
            if folder is None or folders.get(name) != folder:
                self.unload(name)

    def unload_and_wait(self, names: Iterable[str], *, only_idle: bool = False) -> None:
        """Unload these models and wait until their hosts have let go of the files.

        Args:
            only_idle: not where somebody needs one of them. Who acquires one afterwards gets it loaded anew.

        Raises:
            ModelAnswering: somebody does; then none is unloaded.
        """
        with self._lock:
            loaded = [name for name in dict.fromkeys(names) if name in self._workers]
            for name in loaded:
                if only_idle and self._workers[name].rest.is_held:
                    raise ModelAnswering(name=name)
            workers = [self._workers.pop(name) for name in loaded]
            for worker in workers:
                self._leave(worker)
        for worker in workers:
            worker.unload()
        _wait_for(workers)

    def status(self, name: str) -> ModelStatus:
        with self._lock:
            worker = self._workers.get(name)
        return ModelStatus(name, ModelState.UNLOADED) if worker is None else worker.status

    def statuses(self) -> list[ModelStatus]:
        """Of every model that is loaded, loading or failed."""
        with self._lock:
            return [worker.status for worker in self._workers.values()]

    def close(self) -> None:
        """End every host and wait for the workers, so that what they still had to store is stored."""
        with self._lock:
            self._closed = True
            workers = [*self._workers.values(), *self._leaving]
            self._workers.clear()
            self._leaving.clear()
        self._spare.close()
        for worker in workers:
            worker.close()
        _wait_for(workers)

    def _make_room(self, worker: ModelWorker) -> str | None:
        """Give a model the memory that it needs, and unload others for it; or say what it waits for."""
        needed = worker.estimate_bytes()
        with self._lock:
            if not self._limit_bytes:
                return None
            room = self._limit_bytes - needed
            others = [other for other in self._workers.values() if other is not worker]
            taken = {other: size for other in others if (size := other.memory_bytes())}
            leaving = sum(old.memory_bytes() for old in self._leaving if old.is_alive())
            gone: list[ModelWorker] = []
            for other in sorted(taken, key=lambda other: other.rest.last_used):
                if sum(taken.values()) > room and other.is_idle:
                    leaving += taken.pop(other)
                    gone.append(self._workers.pop(other.name))
                    self._leave(other)
            if leaving + sum(taken.values()) <= room or not (leaving or taken):
                worker.expected_bytes = needed
                return None
        for other in gone:
            notice = tr("{name} was unloaded to make room for {other}.", name=other.name, other=worker.name)
            other.unload(notice)
        if sum(taken.values()) <= room or not taken:  # as soon as the hosts of those that leave have ended
            return ""
        names = ", ".join(sorted(other.name for other in taken))
        return tr("{name} waits for the memory that {others} needs now.", name=worker.name, others=names)

    def _rest(self, worker: ModelWorker) -> None:
        """A model has rested for long enough: unload it, unless somebody wants it at this very moment."""
        with self._lock:
            if self._workers.get(worker.name) is not worker or not worker.is_idle:
                return
            del self._workers[worker.name]
            self._leave(worker)
        log.info("%s is unloaded: it has rested for long enough", worker.name)
        worker.unload()

    def _leave(self, worker: ModelWorker) -> None:
        self._leaving = [*(old for old in self._leaving if old.is_alive()), worker]

    def _changed(self, worker: ModelWorker) -> None:
        # A worker that was replaced has nothing to say about the model any more.
        with self._lock:
            current = self._workers.get(worker.name)
        if current is worker or (current is None and worker.status.state is ModelState.UNLOADED):
            self.changes.emit(worker.status)


def _wait_for(workers: Sequence[ModelWorker]) -> None:
    for worker in workers:
        worker.join(timeout=CLOSE_SECONDS)
        if worker.is_alive() and worker.client is not None:
            worker.client.kill()  # its thread waits for a host that does not answer
            worker.join(timeout=CLOSE_SECONDS)
