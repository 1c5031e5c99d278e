"""The schema brought to the newest revision, at most once by however many processes open it together."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from hearth.errors import DatabaseDamaged, DatabaseFromTheFuture
from hearth.i18n import tr
from hearth.storage.history import HEAD, MIGRATIONS, REVISIONS

_BUSY_SECONDS = 5.0


def migrate(path: Path) -> None:
    """Bring the database at `path` to HEAD; creates it. Instant, and without Alembic, when it is there already.

    Raises:
        sqlite3.Error: as SQLite said it.
        DatabaseFromTheFuture: its revision is not one of ours.
        DatabaseDamaged: it is a database, but not of Hearth.
    """
    with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
        if _revision(connection, path) == HEAD:
            return
        _use_wal(connection)
    _upgrade(path)


def _revision(connection: sqlite3.Connection, path: Path) -> str | None:
    """The revision of the schema; None for an empty database."""
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not names:
        return None
    row = None
    if "alembic_version" in names:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is None:
        raise DatabaseDamaged(path=str(path), reason=tr("it is not a database of Hearth"))
    revision = str(row[0])
    if revision not in REVISIONS:
        raise DatabaseFromTheFuture(path=str(path))
    return revision


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL, which the file remembers. SQLite does not wait for other connections here, so we do."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _upgrade(path: Path) -> None:
    # Imported only when there is something to do: Alembic takes longer to import than a database to open.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import NullPool

    from hearth.storage.engine import WRITES, make_engine

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    engine = make_engine(path, foreign_keys=False, poolclass=NullPool).execution_options(**{WRITES: True})
    with engine.begin() as connection:
        # The write lock is held now, so another process has either ended its upgrade or not begun.
        driver = connection.connection.driver_connection
        if not isinstance(driver, sqlite3.Connection):
            raise TypeError(f"not an SQLite connection: {driver!r}")
        if _revision(driver, path) == HEAD:
            return
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        broken = driver.execute("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise DatabaseDamaged(
                path=str(path), reason=tr("{n} rows lost what they belong to", n=len(broken))
            )
