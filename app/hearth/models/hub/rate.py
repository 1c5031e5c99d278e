"""How fast bytes arrive, and how long the rest will take."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

_WINDOW_SECONDS = 10.0
_FIRST_SECONDS = 0.5


class Rate:
    """The mean of the last ten seconds: steady to look at, and quick to see that the line has gone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, done: int) -> None:
        """So many bytes are there by now."""
        now = self._clock()
        self._samples.append((now, done))
        while len(self._samples) > 2 and self._samples[1][0] <= now - _WINDOW_SECONDS:
            self._samples.popleft()

    @property
    def bytes_per_second(self) -> float | None:
        """None until that can be told."""
        if not self._samples:
            return None
        (then, before), (now, after) = self._samples[0], self._samples[-1]
        if now - then < _FIRST_SECONDS:
            return None
        return max(0.0, (after - before) / (now - then))

    def seconds_left(self, total: int) -> float | None:
        """Until `total` bytes are there; None where that cannot be told."""
        rate = self.bytes_per_second
        if not rate:
            return None
        return max(0.0, (total - self._samples[-1][1]) / rate)
