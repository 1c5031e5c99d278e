"""Everything that the page of one model shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from hearth.config import DefaultsSection, with_recommended
from hearth.errors import HearthError
from hearth.hardware.machine import read_machine
from hearth.model_folder.manifest import ModelFacts, RemoteModel
from hearth.model_folder.model_settings import ModelSettings
from hearth.model_folder.quality import QualityReport
from hearth.model_folder.speed import SpeedReport
from hearth.models.other_apps.finder import app_title
from hearth.models.registry import ModelEntry
from hearth.models.source import entry_facts
from hearth.services.device_options import machine_text
from hearth.services.engine_options import engine_options, for_model
from hearth.services.events import ModelState
from hearth.services.hearth import Hearth
from hearth.services.model_memory import expected_bytes


class ModelOverview(msgspec.Struct, frozen=True, kw_only=True):
    """A model as its page shows it; what is not known is empty, 0 or None.

    Attributes:
        path: its folder, or its file.
        bytes: of its files.
        app: the name of the other app that its files belong to.
        state: whether it is loaded here.
        is_answering: it has open answers, so it cannot be renamed, removed or measured now.
        memory_bytes: what it takes now, or took when it was last measured, or else an estimate.
        is_memory_measured: it is no estimate.
        quantization: the types of its weights, such as “Q4_K_M”.
        parameters: how many weights it has.
        context_length: tokens that it holds, by its files and by what is set for it.
        last_used: when it last answered in a conversation.
        defaults: what its answers use where nothing is set for it.
        remote: where it runs, for a model on a server.
        is_speed_of_here: `speed` was measured on this machine as it is now.
        problem: what is wrong with its files, as a sentence.
    """

    name: str
    aliases: tuple[str, ...]
    format: str
    path: Path
    bytes: int
    in_place: bool
    built_in: bool
    app: str
    source: str
    revision: str
    licence: str
    imported_at: datetime | None
    state: ModelState
    is_answering: bool
    memory_bytes: int
    is_memory_measured: bool
    architecture: str
    quantization: str
    parameters: int
    context_length: int
    has_chat_template: bool
    speed: SpeedReport | None
    quality: QualityReport | None
    last_used: datetime | None
    settings: ModelSettings
    defaults: DefaultsSection
    remote: RemoteModel | None
    is_speed_of_here: bool
    problem: str


def overview(hearth: Hearth, entry: ModelEntry, last_answers: Mapping[str, datetime]) -> ModelOverview:
    """Gather it; reads the model's small files, so not on a window's main thread."""
    manifest = entry.manifest
    facts, problem = _facts(entry)
    settings = manifest.settings.sound()
    memory, is_measured = _memory(hearth, entry)
    limits = [facts.context_length, settings.max_context or hearth.config.engine.max_context]
    return ModelOverview(
        name=entry.name,
        aliases=entry.aliases,
        format=entry.format,
        path=entry.file,
        bytes=entry.bytes,
        in_place=entry.in_place,
        built_in=entry.built_in,
        app=app_title(manifest.app) if manifest.app else "",
        source=manifest.source,
        revision=manifest.revision,
        licence=manifest.licence,
        imported_at=manifest.imported_at,
        state=hearth.pool.status(entry.name).state,
        is_answering=hearth.pool.is_answering(entry.name),
        memory_bytes=memory,
        is_memory_measured=is_measured,
        architecture=facts.architecture,
        quantization=facts.quantization,
        parameters=facts.parameters,
        context_length=min(filter(None, limits), default=0),
        has_chat_template=facts.has_chat_template,
        speed=manifest.speed,
        quality=manifest.quality,
        last_used=max(
            (last_answers[name] for name in (entry.name, *entry.aliases) if name in last_answers),
            default=None,
        ),
        settings=settings,
        defaults=with_recommended(hearth.config.defaults, manifest.sampling),
        remote=manifest.remote,
        is_speed_of_here=manifest.speed is not None
        and manifest.speed.machine == machine_text(read_machine()),
        problem=problem,
    )


def _facts(entry: ModelEntry) -> tuple[ModelFacts, str]:
    """What the model's files say, and what is wrong with them."""
    if entry.is_remote:
        return ModelFacts(), ""
    try:
        return entry_facts(entry), ""
    except HearthError as error:
        return entry.manifest.facts or ModelFacts(), str(error)


def _memory(hearth: Hearth, entry: ModelEntry) -> tuple[int, bool]:
    if hearth.pool.status(entry.name).state is ModelState.READY:
        now = hearth.pool.memory_bytes(entry.name)
        if now:
            return now, True
    if entry.manifest.speed is not None and entry.manifest.speed.memory_bytes:
        return entry.manifest.speed.memory_bytes, True
    options = for_model(engine_options(hearth.config.engine, read_machine()), entry.manifest.settings)
    return expected_bytes([entry], options), False
