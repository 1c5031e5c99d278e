"""What an engine host is told when it is to load a model."""

from __future__ import annotations

from hearth.engine.host.protocol import VERSION, EngineOptions, Load
from hearth.i18n import language
from hearth.models.registry import ModelEntry
from hearth.models.remote_keys import read_key


def load_message(name: str, entry: ModelEntry, draft: ModelEntry | None, options: EngineOptions) -> Load:
    """For the model `entry`, loaded as `name`, and the model that guesses for it.

    Raises:
        KeyStoreUnusable: the key of a remote model cannot be read.
    """
    return Load(
        version=VERSION,
        name=name,
        folder=str(entry.file),
        roots=_roots(entry),
        options=options,
        draft_folder=str(draft.path) if draft else "",
        draft_roots=_roots(draft) if draft else [],
        language=language(),
        format=entry.format,
        architecture=entry.manifest.facts.architecture if entry.manifest.facts else "",
        remote=entry.manifest.remote,
        secret=_key(entry),
    )


def _roots(entry: ModelEntry) -> list[str]:
    """Where its files may lie beside its folder."""
    return [str(entry.path)] if entry.in_place else []


def _key(entry: ModelEntry) -> str:
    """For the server of a remote model. Raises KeyStoreUnusable."""
    remote = entry.manifest.remote
    return read_key(entry.name, remote.address) if remote is not None and remote.has_key else ""
