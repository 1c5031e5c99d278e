"""The Alembic history of the one database."""
