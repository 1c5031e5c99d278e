"""Run by Alembic: the revisions go over the connection and the transaction that `hearth.storage.migration` opened."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
