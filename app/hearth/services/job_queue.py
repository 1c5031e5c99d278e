"""Jobs for one thread, which does them one after the other, and what it looks at regularly beside them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread

log = logging.getLogger(__name__)


class JobQueue:
    """`post` may be called from any thread; everything else belongs to the one that does the jobs."""

    def __init__(self, name: str) -> None:
        """`name`: whose jobs they are, for the log."""
        self._name = name
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = Lock()
        self._each_tick: list[Callable[[], bool]] = []
        self._ended = False

    def post(self, job: Callable[[], None]) -> None:
        """Have the job done, after what was posted before.

        After the end it runs on a thread of its own, so that whoever waits for it learns of the end.
        """
        with self._lock:
            if not self._ended:
                self._jobs.put(job)
                return
        Thread(target=self.do, args=(job,), name=f"after {self._name}", daemon=True).start()

    def do(self, job: Callable[[], None]) -> None:
        """Do this job now. A defect in one answer must not take the model from all others."""
        try:
            job()
        except Exception:
            log.exception("a job for %s failed", self._name)

    def do_next(self, seconds: float | None) -> None:
        """Do the next job; wait for it at most so long, without end where that is None."""
        with suppress(Empty):
            self.do(self._jobs.get(timeout=seconds))

    def each_tick(self, callback: Callable[[], bool]) -> None:
        """Call it at each tick until it returns False."""
        self._each_tick.append(callback)

    @property
    def needs_ticks(self) -> bool:
        return bool(self._each_tick)

    def tick(self) -> None:
        self._each_tick = [callback for callback in self._each_tick if self._is_wanted(callback)]

    def _is_wanted(self, callback: Callable[[], bool]) -> bool:
        try:
            return callback()
        except Exception:
            log.exception("a tick of %s failed", self._name)
            return True

    def drain(self) -> None:
        """Do what was posted before the end, which is now."""
        while not self._ended:
            with self._lock:
                self._ended = self._jobs.empty()
            with suppress(Empty):
                self.do(self._jobs.get_nowait())
