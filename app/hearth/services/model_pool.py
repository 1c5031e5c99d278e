"""The models that are loaded, or on their way: shared by every front."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock

from hearth.engine.host.protocol import EngineOptions
from hearth.errors import ModelUnloaded
from hearth.models.registry import ModelRegistry
from hearth.services.events import Listeners, ModelState, ModelStatus
from hearth.services.model_worker import ModelWorker
from hearth.services.threads import ThreadFactory, plain_thread

CLOSE_SECONDS = 5.0


class ModelPool:
    """One worker for each loaded model. All methods return at once and may be called from any thread.

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
    ) -> None:
        """`options`: how a model runs where `load` is not told otherwise."""
        self.changes: Listeners[ModelStatus] = Listeners()
        self._registry = registry
        self._options = options
        self._thread_factory = thread_factory
        self._log_file = log_file
        self._lock = Lock()
        self._workers: dict[str, ModelWorker] = {}
        self._leaving: list[ModelWorker] = []
        self._closed = False

    def use_options(self, options: EngineOptions) -> None:
        """How models run that are loaded from now on."""
        with self._lock:
            self._options = options

    def load(self, name: str, options: EngineOptions | None = None) -> ModelWorker:
        """The model's worker, which loads it unless it is loaded or loading; one that failed is tried anew.

        Raises:
            ModelUnloaded: the pool is closed.
        """
        with self._lock:
            if self._closed:
                raise ModelUnloaded(name=name)
            worker = self._workers.get(name)
            if worker is not None and worker.status.state in (ModelState.LOADING, ModelState.READY):
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
                log_file=self._log_file,
            )
            self._workers[name] = worker
            worker.start()
        return worker

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

    def unload_and_wait(self, names: Iterable[str]) -> None:
        """Unload these models and wait until their hosts have let go of the files."""
        with self._lock:
            workers = [self._workers.pop(name) for name in names if name in self._workers]
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
        for worker in workers:
            worker.close()
        _wait_for(workers)

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
