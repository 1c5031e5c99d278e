"""Threads for the model pool that Qt knows, so that a worker may emit queued signals."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QDeadlineTimer, QThread


class WorkerThread(QThread):
    """One thread that runs one job; the surface is that of `threading.Thread`.

    Destroying a QThread that still runs ends the program, so each one is held here until it has finished.
    """

    _running: set[WorkerThread] = set()

    def __init__(self, job: Callable[[], None], name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self._job = job

    def run(self) -> None:
        self._job()

    def start(self, priority: QThread.Priority = QThread.Priority.InheritPriority) -> None:
        """Start the thread."""
        WorkerThread._running = {thread for thread in WorkerThread._running if thread.isRunning()} | {self}
        super().start(priority)

    def join(self, timeout: float | None = None) -> None:
        """Wait until the job has ended, at most `timeout` seconds."""
        deadline = QDeadlineTimer(QDeadlineTimer.ForeverConstant.Forever)
        if timeout is not None:
            deadline = QDeadlineTimer(int(timeout * 1000))
        self.wait(deadline)

    def is_alive(self) -> bool:
        return self.isRunning()


def qt_thread(job: Callable[[], None], name: str) -> WorkerThread:
    """The thread factory that the window gives to the services."""
    return WorkerThread(job, name)
