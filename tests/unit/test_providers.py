"""Execution providers: what is said of them, how trials are compared, and what is remembered of them."""

from __future__ import annotations

import logging
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hearth.engine.providers import choices
from hearth.engine.providers.choices import Remembered, find_choice, read_choices, remember
from hearth.engine.providers.cuda import nvidia_gpu
from hearth.engine.providers.graphics import graphics_cards
from hearth.engine.providers.listed import Listing
from hearth.engine.providers.listing import list_providers, runtime_text, usable_providers
from hearth.engine.providers.measuring import LEAST_TOKENS, MOST_ERROR, measure
from hearth.engine.providers.process import process_command
from hearth.engine.providers.provider import Provider, availability
from hearth.engine.providers.registry import CPU, PROVIDERS
from hearth.engine.providers.trial import Refusal, Trial, best_first
from hearth.engine.relative_error import relative_error
from scripted_runner import ScriptedRunner
from stand_in_provider import Missing, StandIn

TWIN: Provider = StandIn()
GHOST: Provider = Missing()


# The list


def test_each_provider_has_a_name_of_its_own_and_the_processor_comes_last() -> None:
    for names in zip(*((known.id, known.ort_name, known.title) for known in PROVIDERS), strict=True):
        assert len(set(names)) == len(PROVIDERS)
    assert PROVIDERS[-1] is CPU


def test_the_processor_can_be_used_everywhere() -> None:
    assert availability(CPU).reason == ""
    assert CPU in usable_providers(PROVIDERS)


def test_a_provider_without_hardware_says_what_is_lacking() -> None:
    assert availability(GHOST).reason == "no twin found"
    assert usable_providers([GHOST, TWIN, CPU]) == [TWIN, CPU]


def test_a_provider_that_only_needs_installing_says_so() -> None:
    class NotInstalled(StandIn):
        def version(self) -> str:
            return ""

    assert availability(NotInstalled()).reason == "not installed"


def test_the_listing_tells_all_that_a_table_shows() -> None:
    listing = list_providers([GHOST, TWIN, CPU])
    ghost, twin, cpu = listing.providers
    assert (ghost.reason, ghost.version, ghost.hardware) == ("no twin found", "1.0", "")
    assert (twin.title, twin.hardware, twin.reason, twin.is_tried) == ("Twin", "A stand-in", "", False)
    assert cpu.is_tried
    assert listing.runtime == runtime_text([TWIN, CPU])
    assert "twin 1.0" in listing.runtime
    assert "missing" not in listing.runtime


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells")
def test_graphics_cards_are_those_that_can_compute(tmp_path: Path) -> None:
    for card, vendor in (("card0", "0x10de"), ("card1", "0x8086"), ("card2", "0x1234"), ("card3", "?")):
        device = tmp_path / "sys/class/drm" / card / "device"
        device.mkdir(parents=True)
        (device / "vendor").write_text(vendor + "\n")
    (tmp_path / "sys/class/drm/card0-HDMI-A-1").mkdir()
    assert graphics_cards(tmp_path) == ["NVIDIA", "Intel"]
    assert graphics_cards(tmp_path / "nothing") == []


def test_without_a_driver_there_is_no_nvidia_gpu() -> None:
    assert nvidia_gpu("no-such-driver.so.1") == ""


# Trials


def trial(provider: str, write_speed: float, threads: int = 8, refusal: Refusal | None = None) -> Trial:
    return Trial(
        provider=provider,
        threads=threads,
        read_speed=write_speed * 4,
        write_speed=write_speed,
        refusal=refusal,
    )


def test_the_fastest_comes_first_and_the_refused_not_at_all() -> None:
    slow, fast = trial("cpu", 10), trial("cuda", 50)
    wrong = trial("webgpu", 90, refusal=Refusal.WRONG)
    assert best_first([slow, wrong, fast]) == [fast, slow]


def test_a_device_that_is_wanted_comes_first_unless_it_is_refused() -> None:
    slow, fast = trial("cpu", 10), trial("cuda", 50)
    assert best_first([fast, slow], "cpu") == [slow, fast]
    refused = msgspec.structs.replace(fast, refusal=Refusal.HANG)
    assert best_first([refused, slow], "cuda") == [slow]


def test_fewer_threads_must_be_worth_it() -> None:
    all_threads = trial("cpu", 100)
    assert best_first([trial("cpu", 103, threads=7), all_threads])[0] is all_threads
    assert best_first([trial("cpu", 110, threads=7), all_threads])[0].threads == 7


