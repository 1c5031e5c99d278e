"""The revisions of the database that this Hearth knows.

Kept as constants beside the migrations (a test holds them together), so that opening a current database needs one
query and not Alembic.
"""

from __future__ import annotations

from pathlib import Path

REVISIONS = ("0001",)  # oldest first
HEAD = REVISIONS[-1]
MIGRATIONS = Path(__file__).parent / "migrations"
