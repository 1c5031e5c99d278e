"""Keys and values outside the host's memory: the same answers, a budget that the device sets, honest refusals."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

import stand_in_provider as stand_in
from half_precision import with_halves
from hearth.engine.device_choice import DeviceChooser
from hearth.engine.engine import Engine
from hearth.engine.host.protocol import EngineOptions
from hearth.engine.kv_store import KVStore
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.providers import built_in
from hearth.engine.providers.choices import DeviceOptions
from hearth.engine.providers.provider import Provider
from hearth.engine.providers.registry import CPU
from hearth.engine.relative_error import relative_error
from hearth.engine.request import Request
from hearth.engine.sampling_params import SamplingParams
from hearth.errors import ModelLoadFailed
from hearth.model_folder.folder import ModelFolder
from stand_in_cuda import Driver, OnDevice

MB = 1 << 20
# Of the story model's keys and values, per token.
TOKEN_BYTES = 2560


@pytest.fixture
def folder(stories_float32: Path) -> ModelFolder:
    return ModelFolder.open(stories_float32)


@pytest.fixture
def driver() -> Iterator[Driver]:
    driver = Driver(2048 * MB)
    yield driver
    assert not driver.pending


def runner_on(
    folder: ModelFolder, provider: Provider, max_slots: int = 8, kv_cache_bytes: int = 64 * MB
) -> OrtRunner:
    return OrtRunner(
        folder, "m", threads=1, max_slots=max_slots, kv_cache_bytes=kv_cache_bytes, provider=provider
    )


def answers(runner: OrtRunner, prompts: list[tuple[int, ...]], tokens: int = 40) -> list[list[int]]:
    engine = Engine(runner, step_seconds=0.0005)
    for number, prompt in enumerate(prompts):
        # Of different lengths, so that slots fall free, move and are filled again.
        params = SamplingParams(temperature=0, max_tokens=tokens - number, ignore_eos=True)
        engine.submit(Request(str(number), prompt, params))
    said: list[list[int]] = [[] for _ in prompts]
    while engine.has_work:
        for output in engine.step():
            said[int(output.request_id)] += output.token_ids
    return said


def test_the_golden_tokens_come_out_of_a_device(
    folder: ModelFolder, driver: Driver, shared_data: Path
) -> None:
    golden = json.loads((shared_data / "models" / "stories260k" / "golden.json").read_text())["greedy_ids"]
    runner = runner_on(folder, OnDevice(driver))
    assert answers(runner, [(1,)], len(golden)) == [golden]
    assert driver.blocks
    runner.release()
    assert not driver.blocks


@pytest.mark.parametrize("provider", [OnDevice(Driver(2048 * MB)), stand_in.Copying()], ids=lambda p: p.id)
def test_a_crowd_is_answered_as_on_the_processor(folder: ModelFolder, provider: Provider) -> None:
    rng = np.random.default_rng(3)
    shared = tuple(rng.integers(3, 500, 100).tolist())
    prompts = [
        (1, *(shared if number % 3 else ()), *rng.integers(3, 500, int(rng.integers(2, 200))).tolist())
        for number in range(20)
    ]
    said = [answers(runner_on(folder, each, max_slots=4), prompts) for each in (CPU, provider)]
    assert said[1] == said[0]


def test_a_model_in_float16_runs_and_is_kept_as_it_is(
    stories_float32: Path, driver: Driver, tmp_path: Path
) -> None:
    """As onnxruntime-genai's builder makes them for GPUs."""
    half = ModelFolder.open(with_halves(stories_float32, tmp_path / "half"))
    prompt = np.random.default_rng(6).integers(3, 500, 300)
    whole = runner_on(ModelFolder.open(stories_float32), CPU)
    whole.reserve(1, 400)
    expected = whole.prefill(0, prompt.tolist())
    logits = []
    for provider in (OnDevice(driver), CPU):
        runner = runner_on(half, provider)
        assert runner.cache.shape.bytes_per_token == TOKEN_BYTES // 2
        runner.kv_store = KVStore(tmp_path / "kept", "m", runner.cache.shape, 64 * MB)
        runner.reserve(2, 400)
        if provider is not CPU:
            first = runner.prefill(1, prompt.tolist())
            assert first.dtype == np.float32
            assert relative_error(first, expected) < 0.01
            for _ in runner.store(1, prompt, 1) or ():
                pass
        else:
            assert runner.restore(1, prompt, 0) == len(prompt)
        logits.append(runner.decode(1, [7])[0])
    np.testing.assert_array_equal(logits[1], logits[0])


