"""What the model hub has, and who asks it. All of it waits for the network: not on a window's main thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hearth.errors import HearthError, HubRefused, RepositoryGated, TokenRefused
from hearth.model_folder.json_file import decode_json
from hearth.models.hub.choices import Choice, choices
from hearth.models.hub.client import HubClient
from hearth.models.hub.repository import NEWEST, Repository, check_repository_name
from hearth.models.hub.search import Found
from hearth.models.hub.search import search as search_hub
from hearth.models.hub.token import check_key_store, delete_token, read_token, store_token
from hearth.quantize.architectures.registry import ARCHITECTURES

Wait = Callable[[float], None]

_CONFIG = "config.json"
_CONFIG_MAX_BYTES = 1 << 20
# Where somebody watches, a hub that asks for more is not waited for.
_LONGEST_ASKED_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Offer:
    """A revision of a repository, and the models in it that can be fetched."""

    repository: Repository
    choices: tuple[Choice, ...]


def look(name: str, revision: str = NEWEST, *, wait: Wait = time.sleep, tries: int | None = None) -> Offer:
    """What a repository has for Hearth. Fetches no file.

    Args:
        wait: how to spend the seconds between tries; may raise to stop.
        tries: how often to ask a hub that fails, where somebody watches; None is as long as downloads have patience.

    Raises:
        RepositoryNameInvalid: it cannot be the name of one.
        RepositoryNotFound, RevisionNotFound, RepositoryGated, HubRefused, TokenRefused: the hub does not tell.
        RepositoryUnfit: it has nothing that Hearth can run or quantize.
        HubOffline, HubUnreachable, HubBusy, HubFailed: the hub cannot be asked.
    """
    check_repository_name(name)
    repository = _client(wait, tries).repository(name, revision)
    return Offer(repository, choices(repository, ARCHITECTURES))


def read_config(
    repository: Repository, *, wait: Wait = time.sleep, tries: int | None = None
) -> dict[str, Any] | None:
    """The `config.json` at the top of a repository; None where there is none, or it is too large to be one.

    Raises:
        ModelFileInvalid: it is not JSON.
        RepositoryGated, HubRefused, TokenRefused, FileNotAsListed: the hub does not give it.
        HubOffline, HubUnreachable, HubBusy, HubFailed: the hub cannot be asked.
    """
    file = next((file for file in repository.files if file.path == _CONFIG), None)
    if file is None or not 0 < file.bytes <= _CONFIG_MAX_BYTES:
        return None
    data = _client(wait, tries).read(repository, file)
    return decode_json(Path(_CONFIG), data, dict[str, Any])


def refusal(
    repository: Repository, *, wait: Wait = time.sleep, tries: int | None = None
) -> HearthError | None:
    """Why the hub would not give the files of a gated repository to this user; None where it does.

    Raises:
        FileNotAsListed: a file has changed in this moment.
        HubOffline, HubUnreachable, HubBusy, HubFailed: the hub cannot be asked.
    """
    if not repository.gated:
        return None
    asked = max(repository.files, key=lambda file: (file.path == _CONFIG, file.bytes), default=None)
    if asked is None:
        return None
    try:
        _client(wait, tries).check(repository, asked)
    except (RepositoryGated, HubRefused, TokenRefused) as error:
        return error
    return None


def search(words: str, limit: int = 20, *, wait: Wait = time.sleep, tries: int | None = None) -> list[Found]:
    """The most fetched repositories whose names have these words, those with nothing for Hearth left out.

    Raises:
        HubOffline, HubUnreachable, HubBusy, HubFailed, TokenRefused: the hub cannot be asked.
    """
    return search_hub(_client(wait, tries), words, ARCHITECTURES, limit)


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


def _client(wait: Wait, tries: int | None) -> HubClient:
    client = HubClient(read_token(), wait=wait)
    if tries is not None:
        client.patience = replace(client.patience, tries=tries, longest_asked_seconds=_LONGEST_ASKED_SECONDS)
    return client
