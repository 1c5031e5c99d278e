"""A model as commands give it to programs, with `--json`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

import msgspec

from hearth.models.entry import ModelEntry


class ModelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A model as `--json` gives it."""

    name: str
    format: str
    path: str
    bytes: int
    remote: bool
    in_place: bool
    built_in: bool
    aliases: tuple[str, ...]
    source: str
    revision: str
    licence: str
    imported_at: datetime | None

    @classmethod
    def of(cls, entry: ModelEntry, **more: Any) -> Self:
        manifest = entry.manifest
        return cls(
            name=entry.name,
            format=entry.format,
            path=manifest.remote.address if manifest.remote else str(entry.file),
            bytes=entry.bytes,
            remote=entry.is_remote,
            in_place=entry.in_place,
            built_in=entry.built_in,
            aliases=entry.aliases,
            source=manifest.source,
            revision=manifest.revision,
            licence=manifest.licence,
            imported_at=manifest.imported_at,
            **more,
        )
