"""A small model that guesses for another one, on real weights: what is said stays what the larger one says."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from hearth.engine.draft_model import CHUNK, WINDOW, DraftModel, open_draft_model
from hearth.engine.drafter import FirstOf, LookupDrafter
from hearth.engine.drafting import LONGEST
from hearth.engine.engine import Engine
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.outputs import FinishReason
from hearth.engine.request import Request
from hearth.engine.sampling_params import SamplingParams
from hearth.engine.tokenizer import Tokenizer
from hearth.errors import ModelRunFailed
from hearth.model_folder.folder import ModelFolder
from hearth.paths import resource
from hearth.services.hearth import Hearth

STARTS = ("Once upon a time", "Lily had a red ball", "The dog was sad because", "One day Tom went to the")


class Checks(OrtRunner):
    """Notes how many tokens were guessed."""

    guessed = 0

    def score(self, slot: int, token_ids: list[int]) -> np.ndarray:  # type: ignore[override]
        self.guessed += len(token_ids) - 1
        return super().score(slot, token_ids)


@pytest.fixture
def runner(stories_float32: Path) -> Checks:
    folder = ModelFolder.open(stories_float32)
    return Checks(folder, "large", threads=1, max_slots=2, kv_cache_bytes=1 << 26)


@pytest.fixture
def tokenizer(stories_float32: Path) -> Tokenizer:
    return Tokenizer(ModelFolder.open(stories_float32))


def draft_model(folder: Path, tokenizer: Tokenizer, vocab_size: int) -> DraftModel:
    return open_draft_model(
        ModelFolder.open(folder),
        "small",
        threads=1,
        kv_cache_bytes=1 << 26,
        tokenizer=tokenizer,
        vocab_size=vocab_size,
    )


@pytest.fixture
def drafts(stories_int8: Path, tokenizer: Tokenizer, runner: Checks) -> DraftModel:
    return draft_model(stories_int8, tokenizer, runner.vocab_size)


def ticks() -> Iterator[int]:
    """A clock by which every run takes as long, so that all guesses pay."""
    return itertools.count()


def answer(engine: Engine, prompt: list[int], params: SamplingParams) -> list[int]:
    engine.submit(Request("a", tuple(prompt), params))
    said: list[int] = []
    while engine.has_work:
        for output in engine.step():
            assert output.error is None
            said += output.token_ids
    return said


def greedy(tokens: int) -> SamplingParams:
    return SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True)


def test_an_answer_is_the_same_and_most_guesses_are_right(
    runner: Checks, drafts: DraftModel, tokenizer: Tokenizer
) -> None:
    plain = Engine(runner, drafter=None)
    prompts = [tokenizer.encode_raw(text) for text in STARTS]
    expected = [answer(plain, prompt, greedy(80)) for prompt in prompts]
    plain.scheduler.drop_leftovers()
    runner.release()
    engine = Engine(runner, drafter=lambda: drafts, clock=ticks().__next__)
    accepted = 0
    for prompt, said in zip(prompts, expected, strict=True):
        engine.submit(Request("a", tuple(prompt), greedy(80)))
        got: list[int] = []
        while engine.has_work:
            before = runner.guessed
            for output in engine.step():
                got += output.token_ids
                accepted += len(output.token_ids) - 1 if runner.guessed > before else 0
        assert got == said
    assert accepted > runner.guessed / 2 > 50


def test_it_follows_answers_that_are_aborted_and_take_turns(
    runner: Checks, drafts: DraftModel, tokenizer: Tokenizer
) -> None:
    first, second = (tokenizer.encode_raw(text) for text in STARTS[:2])
    plain = Engine(runner, drafter=None)
    expected = [answer(plain, prompt, greedy(40)) for prompt in (first, second)]
    engine = Engine(runner, drafter=lambda: FirstOf(LookupDrafter(), drafts), clock=ticks().__next__)
    for steps in range(1, 6):
        engine.submit(Request("gone", tuple(first), greedy(40)))
        for _ in range(steps):
            engine.step()
        ended = engine.abort("gone")
        assert ended is not None
        assert ended.finish_reason is FinishReason.ABORT
        assert not engine.has_work
        assert [answer(engine, prompt, greedy(40)) for prompt in (second, first)] == expected[::-1]
    assert runner.guessed


def test_it_looks_back_on_the_newest_tokens_alone(
    runner: Checks, drafts: DraftModel, tokenizer: Tokenizer
) -> None:
    words = tokenizer.encode_raw(" ".join(STARTS) * 200)[: 3 * WINDOW]
    held = []
    for length in range(WINDOW, len(words), 40):
        guess: list[int] = []
        for _ in range(WINDOW // CHUNK + 1):
            guess = guess or drafts.draft(words[:length], LONGEST)
        assert len(guess) == LONGEST
        held.append(int(drafts._runner.cache.lengths[0]))  # type: ignore[attr-defined]
    assert max(held) <= WINDOW + LONGEST
    assert drafts.draft([*words[:40], runner.vocab_size + 5], 3) == []


def test_a_draft_model_that_fails_is_left_out(
    runner: Checks, drafts: DraftModel, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = tokenizer.encode_raw(STARTS[0])
    expected = answer(Engine(runner, drafter=None), prompt, greedy(30))

    def broken(slot: int, token_ids: list[int]) -> np.ndarray:
        raise ModelRunFailed(name="small", reason="broken")

    monkeypatch.setattr(drafts._runner, "prefill", broken)
    engine = Engine(runner, drafter=lambda: drafts, clock=ticks().__next__)
    assert answer(engine, prompt, greedy(30)) == expected
    assert not runner.guessed


def test_sampled_answers_with_drafts_follow_the_distribution_of_those_without(
    runner: Checks, drafts: DraftModel, tokenizer: Tokenizer
) -> None:
    prompt = tokenizer.encode_raw(STARTS[3])
    answers = 700
    counts: dict[bool, list[Counter[int]]] = {}
    for has_drafts in (False, True):
        engine = Engine(runner, drafter=(lambda: drafts) if has_drafts else None, clock=ticks().__next__)
        counts[has_drafts] = [Counter() for _ in range(6)]
        for number in range(answers):
            # Other seeds with drafts: the same ones would give the same texts.
            seed = number + answers * has_drafts
            params = SamplingParams(temperature=1.3, top_p=0.95, max_tokens=6, ignore_eos=True, seed=seed)
            for place, token in enumerate(answer(engine, prompt, params)):
                counts[has_drafts][place][token] += 1
        engine.scheduler.drop_leftovers()
        runner.release()
    assert runner.guessed > answers
    for plain, drafted in zip(counts[False], counts[True], strict=True):
        # Tokens that hardly come are counted as one.
        common = [token for token in plain | drafted if plain[token] + drafted[token] >= 10]
        rows = np.array([[each[token] for token in common] for each in (plain, drafted)], float)
        rows = np.column_stack([rows, answers - rows.sum(axis=1)])
        rows = rows[:, rows.sum(axis=0) > 0]
        chi_square = float(((rows[0] - rows[1]) ** 2 / rows.sum(axis=0)).sum())
        freedom = rows.shape[1] - 1
        assert freedom >= 5
        # Wilson and Hilferty's bound, exceeded by chance once in ten thousand.
        assert chi_square <= freedom * (1 - 2 / (9 * freedom) + 3.72 * (2 / (9 * freedom)) ** 0.5) ** 3


def test_the_setting_names_the_model_and_what_does_not_fit_is_refused(
    stories_float32: Path, stories_int8: Path
) -> None:
    with closing(Hearth.open()) as hearth:
        hearth.models.import_folder(stories_float32, name="large")
        hearth.models.import_folder(stories_int8, name="small")
        hearth.models.import_folder(resource("starter", "model"), name="foreign")
        said = []
        for name in ("", "small", "large"):
            hearth.change_settings({"engine.draft_model": name})
            worker = hearth.pool.load("large")
            outputs = worker.generate(SamplingParams(temperature=0, max_tokens=40), text=STARTS[0])
            said.append("".join(output.text for output in outputs))
            hearth.pool.unload_and_wait(["large"])
        assert len(set(said)) == 1
        # A setting for all models keeps none from loading.
        hearth.change_settings({"engine.draft_model": "foreign"})
        notices = hearth.pool.load("large").wait_ready().notices
        assert notices == ("foreign cannot guess for another model: its vocabulary is another one.",)
        hearth.change_settings({"engine.draft_model": "gone"})
        hearth.pool.unload_and_wait(["large"])
        notices = hearth.pool.load("large").wait_ready().notices
        assert notices == ("gone cannot guess for another model: there is no model of that name.",)
