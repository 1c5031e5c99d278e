"""Devices and threads for a model: measured once, remembered, and refused where they are wrong."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

import stand_in_provider as stand_in
from hearth.engine.device_choice import DeviceChooser, OpenedModel, open_model
from hearth.engine.host.protocol import EngineOptions
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.providers.choices import DeviceOptions, read_choices
from hearth.engine.providers.provider import Provider
from hearth.engine.providers.registry import CPU, PROVIDERS
from hearth.engine.providers.trial import Refusal, Trial
from hearth.errors import ModelLoadFailed, ModelUnsupported
from hearth.model_folder.folder import ModelFolder

TWIN: Provider = stand_in.StandIn()
PROMPT = [1, 403, 407, 261, 378]


@pytest.fixture(autouse=True)
def known_to_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial's process finds the stand-ins."""
    folders = [str(Path(stand_in.__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, folders)))


@pytest.fixture
def folder(stories_float32: Path) -> ModelFolder:
    return ModelFolder.open(stories_float32)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "devices.json"


def choose(
    folder: ModelFolder,
    file: Path,
    providers: Sequence[Provider],
    *,
    device: str = "auto",
    threads: int = 2,
    threads_are_set: bool = False,
    machine: str = "a machine",
    measure: bool = False,
    patience: float | None = None,
    kv_cache_bytes: int = 64 << 20,
) -> OpenedModel:
    devices = DeviceOptions(
        machine=machine,
        file=str(file),
        device=device,
        threads_are_set=threads_are_set,
        measure=measure,
    )
    options = EngineOptions(threads=threads, kv_cache_bytes=kv_cache_bytes)
    chooser = DeviceChooser(folder, "stories", options, devices, providers=providers, patience=patience)
    return chooser.open()


def remembered(file: Path) -> dict[tuple[str, int], Trial]:
    """What is remembered of the one model, by provider and threads."""
    (choice,) = read_choices(file)
    return {(trial.provider, trial.threads): trial for trial in choice.trials}


def make_best(file: Path, provider: str) -> None:
    """Let the file say that this provider was by far the fastest."""
    (choice,) = read_choices(file)
    trials = [
        msgspec.structs.replace(trial, read_speed=1e6, write_speed=1e6)
        if trial.provider == provider
        else trial
        for trial in choice.trials
    ]
    choice = msgspec.structs.replace(choice, trials=tuple(trials))
    file.write_bytes(msgspec.json.encode({"format": 1, "choices": [choice]}))


def test_where_there_is_nothing_to_choose_nothing_is_measured(folder: ModelFolder, file: Path) -> None:
    model = choose(folder, file, [CPU])
    assert (model.provider, model.threads, model.notices) == (CPU, 2, ())
    assert not file.exists()


def test_the_processor_alone_is_measured_when_that_is_asked_for(folder: ModelFolder, file: Path) -> None:
    choose(folder, file, [CPU], measure=True)
    trial = remembered(file)["cpu", 2]
    assert trial.read_speed > 0
    assert trial.write_speed > 0


def test_where_no_context_fits_nothing_can_be_measured(folder: ModelFolder, file: Path) -> None:
    with pytest.raises(ModelUnsupported):
        choose(folder, file, [CPU], measure=True, kv_cache_bytes=1 << 10)
    assert not file.exists()


def test_without_options_a_model_runs_on_the_processor(folder: ModelFolder) -> None:
    model = open_model(folder, "stories", EngineOptions(threads=5, kv_cache_bytes=64 << 20), None)
    assert (model.provider.id, model.threads) == ("cpu", 5)


def test_threads_are_measured_once_and_remembered(folder: ModelFolder, file: Path) -> None:
    first = choose(folder, file, [CPU], threads=4)
    trials = remembered(file)
    assert set(trials) == {("cpu", 3), ("cpu", 4)}
    assert all(trial.write_speed > 0 for trial in trials.values())
    written = file.read_bytes()
    second = choose(folder, file, [CPU], threads=4)
    assert second.threads == first.threads
    assert file.read_bytes() == written


def test_threads_that_are_set_are_used_as_they_are(folder: ModelFolder, file: Path) -> None:
    model = choose(folder, file, [CPU], threads=4, threads_are_set=True)
    assert model.threads == 4
    assert not file.exists()


def test_what_is_chosen_computes_what_the_processor_computes(folder: ModelFolder, file: Path) -> None:
    chosen = choose(folder, file, [TWIN, CPU], device="twin").runner
    plain = OrtRunner(folder, "stories", threads=2, max_slots=8, kv_cache_bytes=64 << 20)
    for runner in (chosen, plain):
        assert runner.reserve(1, 64)
        assert not runner.cache.lengths.any()
    np.testing.assert_allclose(chosen.prefill(0, PROMPT), plain.prefill(0, PROMPT), rtol=1e-5)


