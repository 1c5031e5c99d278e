"""What the model hub has, and who asks it. All of it waits for the network: not on a window's main thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from hearth.models.hub.choices import Choice, choices
from hearth.models.hub.client import HubClient
from hearth.models.hub.repository import NEWEST, Repository, check_repository_name
from hearth.models.hub.search import Found
from hearth.models.hub.search import search as search_hub
from hearth.models.hub.token import check_key_store, delete_token, read_token, store_token
from hearth.quantize.architectures.registry import ARCHITECTURES

Wait = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Offer:
    """A revision of a repository, and the models in it that can be fetched."""

    repository: Repository
    choices: tuple[Choice, ...]


def look(name: str, revision: str = NEWEST, *, wait: Wait = time.sleep) -> Offer:
    """What a repository has for Hearth. Fetches no file.

    Args:
        wait: how to spend the seconds between tries; may raise to stop.

    Raises:
        RepositoryNameInvalid: it cannot be the name of one.
        RepositoryNotFound, RevisionNotFound, RepositoryGated, HubRefused, TokenRefused: the hub does not tell.
        RepositoryUnfit: it has nothing that Hearth can run or quantize.
        HubOffline, HubUnreachable, HubBusy, HubFailed: the hub cannot be asked.
    """
    check_repository_name(name)
    repository = HubClient(read_token(), wait=wait).repository(name, revision)
    return Offer(repository, choices(repository, ARCHITECTURES))


def search(words: str, limit: int = 20, *, wait: Wait = time.sleep) -> list[Found]:
    """The most fetched repositories whose names have these words, those with nothing for Hearth left out.

    Raises:
        HubOffline, HubUnreachable, HubBusy, HubFailed, TokenRefused: the hub cannot be asked.
    """
    return search_hub(HubClient(read_token(), wait=wait), words, ARCHITECTURES, limit)


def log_in(token: str) -> str:
    """Keep the token for the hub in the system's key store, if the hub knows it; the account's name.

    Raises:
        KeyStoreUnusable: there is nowhere to keep it.
        TokenRefused: the hub does not know it.
        HubOffline, HubUnreachable, HubBusy, HubFailed: the hub cannot be asked.
    """
    check_key_store()
    name = HubClient(token).who()
    store_token(token)
    return name


def log_out() -> bool:
    """Forget the token for the hub; whether there was one.

    Raises:
        KeyStoreUnusable: there is nowhere to look for it.
    """
    return delete_token()
