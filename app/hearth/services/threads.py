"""The threads that services run on: plain ones, unless a front brings its own kind."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Protocol


class JoinableThread(Protocol):
    """What services need of a thread."""

    def start(self) -> None: ...

    def join(self, timeout: float | None = None) -> None: ...

    def is_alive(self) -> bool: ...


ThreadFactory = Callable[[Callable[[], None], str], JoinableThread]


def plain_thread(job: Callable[[], None], name: str) -> JoinableThread:
    """A daemon thread that will run `job`; not started yet."""
    return Thread(target=job, name=name, daemon=True)
