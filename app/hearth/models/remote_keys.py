"""Keys for servers of remote models, in the system's key store and nowhere else: one for each model and server.

A model of the same name at another server has another key, so that no manifest sends a key elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from hearth.errors import KeyStoreUnusable
from hearth.models.key_store import forget_secret, keep_secret, read_secret


def read_key(name: str, address: str) -> str:
    """The key of a remote model; empty where there is none. Raises KeyStoreUnusable."""
    return read_secret(_user(name, address))


def write_key(name: str, address: str, key: str) -> None:
    """Keep the key of a remote model. Raises KeyStoreUnusable."""
    keep_secret(_user(name, address), key)


def delete_key(name: str, address: str) -> None:
    """Forget the key of a remote model, if there is one and the store can be asked."""
    with suppress(KeyStoreUnusable):
        forget_secret(_user(name, address))


@contextmanager
def moved_key(name: str, address: str, new: str) -> Iterator[None]:
    """A model gets another name meanwhile. Its key is kept under both until that is done, or under the old one where not.

    Raises:
        KeyStoreUnusable: before anything is done.
    """
    key = read_key(name, address)
    if not key:
        yield
        return
    write_key(new, address, key)
    try:
        yield
    except BaseException:
        delete_key(new, address)
        raise
    delete_key(name, address)


def _user(name: str, address: str) -> str:
    parts = urlsplit(address)
    return f"remote model {name} at {parts.scheme}://{parts.netloc}"
