"""Models of other apps, taken into Hearth where they lie."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hearth.errors import FoundModelUnknown, FoundModelUnquantized
from hearth.models.copying import CancelledCallback, ProgressCallback
from hearth.models.names import free_name
from hearth.models.other_apps.finder import find_models
from hearth.models.other_apps.found_model import Format, FoundModel
from hearth.models.other_apps.places import Places
from hearth.models.registry import ModelEntry, ModelRegistry


@dataclass(frozen=True, slots=True)
class Finding:
    """A model of another app, and whether Hearth has it.

    Attributes:
        added_as: the name of the model in Hearth that has these files; empty where none has.
    """

    model: FoundModel
    added_as: str = ""


def find(registry: ModelRegistry, places: Places | None = None) -> list[Finding]:
    """What other apps have, by app and name; reads folders and small files, so not on a window's main thread."""
    from hearth.quantize.architectures.registry import ARCHITECTURES  # what it needs takes a while to import

    names = {_place(entry.file): entry.name for entry in registry.list() if entry.in_place}
    found = find_models(places, ARCHITECTURES.__contains__)
    return [Finding(model, names.get(_place(model.path), "")) for model in found]


def choose(findings: list[Finding], wanted: str) -> Finding:
    """The one with this reference, or with this name where only one app has such a model.

    Raises:
        FoundModelUnknown: there is none, or there are several.
    """
    by_reference = [finding for finding in findings if finding.model.reference == wanted]
    named = by_reference or [finding for finding in findings if wanted in _names(finding.model)]
    if len(named) != 1:
        raise FoundModelUnknown(name=wanted)
    return named[0]


def add(
    registry: ModelRegistry,
    model: FoundModel,
    *,
    name: str | None = None,
    progress: ProgressCallback | None = None,
    cancelled: CancelledCallback | None = None,
) -> ModelEntry:
    """Register a model of another app where it lies, with what that app knows of it. Nothing of the app is changed.

    Args:
        name: what to call it; by default its good name, or the next one that is free.
        progress, cancelled: as for `ModelRegistry.import_folder`; its files are read for their checksums.

    Raises:
        FoundModelUnquantized: it is a checkpoint, which `hearth quantize` takes.
        HearthError: whatever `ModelRegistry.import_folder` finds wrong with it.
    """
    if model.format is Format.CHECKPOINT:
        raise FoundModelUnquantized(name=model.name, path=str(model.path))
    entry = registry.import_folder(
        model.path,
        name=name or free_name(model.good_name, registry.taken_names()),
        in_place=True,
        progress=progress,
        cancelled=cancelled,
    )
    manifest = entry.manifest
    settings = manifest.settings
    if model.system_prompt:
        settings = settings.changed({"system_prompt": model.system_prompt})
    return registry.note(
        entry.name,
        app=model.app,
        source=model.source or manifest.source,
        revision=model.revision or manifest.revision,
        licence=model.licence or manifest.licence,
        sampling=model.sampling or manifest.sampling,
        settings=settings,
    )


def _names(model: FoundModel) -> tuple[str, ...]:
    return model.name, model.good_name, str(model.path)


def _place(path: Path) -> str:
    return os.path.realpath(path)
