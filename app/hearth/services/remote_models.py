"""Models on a server that speaks OpenAI's API: which it has, and one of them taken into the list."""

from __future__ import annotations

from urllib.parse import urlsplit

from hearth.errors import HearthError, InputInvalid
from hearth.i18n import tr
from hearth.model_folder.manifest import RemoteModel
from hearth.models.registry import ModelEntry, ModelRegistry
from hearth.models.remote_keys import delete_key, write_key


def check_address(address: str) -> None:
    """Raise InputInvalid for what is no address of a server."""
    try:
        parts = urlsplit(address)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname)
        sound = sound and not (parts.username or parts.password)
    except ValueError:
        sound = False
    if not sound:
        raise InputInvalid(
            reason=tr("{address} is no address that begins with http:// or https://", address=address)
        )


def server_models(address: str, key: str) -> list[str]:
    """What the server calls its models, in the order of the alphabet; empty where it lists none.

    Asks it, so not on a window's main thread.

    Raises:
        InputInvalid, OfflineMode, RemoteFailed, RemoteRefused, RemoteBusy: it cannot be asked.
    """
    from hearth.engine.remote_server import RemoteServer  # its library takes a while to import

    check_address(address)
    name = urlsplit(address).hostname or address
    return sorted(RemoteServer(address, key, name).models())


def add_remote(registry: ModelRegistry, name: str, *, address: str, model: str, key: str) -> ModelEntry:
    """Take a server's model into the list, and its key into the system's key store.

    Raises:
        InputInvalid: that is no address.
        KeyStoreUnusable: the key cannot be kept; then the model is not added.
        HearthError: whatever `ModelRegistry.add_remote` finds wrong.
    """
    check_address(address)
    entry = registry.add_remote(name, RemoteModel(address=address, model=model, has_key=bool(key)))
    if key:
        try:
            write_key(entry.name, address, key)
        except HearthError:
            registry.remove(entry.name)  # without its key it would only be refused
            raise
    return entry


def set_key(registry: ModelRegistry, name: str, key: str) -> ModelEntry:
    """Give a remote model another key, or none.

    Raises:
        ModelNotFound, ModelsBusy
        InputInvalid: it is not remote.
        KeyStoreUnusable: the key cannot be kept; then the old one stays.
    """
    model, remote = check_remote(registry, name)
    if key:
        write_key(model, remote.address, key)
    else:
        delete_key(model, remote.address)
    return registry.set_has_key(model, bool(key))


def check_remote(registry: ModelRegistry, name: str) -> tuple[str, RemoteModel]:
    """Name and place of the remote model with this name or alias.

    Raises:
        ModelNotFound
        InputInvalid: it is not remote.
    """
    entry = registry.get(name)
    if entry.manifest.remote is None:
        raise InputInvalid(reason=tr("{name} is on this machine and needs no key", name=entry.name))
    return entry.name, entry.manifest.remote
