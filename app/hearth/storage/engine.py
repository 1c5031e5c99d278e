"""SQLAlchemy's engine as Hearth uses SQLite: transactions begin where we say, waits end after five seconds."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, Pool, create_engine, event

BUSY_SECONDS = 5.0
WRITES = "hearth_writes"  # the execution option of a connection that takes the write lock at BEGIN


def make_engine(path: Path, *, foreign_keys: bool = True, poolclass: type[Pool] | None = None) -> Engine:
    """An engine on the file at `path`; `foreign_keys=False` is for migrations, which rebuild tables."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=poolclass,
        connect_args={
            "timeout": BUSY_SECONDS,
            "isolation_level": None,
        },  # the driver begins nothing by itself
        hide_parameters=True,  # they are what the user wrote, and error messages go to the log
    )

    def connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        connection.execute("PRAGMA synchronous = FULL")

    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
