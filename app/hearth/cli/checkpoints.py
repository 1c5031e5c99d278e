"""Checkpoints that were fetched to be quantized, as commands show and delete them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import msgspec
import typer

from hearth.cli.output import ask, size_text, write_table
from hearth.errors import CheckpointNeeded
from hearth.i18n import tr

if TYPE_CHECKING:
    from hearth.models.hub.checkpoints import CheckpointEntry
    from hearth.models.registry import ModelRegistry


class CheckpointSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint as `--json` gives it."""

    name: str
    format: str
    path: str
    bytes: int
    source: str
    revision: str
    licence: str

    @classmethod
    def of(cls, entry: CheckpointEntry) -> Self:
        manifest = entry.manifest
        return cls(
            name=entry.name,
            format=manifest.format,
            path=str(entry.path),
            bytes=entry.bytes,
            source=manifest.source,
            revision=manifest.revision,
            licence=manifest.licence,
        )


def write_checkpoints(entries: Sequence[CheckpointEntry]) -> None:
    """A table of them."""
    rows = [(entry.name, size_text(entry.bytes), str(entry.path)) for entry in entries]
    write_table((tr("CHECKPOINT"), tr("SIZE"), tr("FOLDER")), rows)


def check_not_needed(registry: ModelRegistry, repository: str) -> None:
    """Raise CheckpointNeeded where a model is still to be made of the repository's checkpoint."""
    from hearth.models.hub.install_folder import InstallFolders
    from hearth.models.workspace import INSTALLS

    for _, note in InstallFolders(registry.root / INSTALLS).list():
        if note.repository.lower() == repository.lower():
            raise CheckpointNeeded(name=repository, model=note.name)


def remove_checkpoint(registry: ModelRegistry, entry: CheckpointEntry, *, yes: bool) -> None:
    """Delete it for good, where the person agrees.

    Raises:
        CheckpointNeeded: a model is still to be made of it.
        HomeUnwritable: it cannot be deleted.
        typer.Exit: the person said no.
    """
    from hearth.models.hub.checkpoints import Checkpoints

    check_not_needed(registry, entry.name)
    question = tr("Delete the checkpoint {name} ({size})?", name=entry.name, size=size_text(entry.bytes))
    if not yes and sys.stdin.isatty() and not ask(question):
        raise typer.Exit(1)
    Checkpoints(registry.root).remove(entry)