def test_a_trial_without_speed_takes_forever() -> None:
    assert trial("cpu", 0).seconds == math.inf


def test_each_refusal_has_its_words() -> None:
    for refusal in Refusal:
        said = msgspec.structs.replace(trial("cuda", 1, refusal=refusal), detail="7").reason()
        assert "7" in said
    assert trial("cpu", 1).reason() == ""


# Measuring


@pytest.mark.parametrize("context_length", [LEAST_TOKENS, 64, 100, 512])
def test_measuring_leaves_the_runner_empty(context_length: int) -> None:
    runner = ScriptedRunner(max_slots=2, context_length=context_length)
    measured = measure(runner)
    assert measured.read_speed > 0
    assert measured.write_speed > 0
    assert measured.logits.shape == (4, runner.vocab_size)
    assert not any(runner.slots)
    assert runner.reserved == (0, 0)


def test_measuring_twice_computes_the_same() -> None:
    first, second = measure(ScriptedRunner()), measure(ScriptedRunner())
    assert relative_error(first.logits, second.logits) == 0


def test_an_error_is_relative_to_the_size_of_the_logits() -> None:
    reference = np.array([[3.0, -4.0]], np.float32)
    assert relative_error(reference * 1.1, reference) == pytest.approx(0.1)
    assert relative_error(reference * 1000, reference * 1000) == 0
    assert relative_error(reference[:, ::-1], reference) > MOST_ERROR


def test_what_is_no_number_or_of_another_shape_is_infinitely_wrong() -> None:
    reference = np.ones((2, 3), np.float32)
    bad = reference.copy()
    for value in (np.nan, np.inf):
        bad[1, 1] = value
        assert relative_error(bad, reference) == math.inf
    assert relative_error(reference[:1], reference) == math.inf
    assert relative_error(reference, np.zeros_like(reference)) == math.inf


# Memory


def choice(model: str = "m", machine: str = "here", runtime: str = "1", *trials: Trial) -> Remembered:
    return Remembered(model=model, name=model, machine=machine, runtime=runtime, trials=trials)


def find(file: Path, model: str = "m", machine: str = "here", runtime: str = "1") -> Remembered | None:
    return find_choice(file, model=model, machine=machine, runtime=runtime)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "devices.json"


def test_what_was_measured_is_found_by_model_machine_and_runtime(file: Path) -> None:
    made = choice("m", "here", "1", trial("cpu", 10))
    remember(file, made)
    assert find(file) == made
    assert find(file, model="n") is None
    assert find(file, machine="there") is None
    assert find(file, runtime="2") is None


def test_trials_of_other_devices_stay(file: Path) -> None:
    remember(file, choice("m", "here", "1", trial("cpu", 10), trial("cuda", 50)))
    remember(file, choice("m", "here", "1", trial("cpu", 12)))
    found = find(file)
    assert found is not None
    assert [(known.provider, known.write_speed) for known in found.trials] == [("cpu", 12), ("cuda", 50)]


def test_trials_on_an_older_runtime_go(file: Path) -> None:
    remember(file, choice("m", "here", "1", trial("cpu", 10), trial("cuda", 50)))
    remember(file, choice("m", "here", "2", trial("cpu", 12)))
    assert [known.trials for known in read_choices(file)] == [(trial("cpu", 12),)]


def test_what_is_oldest_is_forgotten(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices, "_MOST", 3)
    for name in ("a", "b", "c", "a", "d"):
        remember(file, choice(name))
    assert [known.model for known in read_choices(file)] == ["c", "a", "d"]


def test_nothing_is_left_beside_the_file(file: Path) -> None:
    remember(file, choice())
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b'{"format": 1, "choices": [{}]}',
        b'{"format": 1, "choices": [{"model": "\xff"}]}',
        b"\x00" * 100,
    ],
)
def test_a_damaged_file_remembers_nothing(
    file: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    assert read_choices(file) == ()
    assert "measured anew" in caplog.text


def test_a_file_that_cannot_be_written_is_only_a_pity(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "home").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        remember(tmp_path / "home" / "devices.json", choice())
    assert "cannot be written" in caplog.text


def test_the_listing_is_utf_8_whatever_a_pipe_is() -> None:
    """As on a Chinese Windows."""
    environment = {**os.environ, "PYTHONIOENCODING": "gbk"}
    result = subprocess.run(process_command("list", "zh"), capture_output=True, check=True, env=environment)
    listing = msgspec.json.decode(result.stdout, type=Listing)
    assert any(re.search("[\u4e00-\u9fff]", provider.reason) for provider in listing.providers)
