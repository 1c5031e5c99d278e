"""The models that are part of Hearth: they lie among its resources, where nothing is ever written."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hearth.errors import HearthError
from hearth.model_folder.manifest import read_manifest
from hearth.models import names
from hearth.models.entry import ModelEntry, read_entry
from hearth.paths import resource

log = logging.getLogger(__name__)


def built_in_folders() -> tuple[Path, ...]:
    """Where they lie."""
    return (resource("starter", "model"),)


def built_in_entries(folders: Sequence[Path]) -> tuple[ModelEntry, ...]:
    """Those of them that are there and can be used."""
    entries = []
    for folder in folders:
        if not os.path.lexists(folder):
            continue
        try:
            manifest = read_manifest(folder)
            names.check_name(manifest.name)
        except HearthError as error:
            log.warning("The model in %s, which is part of Hearth, cannot be used: %s", folder, error)
            continue
        entry = read_entry(folder)
        entries.append(
            replace(entry, name=manifest.name, path=folder, in_place=False, aliases=(), built_in=True)
        )
    return tuple(entries)