def test_slots_of_a_device_move_swap_and_are_copied(folder: ModelFolder, driver: Driver) -> None:
    rng = np.random.default_rng(5)
    prompts = [rng.integers(3, 500, length).tolist() for length in (30, 9)]
    logits = []
    for provider in (CPU, OnDevice(driver)):
        runner = runner_on(folder, provider)
        runner.reserve(2, 64)
        for slot, prompt in enumerate(prompts):
            runner.prefill(slot, prompt)
        runner.swap(0, 1)
        runner.reserve(4, 400)
        runner.move(0, 2)
        runner.copy(1, 3, 20)
        logits.append(np.stack([*runner.decode(1, [7, 8, 9]), *runner.decode(2, [3, 4])]))
    np.testing.assert_array_equal(logits[1], logits[0])


def test_what_a_device_read_goes_to_the_disk_and_back_to_another(
    folder: ModelFolder, driver: Driver, tmp_path: Path
) -> None:
    prompt = np.random.default_rng(6).integers(3, 500, 300)
    logits = []
    for provider in (OnDevice(driver), CPU, OnDevice(driver)):
        runner = runner_on(folder, provider)
        runner.kv_store = KVStore(tmp_path, "m", runner.cache.shape, 64 * MB)
        runner.reserve(2, 400)
        held = runner.restore(1, prompt, 0)
        assert held == (len(prompt) if logits else 0)
        if not held:
            runner.prefill(1, prompt.tolist())
            saving = runner.store(1, prompt, 1)
            assert saving is not None
            for _ in saving:
                pass
        logits.append(runner.decode(1, [7])[0])
    np.testing.assert_array_equal(logits[1], logits[0])
    np.testing.assert_array_equal(logits[2], logits[0])


def test_a_device_bounds_the_budget_by_what_it_has_left(folder: ModelFolder) -> None:
    # 512 MB of it are kept for kernels.
    runner = runner_on(folder, OnDevice(Driver(514 * MB)))
    assert MB < runner.cache.byte_budget < 2 * MB
    assert runner.context_length == 512
    assert not runner.reserve(8, 512)
    assert runner.reserve(1, 512)
    assert runner_on(folder, OnDevice(Driver(2048 * MB))).cache.byte_budget == 64 * MB


def test_a_model_that_a_device_has_no_room_for_is_left_to_the_processor(
    folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(stand_in.__file__).parent), *sys.path]))
    full = OnDevice(Driver(512 * MB + 300 * TOKEN_BYTES))
    with pytest.raises(ModelLoadFailed, match="the memory of the device is too small"):
        runner_on(folder, full)
    # Where the settings leave no more, it is not the device's fault.
    assert runner_on(folder, full, kv_cache_bytes=128 * TOKEN_BYTES).context_length == 128
    devices = DeviceOptions(machine="m", file=str(tmp_path / "devices.json"), device=full.id)
    options = EngineOptions(threads=2, kv_cache_bytes=64 * MB)
    chooser = DeviceChooser(folder, "m", options, devices, providers=[full, CPU])
    model = chooser.open()
    assert model.provider is CPU
    assert model.notices == (
        "Device is not used for m: it cannot load the model (the memory of the device is too small).",
    )


def test_a_model_whose_attention_falls_to_the_processor_is_refused(folder: ModelFolder) -> None:
    """By a provider that takes no part of a text model at all, and is in the wheels of all systems but macOS."""
    name = "AzureExecutionProvider"
    if name not in ort.get_available_providers():
        pytest.skip(f"this ONNX Runtime has no {name}")
    session = built_in.open_on(name, str(folder.graph_file), ort.SessionOptions())
    with pytest.raises(RuntimeError, match="made for another device"):
        built_in.check_attention(session)
