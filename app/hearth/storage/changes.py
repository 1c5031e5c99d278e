"""Tells of changes to the database that other processes make."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from threading import Event, Thread

from hearth.storage.database import Database

log = logging.getLogger(__name__)


class ChangeWatcher:
    """Calls `on_change`, on a thread of its own, after anything was committed.

    `PRAGMA data_version` differs after a commit by any other connection; a poll costs microseconds. The commits of
    this process count too.
    """

    def __init__(self, database: Database, on_change: Callable[[], None], seconds: float = 1.0) -> None:
        self._path = database.path
        self._on_change = on_change
        self._seconds = seconds
        self._stopping = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to watch; what was committed before this call is not told."""
        if self._thread is not None:
            return
        connection = sqlite3.connect(self._path, timeout=0.1, isolation_level=None, check_same_thread=False)
        version = _version(connection)
        self._stopping.clear()
        self._thread = Thread(
            target=self._watch, args=(connection, version), name="change-watcher", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; `on_change` is not called after this returns."""
        if self._thread is None:
            return
        self._stopping.set()
        self._thread.join()
        self._thread = None

    def _watch(self, connection: sqlite3.Connection, version: int | None) -> None:
        try:
            while not self._stopping.wait(self._seconds):
                now = _version(connection)
                if now is None or now == version:
                    continue
                version = now
                try:
                    self._on_change()
                except Exception:
                    log.exception("A listener to changes of the database failed")
        finally:
            connection.close()


def _version(connection: sqlite3.Connection) -> int | None:
    """The number that changes with each commit; None when the database cannot say now."""
    try:
        version: int = connection.execute("PRAGMA data_version").fetchone()[0]
    except sqlite3.OperationalError as error:
        log.debug("data_version: %s", error)
        return None
    return version