@pytest.mark.parametrize(
    ("provider", "refusal", "sentence"),
    [
        (stand_in.Failing(), Refusal.LOAD, "it cannot load the model (out of device memory)"),
        (stand_in.Breaking(), Refusal.RUN, "it failed while computing (the device was removed)"),
        (stand_in.Crashing(), Refusal.CRASH, "its test stopped unexpectedly (11)"),
        (stand_in.Dizzy(), Refusal.WRONG, "its results differ from the processor's by ∞ %"),
    ],
)
def test_a_device_that_fails_is_refused_in_one_sentence_told_once(
    folder: ModelFolder, file: Path, provider: Provider, refusal: Refusal, sentence: str
) -> None:
    model = choose(folder, file, [provider, CPU])
    assert model.provider is CPU
    assert model.notices == (f"{provider.title} is not used for stories: {sentence}.",)
    assert remembered(file)[provider.id, 2].refusal is refusal
    again = choose(folder, file, [provider, CPU])
    assert (again.provider, again.notices) == (CPU, ())


def test_a_device_that_lies_is_refused_also_where_the_settings_want_it(
    folder: ModelFolder, file: Path
) -> None:
    model = choose(folder, file, [stand_in.Lying(), CPU], device="lying")
    assert model.provider is CPU
    (notice,) = model.notices
    assert notice.startswith("Liar is not used for stories: its results differ from the processor's by 1")
    assert notice.endswith(" %.")


@pytest.mark.skipif(os.name != "posix", reason="hangs in the C library of POSIX")
def test_a_device_that_hangs_is_given_up(folder: ModelFolder, file: Path) -> None:
    model = choose(folder, file, [stand_in.Hanging(), CPU], patience=2.0)
    assert model.provider is CPU
    assert model.notices == ("Hanger is not used for stories: it did not answer for 2 seconds.",)
    assert choose(folder, file, [stand_in.Hanging(), CPU]).notices == ()


def test_a_slow_device_is_not_used_and_nobody_need_hear_of_it(folder: ModelFolder, file: Path) -> None:
    model = choose(folder, file, [stand_in.Slow(), CPU])
    assert (model.provider, model.notices) == (CPU, ())
    assert remembered(file)["slow", 2].refusal is None


def test_the_next_best_is_used_and_not_only_the_processor(folder: ModelFolder, file: Path) -> None:
    providers = [stand_in.Failing(), TWIN, CPU]
    choose(folder, file, providers)
    make_best(file, "twin")
    model = choose(folder, file, providers)
    assert (model.provider, model.notices) == (TWIN, ())


def test_a_setting_wins_over_speed(folder: ModelFolder, file: Path) -> None:
    slow: Provider = stand_in.Slow()
    assert choose(folder, file, [slow, TWIN, CPU], device="slow").provider is slow
    assert set(remembered(file)) == {("slow", 2), ("cpu", 2)}
    assert choose(folder, file, [slow, TWIN, CPU], device="cpu").provider is CPU


def test_a_setting_that_cannot_be_met_is_told(folder: ModelFolder, file: Path) -> None:
    model = choose(folder, file, [stand_in.Missing(), CPU], device="missing")
    assert model.provider is CPU
    assert model.notices == ("Ghost is not used: no twin found.",)
    model = choose(folder, file, [CPU], device="abacus")
    assert model.notices == ("abacus is not used: this Hearth does not know it.",)


def test_a_remembered_device_that_fails_today_is_replaced_by_the_next_best(
    folder: ModelFolder, file: Path
) -> None:
    choose(folder, file, [TWIN, CPU])
    make_best(file, "twin")
    model = choose(folder, file, [stand_in.FailingTwin(), CPU])
    assert model.provider is CPU
    assert model.notices == (
        "Twin is not used for stories: it cannot load the model (out of device memory).",
    )


def test_another_machine_measures_for_itself(folder: ModelFolder, file: Path) -> None:
    choose(folder, file, [TWIN, CPU])
    make_best(file, "twin")
    choose(folder, file, [TWIN, CPU], machine="another machine")
    assert [choice.machine for choice in read_choices(file)] == ["a machine", "another machine"]
    assert choose(folder, file, [TWIN, CPU]).provider is TWIN


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 1}', b'{"format": 2, "choices": []}', b"\xff"])
def test_a_damaged_file_is_measured_anew(folder: ModelFolder, file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    choose(folder, file, [stand_in.Failing(), CPU])
    assert set(remembered(file)) == {("failing", 2), ("cpu", 2)}


def test_measuring_again_takes_the_place_of_what_was_remembered(folder: ModelFolder, file: Path) -> None:
    choose(folder, file, [TWIN, CPU])
    make_best(file, "twin")
    choose(folder, file, [TWIN, CPU], measure=True)
    assert remembered(file)["twin", 2].write_speed < 1e6


def test_a_provider_that_is_not_installed_cannot_pass_for_the_processor(folder: ModelFolder) -> None:
    missing = [provider for provider in PROVIDERS if not provider.version()]
    assert missing
    for provider in missing:
        with pytest.raises(ModelLoadFailed):
            OrtRunner(folder, "m", threads=1, max_slots=1, kv_cache_bytes=64 << 20, provider=provider)
