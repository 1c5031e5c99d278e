"""Who may change the models in this process: many at once, or one that has them for itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, get_ident

from hearth.errors import ModelsBusy


class Gate:
    """Any thread may come."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._writers = 0
        self._mover: int | None = None  # the thread that has the models for itself

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Something is imported, renamed or removed. Raises ModelsBusy while somebody has the models for itself."""
        with self._lock:
            if self._mover is not None:
                raise ModelsBusy
            self._writers += 1
        try:
            yield
        finally:
            with self._lock:
                self._writers -= 1

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Nobody else changes the models meanwhile. May be nested. Raises ModelsBusy where somebody does."""
        thread = get_ident()
        with self._lock:
            if self._writers or self._mover not in (None, thread):
                raise ModelsBusy
            outer, self._mover = self._mover, thread
        try:
            yield
        finally:
            with self._lock:
                self._mover = outer
