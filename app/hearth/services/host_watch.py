"""What is watched of an engine host: whether it still answers, and how far one that loads is."""

from __future__ import annotations

import time

from hearth.engine.host.client import HostClient
from hearth.engine.host.protocol import Ping, Pong
from hearth.errors import HostHung

TICK_SECONDS = 0.1
PING_SECONDS = 5.0
# Interpreter, numpy and onnxruntime before the first byte of a model.
_EMPTY_HOST_BYTES = 70 << 20


class HostWatch:
    """Looks at the clock at each tick of the thread that serves the host; `heard` may be called from any thread."""

    def __init__(self, name: str, hang_seconds: float) -> None:
        """`hang_seconds`: after so long without an answer the host of the model `name` hangs."""
        self._name = name
        self._hang_seconds = hang_seconds
        self._pinged = self._heard = self._ticked = time.monotonic()

    def heard(self) -> None:
        """The host said something just now."""
        self._heard = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether it is time for a tick."""
        return time.monotonic() - self._ticked >= TICK_SECONDS

    def tick(self) -> None:
        now = time.monotonic()
        if now - self._ticked > PING_SECONDS:
            # This thread was idle or busy, or the machine slept: nothing can be said yet.
            self._pinged = self._heard = now
        self._ticked = now

    def check(self, client: HostClient) -> None:
        """Ping a host that has been silent.

        Raises:
            HostHung: it does not even answer its reader's ping.
        """
        now = time.monotonic()
        if self._pinged <= self._heard:
            if now - self._heard > min(PING_SECONDS, self._hang_seconds / 3):
                self._pinged = now
                client.send(Ping())
        elif now - self._pinged > self._hang_seconds:
            raise HostHung(name=self._name, seconds=round(now - self._heard))

    def check_step(self, pong: Pong) -> None:
        """Raises HostHung where the host is lost in one step."""
        if pong.seconds_in_step > self._hang_seconds * 5:
            raise HostHung(name=self._name, seconds=round(pong.seconds_in_step))


def loading_progress(client: HostClient, model_bytes: int) -> float:
    """Loading is mostly copying weights, so the host's memory tells how far it is: 0 to 1."""
    loaded = max(0, client.memory_bytes() - _EMPTY_HOST_BYTES)
    return min(0.95, loaded / model_bytes)
