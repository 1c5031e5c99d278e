"""What SQLite's failures mean to a person."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from hearth.errors import DatabaseBusy, DatabaseDamaged, DiskFull, HearthError, HomeUnwritable

_LEAST_FREE_BYTES = 1 << 20  # SQLite calls a full disk an input/output error where it grows its shared memory


def hearth_error(error: BaseException | None, path: Path) -> HearthError | None:
    """The HearthError for a failure of the database at `path`; None for one that is a bug of ours."""
    if not isinstance(error, sqlite3.Error):
        return None
    reason = str(error)
    primary = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if primary == sqlite3.SQLITE_FULL or (primary == sqlite3.SQLITE_IOERR and _is_full(path.parent)):
        return DiskFull(path=str(path.parent))
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return DatabaseBusy(path=str(path))
    if primary in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_IOERR):
        return DatabaseDamaged(path=str(path), reason=reason)
    if primary == sqlite3.SQLITE_CANTOPEN and path.is_dir():
        return DatabaseDamaged(path=str(path), reason=reason)
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return HomeUnwritable(path=str(path.parent), reason=reason)
    return None


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _LEAST_FREE_BYTES
    except OSError:
        return False
