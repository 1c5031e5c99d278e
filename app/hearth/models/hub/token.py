"""The token that says who asks the hub: kept in the system's key store, one for each hub.

`HEARTH_HUB_TOKEN` goes first; it is for systems without a key store. What other programs have stored is not used.
"""

from __future__ import annotations

import logging
import os
from functools import cache

from hearth.errors import KeyStoreUnusable
from hearth.models.hub.address import host
from hearth.models.key_store import forget_secret, keep_secret, read_secret

log = logging.getLogger(__name__)

_VARIABLE = "HEARTH_HUB_TOKEN"


def read_token() -> str | None:
    """The token for the hub in use; None where there is none, or no key store to look in."""
    given = os.environ.get(_VARIABLE)
    if given:
        return given.strip()
    try:
        return read_secret(host()) or None
    except KeyStoreUnusable as error:
        _note_once(str(error))
        return None


def store_token(token: str) -> None:
    """Keep the token for the hub in use. Raises KeyStoreUnusable."""
    keep_secret(host(), token)


def delete_token() -> bool:
    """Forget the token for the hub in use; whether there was one. Raises KeyStoreUnusable."""
    return forget_secret(host())


def check_key_store() -> None:
    """Raise KeyStoreUnusable where no token could be kept."""
    read_secret(host())


@cache
def _note_once(text: str) -> None:
    log.info("%s", text)
