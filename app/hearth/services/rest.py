"""Who needs a model at this moment, and for how long nobody has."""

from __future__ import annotations

import time
from threading import Lock


class Rest:
    """All methods may be called from any thread.

    Attributes:
        last_used: when the model last had something to do, by the monotonic clock.
        seconds: after so much rest the model is to be unloaded, where the owner has set nothing for it; 0 never.
        own_seconds: what the owner has set for it; None where nothing.
    """

    def __init__(self, seconds: float) -> None:
        self.last_used = time.monotonic()
        self.seconds = seconds
        self.own_seconds: float | None = None
        self._holds = 0
        self._lock = Lock()

    def hold(self) -> None:
        """Somebody needs the model until `release`."""
        with self._lock:
            self._holds += 1

    def release(self) -> None:
        """Undo one `hold`."""
        self.touch()  # first, so that it is never free without having been used just now
        with self._lock:
            self._holds -= 1

    def touch(self) -> None:
        """The model had something to do just now."""
        self.last_used = time.monotonic()

    def use_own(self, minutes: int | None) -> None:
        """What the owner has set for this model; None where nothing."""
        self.own_seconds = None if minutes is None else minutes * 60.0

    @property
    def is_held(self) -> bool:
        return self._holds > 0

    def seconds_left(self) -> float | None:
        """Until the model has rested for long enough, at least; None where it never will."""
        seconds = self.seconds if self.own_seconds is None else self.own_seconds
        if not seconds:
            return None
        return seconds if self.is_held else max(0.0, self.last_used + seconds - time.monotonic())
