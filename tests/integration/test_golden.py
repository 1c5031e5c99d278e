"""The engine on real weights: the golden tokens, and answers that do not depend on their neighbours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from hearth.engine.engine import Engine
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.outputs import FinishReason, RequestOutput
from hearth.engine.request import Request
from hearth.engine.sampling_params import SamplingParams
from hearth.model_folder.folder import ModelFolder
from hearth.paths import resource

SCHEDULES = 200
REQUESTS = 24
# Two logits closer than this are a tie, which the rounding of another batch may decide the other way.
TIE = 1e-4
MOST_TIES = 0.005


# The story models of the shared data, and the starter, which is here wherever Hearth is.
MODELS = ("float32", "int8", "starter")


@pytest.fixture(scope="module", params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def loaded(name: str, request: pytest.FixtureRequest) -> OrtRunner:
    if name == "starter":
        path = resource("starter", "model")
    else:
        path = request.getfixturevalue("shared_data") / "models" / "stories260k-onnx" / name
    return OrtRunner(ModelFolder.open(path), name, threads=1, max_slots=8, kv_cache_bytes=1 << 28)


@pytest.fixture
def runner(loaded: OrtRunner) -> OrtRunner:
    """With nothing left in its slots."""
    loaded.release()
    return loaded


@pytest.fixture(scope="module")
def golden(name: str, request: pytest.FixtureRequest) -> list[tuple[list[int], list[int]]]:
    """Prompts and their greedy continuations, as another engine has them."""
    if name == "starter":
        rows = json.loads(Path(__file__).with_name("starter_golden.json").read_text())
        return [(row["prompt"], row["answer"]) for row in rows]
    file = request.getfixturevalue("shared_data") / "models" / "stories260k" / "golden.json"
    return [([1], json.loads(file.read_text())["greedy_ids"])]


@dataclass
class Trial:
    """One request of a schedule, and what came of it."""

    prompt: tuple[int, ...]
    max_tokens: int
    arrival: int
    abort: int | None
    tokens: list[int] = field(default_factory=list)
    aborted: bool = False


def alone(runner: OrtRunner, prompt: tuple[int, ...], tokens: int) -> tuple[list[int], list[float]]:
    """The greedy answer with nobody beside it, and how far apart the two best logits were at each token."""
    runner.reserve(1, len(prompt) + tokens + 1)
    logits = runner.prefill(0, prompt)
    answer, margins = [], []
    for _ in range(tokens):
        second, best = np.partition(logits, -2)[-2:]
        answer.append(int(logits.argmax()))
        margins.append(float(best - second))
        logits = runner.decode(0, answer[-1:])[0]
    runner.truncate(0, 0)
    return answer, margins


def collect(outputs: list[RequestOutput], trials: list[Trial]) -> None:
    for output in outputs:
        trials[int(output.request_id)].tokens += output.token_ids


def test_the_golden_tokens_come_out(runner: OrtRunner, golden: list[tuple[list[int], list[int]]]) -> None:
    engine = Engine(runner)
    for number, (prompt, answer) in enumerate(golden):
        params = SamplingParams(temperature=0, max_tokens=len(answer), ignore_eos=True)
        engine.submit(Request(str(number), tuple(prompt), params))
    tokens: list[list[int]] = [[] for _ in golden]
    while engine.has_work:
        for output in engine.step():
            tokens[int(output.request_id)] += output.token_ids
    assert tokens == [answer for _, answer in golden]


def test_the_first_logits_are_the_golden_ones(
    runner: OrtRunner, name: str, request: pytest.FixtureRequest
) -> None:
    if name != "float32":
        pytest.skip("the golden logits are those of the float32 weights")
    file = request.getfixturevalue("shared_data") / "models" / "stories260k" / "golden.json"
    data = json.loads(file.read_text())
    runner.reserve(1, 2)
    logits = runner.prefill(0, [data["bos"]])
    np.testing.assert_allclose(logits, data["logits_pos0"], atol=1e-3)
    runner.truncate(0, 0)


def test_reading_a_prompt_in_chunks_changes_nothing(runner: OrtRunner) -> None:
    prompt = np.random.default_rng(0).integers(3, 500, 128).tolist()
    runner.reserve(1, 256)
    whole = runner.prefill(0, prompt).copy()
    runner.truncate(0, 0)
    for size in (2, 8, 16, 64):
        for start in range(0, len(prompt), size):
            logits = runner.prefill(0, prompt[start : start + size])
        np.testing.assert_array_equal(logits, whole)
        runner.truncate(0, 0)


def test_every_answer_equals_its_run_alone_in_any_company(runner: OrtRunner) -> None:
    """24 ragged requests at random times in 8 slots, some aborted, over 200 seeded schedules."""
    rng = np.random.default_rng(42)
    pool = []
    for _ in range(60):
        prompt = (1, *rng.integers(3, 500, int(rng.integers(0, 90))).tolist())
        pool.append((prompt, *alone(runner, prompt, 40)))
    runner.release()

    ties = differences = answers = 0
    for schedule in range(SCHEDULES):
        rng = np.random.default_rng(schedule)
        chosen = rng.integers(0, len(pool), REQUESTS)
        trials = [
            Trial(
                prompt=pool[number][0],
                max_tokens=int(rng.integers(1, 41)),
                arrival=int(rng.integers(0, 40)),
                abort=int(rng.integers(0, 30)) if rng.random() < 0.2 else None,
            )
            for number in chosen
        ]
        run_schedule(runner, trials)
        for number, trial in zip(chosen, trials, strict=True):
            expected, margins = pool[number][1][: trial.max_tokens], pool[number][2]
            answers += 1
            got = trial.tokens
            if trial.aborted:
                expected = expected[: len(got)]
            if got == expected:
                continue
            place = next(i for i, (a, b) in enumerate(zip(got, expected, strict=True)) if a != b)
            ties += margins[place] <= TIE
            differences += margins[place] > TIE
    assert answers == SCHEDULES * REQUESTS
    assert differences == 0
    assert ties <= MOST_TIES * answers


def test_a_preempted_answer_equals_its_run_alone(shared_data: Path) -> None:
    """A budget of two full sequences for eight: the newest yield, and say afterwards what they would have said."""
    for precision in ("float32", "int8"):
        folder = ModelFolder.open(shared_data / "models" / "stories260k-onnx" / precision)
        small = OrtRunner(folder, "m", threads=2, max_slots=8, kv_cache_bytes=512 * 2560)
        rng = np.random.default_rng(7)
        prompts = [(1, *rng.integers(3, 500, int(rng.integers(2, 60))).tolist()) for _ in range(12)]
        expected = [alone(small, prompt, 60) for prompt in prompts]
        small.release()
        trials = [Trial(prompt, 60, arrival, None) for arrival, prompt in enumerate(prompts)]
        prefilled = count_prefilled(small)
        run_schedule(small, trials)
        assert sum(prefilled) > sum(len(prompt) for prompt in prompts)  # some prompts were read twice
        for trial, (answer, margins) in zip(trials, expected, strict=True):
            if trial.tokens != answer:
                pairs = enumerate(zip(trial.tokens, answer, strict=True))
                assert margins[next(i for i, (a, b) in pairs if a != b)] <= TIE


def count_prefilled(runner: OrtRunner) -> list[int]:
    """Filled with the length of every chunk that the runner prefills from now on."""
    lengths: list[int] = []
    prefill = runner.prefill

    def counted(slot: int, token_ids: Sequence[int]) -> np.ndarray:
        lengths.append(len(token_ids))
        return prefill(slot, token_ids)

    runner.prefill = counted  # type: ignore[method-assign]
    return lengths


def run_schedule(runner: OrtRunner, trials: list[Trial]) -> None:
    # A small step, so that prompts are read in several chunks.
    engine = Engine(runner, step_seconds=0.0005)
    step = 0
    while engine.has_work or step <= 40:
        for number, trial in enumerate(trials):
            if trial.arrival == step:
                params = SamplingParams(temperature=0, max_tokens=trial.max_tokens, ignore_eos=True)
                engine.submit(Request(str(number), trial.prompt, params))
            if trial.abort is not None and trial.arrival + trial.abort == step:
                busy = [owner.request.id for owner in engine.scheduler.slots.owners()]
                ended = engine.abort(str(number))
                if ended is not None:
                    assert ended.finish_reason is FinishReason.ABORT
                    trial.aborted = True
                    owners = [owner.request.id for owner in engine.scheduler.slots.owners()]
                    assert str(number) not in owners
                    assert len(owners) == len(busy) - (str(number) in busy)
        collect(engine.step(), trials)
        step += 1


def test_a_seed_gives_the_same_text_in_any_company(runner: OrtRunner) -> None:
    params = SamplingParams(temperature=1.0, top_p=0.9, seed=7, max_tokens=30, ignore_eos=True)

    def run(neighbours: int) -> list[int]:
        engine = Engine(runner)
        for number in range(neighbours):
            other = SamplingParams(temperature=1.0, seed=number, max_tokens=20 + number, ignore_eos=True)
            engine.submit(Request(f"other {number}", (1, 50 + number), other))
        engine.submit(Request("mine", (1, 403, 407), params))
        tokens: list[int] = []
        while engine.has_work:
            for output in engine.step():
                if output.request_id == "mine":
                    tokens += output.token_ids
        return tokens

    assert run(0) == run(3) == run(7)


def test_a_context_that_does_not_fit_the_budget_is_shortened(stories_float32: Path) -> None:
    folder = ModelFolder.open(stories_float32)
    small = OrtRunner(folder, "m", threads=1, max_slots=8, kv_cache_bytes=200 * 2560)
    assert small.context_length == 192
    engine = Engine(small)
    for number in range(4):
        engine.submit(Request(str(number), (1, 50 + number), SamplingParams(temperature=0, ignore_eos=True)))
    lengths: dict[str, int] = {}
    while engine.has_work:
        for output in engine.step():
            lengths[output.request_id] = lengths.get(output.request_id, 0) + len(output.token_ids)
    assert set(lengths.values()) == {190}
