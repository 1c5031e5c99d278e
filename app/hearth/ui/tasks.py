"""Work off the main thread, and its results back on it.

`tasks.run(job).success(show).failure(explain)`: `job` runs in a worker thread and must not touch a widget; `show` and
`explain` run on the main thread. Both are attached before the event loop turns again, so none is ever missed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from typing import Any, Generic, TypeVar

import shiboken6
from PySide6.QtCore import QObject, QRunnable, Qt, QThread, QThreadPool, Signal, Slot

from hearth.errors import HearthError

_log = logging.getLogger(__name__)

Result = TypeVar("Result")

_FILES_THREADS = 8


class Unwanted(Exception):
    """For a job that ends because nobody waits for it any more: nothing is wrong."""


class Lane(Enum):
    """Where a job runs.

    STORE: one thread, jobs in the order in which they were asked for: every read sees the writes before it.
    FILES: several threads, for jobs that last, such as an import.
    """

    STORE = "store"
    FILES = "files"


class Task(Generic[Result]):
    """One job on its way.

    Attributes:
        owner: the job's result is dropped when this object is gone by then.
        view: a name for what the result is shown in; a newer task for the same view supersedes this one.
    """

    def __init__(self, job: Callable[[], Result], owner: QObject | None, view: str | None) -> None:
        self._job = job
        self.owner = owner
        self.view = view
        self._success: Callable[[Result], None] | None = None
        self._failure: Callable[[Exception], None] | None = None
        self._result: Result
        self._error: Exception | None = None

    def success(self, callback: Callable[[Result], None]) -> Task[Result]:
        """Call `callback` with the result, on the main thread."""
        self._success = callback
        return self

    def failure(self, callback: Callable[[Exception], None]) -> Task[Result]:
        """Call `callback` with what the job raised, on the main thread, in place of the general handler."""
        self._failure = callback
        return self

    def work(self) -> None:
        """Run the job; worker thread."""
        try:
            self._result = self._job()
        except (HearthError, Unwanted) as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 (handed to the failure callback)
            _log.exception("a background job failed")  # whoever is told of it is sent to the log
            self._error = error

    def deliver(self, otherwise: Callable[[Exception], None]) -> None:
        """Call the callback that fits; main thread."""
        if self._error is not None:
            (self._failure or otherwise)(self._error)
        elif self._success is not None:
            self._success(self._result)


class _Runnable(QRunnable):
    def __init__(self, task: Task[Any], done: Callable[[Task[Any]], None]) -> None:
        super().__init__()
        self._task = task
        self._done = done

    def run(self) -> None:
        self._task.work()
        self._done(self._task)


class Tasks(QObject):
    """Runs jobs in two lanes of threads.

    Signals:
        failed: a job without a failure callback raised this exception.
    """

    failed = Signal(object)
    _done = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pools = {lane: QThreadPool(self) for lane in Lane}
        self._pools[Lane.STORE].setMaxThreadCount(1)
        self._pools[Lane.STORE].setExpiryTimeout(-1)
        # These mostly wait for a disk or another process; a few that last must not keep the rest waiting.
        self._pools[Lane.FILES].setMaxThreadCount(max(_FILES_THREADS, QThread.idealThreadCount()))
        self._newest: dict[str, Task[Any]] = {}
        self._closed = False
        self._done.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def run(
        self,
        job: Callable[[], Result],
        *,
        owner: QObject | None = None,
        view: str | None = None,
        lane: Lane = Lane.STORE,
    ) -> Task[Result]:
        """Start `job`; its callbacks are called on the main thread, later."""
        task = Task(job, owner, view)
        if view is not None:
            self._newest[view] = task
        if not self._closed:
            self._pools[lane].start(_Runnable(task, self._done.emit))
        return task

    def close(self) -> None:
        """Wait for the jobs that were asked for, and deliver no more results."""
        self._closed = True
        for pool in self._pools.values():
            pool.waitForDone()

    @Slot(object)
    def _deliver(self, task: Task[Any]) -> None:
        if task.view is not None:
            if self._newest.get(task.view) is not task:
                return
            del self._newest[task.view]
        if self._closed or (task.owner is not None and not shiboken6.isValid(task.owner)):
            return
        task.deliver(self._unhandled)

    def _unhandled(self, error: Exception) -> None:
        self.failed.emit(error)
