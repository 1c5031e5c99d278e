"""Drafted tokens: fewer runs and the same answer, without weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from engine_runs import GREEDY, greedy, run
from hearth.engine.drafter import LookupDrafter
from hearth.engine.engine import Engine
from hearth.engine.engine_backend import EngineBackend
from hearth.engine.host.protocol import Submit
from hearth.engine.outputs import FinishReason, RequestOutput
from hearth.engine.request import Request
from hearth.engine.sampling_params import SamplingParams
from hearth.errors import ModelRunFailed
from scripted_runner import VOCAB_SIZE, ScriptedRunner


class Echo(ScriptedRunner):
    """Says 0 to 9 over and over, so that what follows was there before."""

    def _append(self, slot: int, token_ids: Sequence[int]) -> np.ndarray:
        super()._append(slot, token_ids)
        logits = np.zeros(VOCAB_SIZE, np.float32)
        logits[(self.slots[slot][-1] + 1) % 10] = 50.0
        return logits


def test_an_answer_that_repeats_takes_fewer_runs_and_is_the_same() -> None:
    said = {}
    for drafts in (False, True):
        runner = Echo(can_score=True)
        engine = Engine(runner, drafter=LookupDrafter if drafts else None, clock=runner.clock)
        engine.submit(Request("a", tuple(range(10)), greedy(100)))
        said[drafts] = run(engine)[0]["a"]
        runs = len([call for call in runner.calls if call[0] != "prefill"])
        assert runs == 99 if not drafts else runs < 20
    assert said[True] == said[False]
    assert len(said[True]) == 100


@pytest.mark.parametrize("max_tokens", range(1, 40))
def test_a_draft_never_leads_beyond_the_end_of_an_answer(max_tokens: int) -> None:
    runner = Echo(can_score=True, context_length=60)
    engine = Engine(runner, clock=runner.clock)
    engine.submit(Request("a", tuple(range(10)), greedy(max_tokens)))
    assert len(run(engine)[0]["a"]) == max_tokens
    (leftover,) = engine.scheduler.slots.leftovers() or [None]
    if leftover is not None:
        assert leftover.tokens.tolist() == next(filter(None, runner.slots))
    engine.submit(Request("b", tuple(range(10)), greedy(None), eos_token_ids=frozenset({7})))
    assert run(engine)[0]["b"] == list(range(8))


def test_a_draft_ends_where_the_context_and_the_memory_end() -> None:
    runner = Echo(can_score=True, context_length=40, max_slots=1)
    engine = Engine(runner, clock=runner.clock)
    engine.submit(Request("a", tuple(range(10)), GREEDY))
    tokens, last = run(engine)
    assert len(tokens["a"]) == 30
    assert last["a"].finish_reason is FinishReason.LENGTH


def test_a_seed_gives_the_same_text_with_drafts_and_without() -> None:
    said = set()
    for drafts in (False, True):
        runner = Echo(can_score=True)
        engine = Engine(runner, drafter=LookupDrafter if drafts else None, clock=runner.clock)
        # Some guesses are right, and some are not: a likely token comes seven times of ten.
        params = SamplingParams(temperature=8.0, top_p=1.0, seed=5, max_tokens=200)
        engine.submit(Request("a", tuple(range(10)), params))
        said.add(tuple(run(engine)[0]["a"]))
        scored = sum(call[-1] for call in runner.calls if call[0] == "score")
        assert bool(scored) == drafts
    assert len(said) == 1


def test_drafts_that_are_never_right_are_soon_given_up() -> None:
    class Stubborn(ScriptedRunner):
        """Repeats itself, but for every fourth token, so that guesses are made and are wrong."""

        def _append(self, slot: int, token_ids: Sequence[int]) -> np.ndarray:
            super()._append(slot, token_ids)
            held = len(self.slots[slot])
            logits = np.zeros(VOCAB_SIZE, np.float32)
            logits[held % 190 if held % 4 == 0 else held % 4] = 50.0
            return logits

    runner = Stubborn(can_score=True)
    runner.seconds_per_token = 0.005
    engine = Engine(runner, clock=runner.clock)
    engine.submit(Request("a", (3, 1, 2), greedy(400)))
    run(engine)
    assert 1 <= len([call for call in runner.calls if call[0] == "score"]) <= 12


def test_no_drafts_are_made_while_others_stream() -> None:
    runner = Echo(can_score=True)
    engine = Engine(runner, clock=runner.clock)
    for name in "ab":
        engine.submit(Request(name, tuple(range(10)), greedy(50)))
    run(engine)
    assert not any(call[0] == "score" for call in runner.calls)


class Letters:
    """A tokenizer: 0 is a, 1 is b."""

    def decode(self, token_ids: Sequence[int]) -> str:
        return "".join(chr(ord("a") + token) for token in token_ids)

    def encode(self, text: str) -> list[int]:
        return [ord(letter) - ord("a") for letter in text]

    encode_raw = encode


@pytest.mark.parametrize("eos", [None, 5], ids=["goes on", "ends behind it"])
def test_nothing_that_was_drafted_behind_a_stop_text_is_told(eos: int | None) -> None:
    told = {}
    for drafts in (False, True):
        runner = Echo(can_score=True)
        engine = Engine(runner, drafter=LookupDrafter if drafts else None, clock=runner.clock)
        ends = frozenset() if eos is None else frozenset({eos})
        backend = EngineBackend("m", engine, Letters(), None, ends)
        params = SamplingParams(temperature=0, stop=("cd",), logprobs=0)
        backend.submit(Submit(request_id="a", text="abcdefghijabcdefghija", params=params))
        outputs: list[RequestOutput] = []
        while backend.has_work:
            outputs += backend.step()
        assert any(call[0] == "score" for call in runner.calls) == drafts
        usage = outputs[-1].usage
        assert usage is not None
        told[drafts] = (
            "".join(output.text for output in outputs),
            [token for output in outputs for token in output.token_ids],
            [one.token_id for output in outputs for one in output.logprobs],
            usage.generated_tokens,
            outputs[-1].finish_reason,
        )
    assert told[True] == told[False]


def test_where_room_for_a_draft_fails_every_request_ends_with_the_error() -> None:
    runner = Echo(can_score=True)
    engine = Engine(runner, clock=runner.clock)
    engine.submit(Request("a", tuple(range(10)), greedy(100)))
    while not any(call[0] == "score" for call in runner.calls):
        engine.step()
    reserve, longest = runner.reserve, runner.reserved[1] + 1

    def reserve_little(slots: int, length: int) -> bool:
        if length > longest:
            raise ModelRunFailed(name="m", reason="no memory")
        return reserve(slots, length)

    runner.reserve = reserve_little  # type: ignore[method-assign]
    assert run(engine)[1]["a"].error is not None


def test_a_failure_while_a_draft_is_checked_ends_the_answer_with_an_error() -> None:
    runner = Echo(can_score=True)
    engine = Engine(runner, clock=runner.clock)
    engine.submit(Request("a", tuple(range(10)), greedy(100)))
    while not any(call[0] == "score" for call in runner.calls):
        engine.step()
    runner.failure = ModelRunFailed(name="m", reason="broken")
    assert run(engine)[1]["a"].error is not None
