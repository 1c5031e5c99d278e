"""The one database: an engine over one SQLite file, opened at its newest revision."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from hearth.errors import HomeUnwritable, because
from hearth.storage.engine import WRITES, make_engine
from hearth.storage.failures import hearth_error
from hearth.storage.migration import migrate


class Database:
    """Sessions on `hearth.db`. Any thread may use it; several processes may have it open.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, engine: Engine) -> None:
        self.path = path
        self._engine = engine
        self._writer = engine.execution_options(**{WRITES: True})  # the same pool

    @classmethod
    def open(cls, path: Path) -> Database:
        """Open the database, made or brought up to date first.

        Raises:
            HomeUnwritable, DatabaseFromTheFuture, DatabaseDamaged, DatabaseBusy, DiskFull
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                os.close(
                    os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
                )  # conversations are their owner's alone
        except OSError as error:
            raise HomeUnwritable(path=str(path.parent), reason=because(error)) from error
        with _failures(path):
            migrate(path)
            database = cls(path, make_engine(path))
            try:
                with database.session():  # a folder that takes no writes shows now, not at the first question
                    pass
            except BaseException:
                database.close()
                raise
        return database

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction that may write: committed at the end, rolled back on an error.

        It takes the write lock at once. Taking it at the first write would fail, without waiting, whenever another
        process had written since the first read.

        Raises:
            DiskFull, DatabaseBusy, DatabaseDamaged, HomeUnwritable
        """
        with _failures(self.path), Session(self._writer, expire_on_commit=False) as session, session.begin():
            session.connection()
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that only reads: it sees one state of the database and never waits for a writer."""
        with _failures(self.path), Session(self._engine, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close the connections that no session holds."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def _failures(path: Path) -> Iterator[None]:
    """SQLite's failures as HearthErrors."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        known = hearth_error(error.orig if isinstance(error, DBAPIError) else error, path)
        if known is None:
            raise
        raise known from error
