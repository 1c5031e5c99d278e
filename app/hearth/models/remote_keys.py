"""Keys for servers of remote models, in the system's key store and nowhere else."""

from __future__ import annotations

from contextlib import suppress

from hearth.errors import KeyStoreUnusable
from hearth.models.key_store import forget_secret, keep_secret, read_secret


def read_key(name: str) -> str:
    """The key of a remote model; empty where there is none. Raises KeyStoreUnusable."""
    return read_secret(_user(name))


def write_key(name: str, key: str) -> None:
    """Keep the key of a remote model. Raises KeyStoreUnusable."""
    keep_secret(_user(name), key)


def delete_key(name: str) -> None:
    """Forget the key of a remote model, if there is one and the store can be asked."""
    with suppress(KeyStoreUnusable):
        forget_secret(_user(name))


def _user(name: str) -> str:
    return f"remote model {name}"
