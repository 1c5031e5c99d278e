"""The memory that a model is expected to take: the estimate that `hearth models fit` gives, by settings, or its files."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hearth.config import EngineSection
from hearth.engine.host.protocol import EngineOptions
from hearth.hardware.machine import read_machine
from hearth.models.entry import ModelEntry
from hearth.models.experience import Experience
from hearth.models.registry import ModelRegistry
from hearth.services.engine_options import engine_options
from hearth.services.model_fit import Fits
from hearth.services.model_memory import expected_bytes


def imported(source: Path, root: Path) -> ModelEntry:
    return ModelRegistry(root).import_folder(source, name=source.stem, in_place=True)


def options(**changes: int) -> EngineOptions:
    return msgspec.structs.replace(engine_options(EngineSection(), read_machine()), **changes)


def test_it_is_the_estimate_for_one_conversation(
    stories_float32: Path, stories_gguf: Path, tmp_path: Path
) -> None:
    fits = Fits.of_options(options(), read_machine(), Experience())
    for source in (stories_float32, stories_gguf):
        entry = imported(source, tmp_path)
        assert expected_bytes([entry], options()) == fits.of_entry(entry).memory(512).model


def test_a_shorter_longest_conversation_takes_less(stories_float32: Path, tmp_path: Path) -> None:
    entry = imported(stories_float32, tmp_path)
    short = expected_bytes([entry], options(max_context=64))
    assert short < expected_bytes([entry], options())
    assert expected_bytes([entry, entry], options(max_context=64)) == 2 * short


def test_a_model_without_an_estimate_takes_its_files_and_a_host(
    stories_float32: Path, tmp_path: Path
) -> None:
    entry = imported(stories_float32, tmp_path)
    gone = ModelEntry(
        "gone", entry.format, tmp_path / "gone", 10**9, in_place=True, aliases=(), manifest=entry.manifest
    )
    assert expected_bytes([gone], options()) == (200 << 20) + 11 * 10**8
