"""An engine host that waits for a model: by then it has imported what models need, half a second of each loading."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from threading import Lock, Thread, Timer
from typing import Final

from hearth.engine.host.client import HostClient
from hearth.engine.host.protocol import Import

log = logging.getLogger(__name__)

WAITING_SECONDS: Final = 120.0
"""For so long it is likely that a model follows; after that the memory is worth more."""
# It takes half a second; one that takes longer than this is of no use.
_START_SECONDS = 5.0


class SpareHost:
    """At most one host without a model. For any thread; nothing blocks but `take`."""

    def __init__(self, log_file: Path | None = None) -> None:
        """Start nothing yet; hosts write to the end of `log_file`."""
        self._log_file = log_file
        self._lock = Lock()
        self._waiting: Future[HostClient | None] | None = None
        self._closed = False

    def prepare(self) -> Future[HostClient | None]:
        """Somebody may want a model soon: start a host, unless one waits. What comes back is done once it does."""
        with self._lock:
            if self._waiting is not None:
                return self._waiting
            waiting: Future[HostClient | None] = Future()
            if self._closed:
                waiting.set_result(None)
                return waiting
            self._waiting = waiting
        Thread(target=self._start, args=(waiting,), name="spare host", daemon=True).start()
        return waiting

    def take(self, name: str) -> HostClient:
        """A host for a model: the one that waits, or else a new one.

        Raises:
            OSError: it cannot be started.
        """
        client = self._taken()
        if client is None:
            return HostClient(name, self._log_file)
        client.name = name
        return client

    def close(self) -> None:
        """End the host that waits, and prepare none any more."""
        with self._lock:
            self._closed = True
        self._discard()

    def _start(self, waiting: Future[HostClient | None]) -> None:
        client = None
        try:
            client = HostClient("", self._log_file)
            client.send(Import())
            client.receive()
        except Exception as error:  # noqa: BLE001 (a host that is started for a model tells whoever wants that)
            log.warning("no host waits for a model: %s", error)
            if client is not None:
                _end(client)
            client = None
        timer = Timer(WAITING_SECONDS, self._discard, (waiting,))
        timer.daemon = True
        timer.start()
        waiting.set_result(client)

    def _taken(self) -> HostClient | None:
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is None:
            return None
        try:
            client = waiting.result(_START_SECONDS)
        except FutureTimeout:
            waiting.add_done_callback(_end_result)
            return None
        if client is not None and not client.is_alive():
            _end(client)
            return None
        return client

    def _discard(self, waiting: Future[HostClient | None] | None = None) -> None:
        """End the host that waits, or nothing where it is not this one any more."""
        with self._lock:
            if self._waiting is None or waiting not in (None, self._waiting):
                return
            waiting, self._waiting = self._waiting, None
        waiting.add_done_callback(_end_result)


def _end_result(waiting: Future[HostClient | None]) -> None:
    client = waiting.result()
    if client is not None:
        _end(client)


def _end(client: HostClient) -> None:
    client.kill()
    client.dispose()
