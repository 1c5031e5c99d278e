"""The engine and its scheduler, without weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.engine.drafter import LookupDrafter
from hearth.engine.engine import Engine
from hearth.engine.outputs import FinishReason, RequestOutput
from hearth.engine.request import Request
from hearth.engine.sampling_params import SamplingParams
from hearth.engine.scheduler import MIN_CHUNK, MOST_STRETCH
from hearth.errors import ModelRunFailed, PromptTooLong, RequestInvalid
from scripted_runner import VOCAB_SIZE, Clock, ScriptedRunner, answer

GREEDY = SamplingParams(temperature=0)


def greedy(max_tokens: int | None) -> SamplingParams:
    return SamplingParams(temperature=0, max_tokens=max_tokens)


def collect(outputs: list[RequestOutput], into: dict[str, list[int]]) -> None:
    for output in outputs:
        into.setdefault(output.request_id, []).extend(output.token_ids)


def run(engine: Engine) -> tuple[dict[str, list[int]], dict[str, RequestOutput]]:
    """Step until nothing is left; the tokens and the last output of each request."""
    tokens: dict[str, list[int]] = {}
    last: dict[str, RequestOutput] = {}
    while engine.has_work:
        outputs = engine.step()
        collect(outputs, tokens)
        last |= {output.request_id: output for output in outputs if output.finish_reason}
    return tokens, last


def test_an_answer_is_what_the_model_says() -> None:
    engine = Engine(ScriptedRunner())
    engine.submit(Request("a", (1, 2, 3), greedy(20)))
    tokens, last = run(engine)
    assert tokens["a"] == answer((1, 2, 3), 20)
    assert last["a"].finish_reason is FinishReason.LENGTH
    assert last["a"].usage is not None
    assert last["a"].usage.prompt_tokens == 3
    assert last["a"].usage.generated_tokens == 20


def test_times_of_a_request_are_measured_from_its_submission() -> None:
    clock = Clock()
    runner = ScriptedRunner(clock=clock)
    engine = Engine(runner, clock=clock)
    engine.submit(Request("a", tuple(range(20)), greedy(11)))
    usage = run(engine)[1]["a"].usage
    assert usage is not None
    assert usage.seconds_to_first_token == pytest.approx(20 * runner.seconds_per_token)
    assert usage.seconds == pytest.approx(20 * runner.seconds_per_token + 10 * runner.seconds_per_decode)
    assert usage.tokens_per_second == pytest.approx(1 / runner.seconds_per_decode)


def test_the_end_of_sequence_token_ends_the_answer_and_counts() -> None:
    said = answer((5,), 30)
    end = said[7]
    engine = Engine(ScriptedRunner())
    engine.submit(Request("a", (5,), GREEDY, eos_token_ids=frozenset({end, 1000})))
    tokens, last = run(engine)
    assert tokens["a"] == said[: said.index(end) + 1]
    assert last["a"].finish_reason is FinishReason.STOP


def test_stop_token_ids_end_the_answer_and_ignored_ends_do_not() -> None:
    said = answer((5,), 30)
    engine = Engine(ScriptedRunner())
    stops = SamplingParams(temperature=0, stop_token_ids=(said[4],))
    ignores = SamplingParams(temperature=0, ignore_eos=True, max_tokens=30)
    engine.submit(Request("stops", (5,), stops))
    engine.submit(Request("ignores", (5,), ignores, eos_token_ids=frozenset(said)))
    tokens, _ = run(engine)
    assert tokens["stops"] == said[: said.index(said[4]) + 1]
    assert tokens["ignores"] == said


def test_an_answer_ends_where_the_context_ends() -> None:
    engine = Engine(ScriptedRunner(context_length=40))
    engine.submit(Request("a", tuple(range(30)), GREEDY))
    tokens, last = run(engine)
    assert len(tokens["a"]) == 10
    assert last["a"].finish_reason is FinishReason.LENGTH


def test_a_newcomer_gets_its_first_chunk_in_the_next_step_while_others_stream() -> None:
    runner = ScriptedRunner(context_length=8192)
    engine = Engine(runner, clock=runner.clock)
    for name in "abc":
        engine.submit(Request(name, (ord(name),), GREEDY))
    for _ in range(5):
        engine.step()
    engine.submit(Request("new", tuple(i % VOCAB_SIZE for i in range(2000)), greedy(1)))
    runner.calls.clear()
    outputs = engine.step()
    assert runner.calls[0] == ("decode", 3)
    assert runner.calls[1][0] == "prefill"
    assert [output.prefilled for output in outputs if output.request_id == "new"] == [runner.calls[1][2]]


def test_a_step_with_streams_stays_near_its_time_whatever_the_prompts_are() -> None:
    runner = ScriptedRunner(context_length=8192)
    runner.seconds_per_token = 0.003
    engine = Engine(runner, step_seconds=0.15, clock=runner.clock)
    engine.submit(Request("stream", (1,), GREEDY))
    engine.step()
    for name in "abcd":
        engine.submit(Request(name, tuple(i % VOCAB_SIZE for i in range(3000)), greedy(1)))
    longest = 0.0
    while engine.scheduler.turns or engine.scheduler.waiting:
        started = runner.clock()
        engine.step()
        longest = max(longest, runner.clock() - started)
    # The decode, the budget, and at most the smallest turn beyond it.
    assert longest <= runner.seconds_per_decode + 0.15 + (MIN_CHUNK + 1) * runner.seconds_per_token


def test_the_streams_of_a_fast_model_stay_fast_beside_prompts() -> None:
    runner = ScriptedRunner(context_length=8192)
    runner.seconds_per_decode, runner.seconds_per_token = 0.02, 0.0002
    engine = Engine(runner, step_seconds=0.2, clock=runner.clock)
    engine.submit(Request("stream", (1,), GREEDY))
    for _ in range(3):
        engine.step()
    engine.submit(Request("long", tuple(i % VOCAB_SIZE for i in range(3000)), greedy(1)))
    while engine.scheduler.turns or engine.scheduler.waiting:
        started = runner.clock()
        engine.step()
        assert runner.clock() - started <= MOST_STRETCH * runner.seconds_per_decode


def test_prompts_take_turns() -> None:
    runner = ScriptedRunner(context_length=8192)
    engine = Engine(runner, clock=runner.clock)
    long, short = tuple([3] * 5000), tuple([4] * 60)
    engine.submit(Request("long", long, greedy(1)))
    engine.step()
    engine.submit(Request("short", short, greedy(1)))
    done: list[str] = []
    while engine.has_work:
        done += [output.request_id for output in engine.step() if output.finish_reason]
    assert done == ["short", "long"]


@given(prompt=st.integers(2, 700), step_seconds=st.sampled_from([0.01, 0.05, 0.15]))
def test_no_chunk_has_one_token_where_it_can_be_helped(prompt: int, step_seconds: float) -> None:
    runner = ScriptedRunner(context_length=1024)
    engine = Engine(runner, step_seconds=step_seconds, clock=runner.clock)
    engine.submit(Request("a", tuple([1] * prompt), greedy(1)))
    run(engine)
    chunks = [call[2] for call in runner.calls if call[0] == "prefill"]
    assert sum(chunks) == prompt
    assert min(chunks) >= 2


def test_priority_is_admitted_first_and_clients_take_turns() -> None:
    engine = Engine(ScriptedRunner(max_slots=1))
    for number in range(3):
        engine.submit(Request(f"busy {number}", (1,), greedy(2), client="busy"))
    engine.submit(Request("other", (1,), greedy(2), client="other"))
    engine.submit(Request("urgent", (1,), greedy(2), client="busy", priority=1))
    done: list[str] = []
    while engine.has_work:
        done += [output.request_id for output in engine.step() if output.finish_reason]
    assert done == ["urgent", "other", "busy 0", "busy 1", "busy 2"]


def test_a_client_with_many_requests_leaves_slots_to_others() -> None:
    engine = Engine(ScriptedRunner(max_slots=2))
    for number in range(4):
        engine.submit(Request(f"busy {number}", (1,), greedy(5), client="busy"))
    engine.submit(Request("other", (1,), greedy(5), client="other"))
    engine.step()
    assert {owner.request.client for owner in engine.scheduler.slots.owners()} == {"busy", "other"}


def test_abort_frees_the_slot_for_the_next_step() -> None:
    engine = Engine(ScriptedRunner(max_slots=1))
    engine.submit(Request("a", (1,), GREEDY))
    engine.submit(Request("b", (2,), greedy(3)))
    engine.step()
    ended = engine.abort("a")
    assert ended is not None
    assert ended.finish_reason is FinishReason.ABORT
    assert "b" in {output.request_id for output in engine.step()}
    assert engine.abort("a") is None


def test_a_request_that_makes_no_sense_is_refused_at_once() -> None:
    engine = Engine(ScriptedRunner(context_length=10))
    with pytest.raises(PromptTooLong):
        engine.submit(Request("a", tuple([1] * 10), GREEDY))
    for bad in (
        Request("a", (), GREEDY),
        Request("a", (VOCAB_SIZE,), GREEDY),
        Request("a", (-1,), GREEDY),
        Request("a", (1,), SamplingParams(temperature=float("nan"))),
        Request("a", (1,), SamplingParams(top_p=1.5)),
        Request("a", (1,), SamplingParams(max_tokens=0)),
        Request("a", (1,), SamplingParams(stop=("",))),
        Request("a", (1,), SamplingParams(logit_bias={1: float("inf")})),
    ):
        with pytest.raises(RequestInvalid):
            engine.submit(bad)
    engine.submit(Request("a", (1,), GREEDY))
    with pytest.raises(RequestInvalid):
        engine.submit(Request("a", (1,), GREEDY))


def test_a_failing_runner_ends_every_request_with_its_error() -> None:
    runner = ScriptedRunner()
    engine = Engine(runner)
    engine.submit(Request("a", (1,), GREEDY))
    engine.step()
    runner.failure = ModelRunFailed(name="m", reason="no memory")
    outputs = engine.step()
    assert [output.finish_reason for output in outputs] == [FinishReason.ERROR]
    assert outputs[0].error is not None
    assert outputs[0].error.code == "model_run_failed"
    assert not engine.has_work
    runner.failure = None
    engine.submit(Request("b", (1,), greedy(2)))
    assert run(engine)[0]["b"] == answer((1,), 2)


def test_a_prompt_that_fails_takes_nobody_with_it() -> None:
    runner = ScriptedRunner()
    engine = Engine(runner)
    engine.submit(Request("a", (1,), greedy(2)))
    engine.step()
    engine.submit(Request("b", (2,), greedy(2)))
    runner.failing_prefill = ModelRunFailed(name="m", reason="no memory")
    outputs = {output.request_id: output for output in engine.step()}
    assert outputs["a"].finish_reason is FinishReason.LENGTH
    assert outputs["b"].finish_reason is FinishReason.ERROR


def test_logits_that_are_not_numbers_end_their_own_answer_only() -> None:
    runner = ScriptedRunner()
    engine = Engine(runner)
    engine.submit(Request("a", (1,), greedy(5)))
    engine.submit(Request("b", (2,), greedy(5)))
    engine.step()
    runner.nan_rows = {0}
    reasons = {output.request_id: output.finish_reason for output in engine.step()}
    runner.nan_rows = set()
    assert sorted(str(reason) for reason in reasons.values()) == ["None", "error"]
    survivor = next(name for name, reason in reasons.items() if reason is None)
    assert len(run(engine)[0][survivor]) == 3


def test_memory_comes_back_with_the_last_answer_however_it_ends() -> None:
    runner = ScriptedRunner()
    engine = Engine(runner)
    engine.submit(Request("a", (1,), GREEDY))
    engine.step()
    assert runner.reserved != (0, 0)
    engine.abort("a")
    assert runner.reserved == (0, 0)


def test_where_memory_is_short_the_newest_yields_and_still_gets_its_whole_answer() -> None:
    # Four prompts are admitted, but the budget holds only two sequences of full length.
    runner = ScriptedRunner(max_slots=4, context_length=128, budget_tokens=256)
    engine = Engine(runner, clock=runner.clock)
    prompts = {name: (ord(name), 1, 2) for name in "abcd"}
    for name, prompt in prompts.items():
        engine.submit(Request(name, prompt, greedy(100)))
    tokens, last = run(engine)
    for name, prompt in prompts.items():
        assert tokens[name] == answer(prompt, 100)
        assert last[name].finish_reason is FinishReason.LENGTH
    read = [call for call in runner.calls if call[0] == "prefill"]
    assert len(read) > len(prompts)  # somebody's prompt was read twice: there was a preemption


@st.composite
def schedules(draw: st.DrawFn) -> list[tuple[int, int, int, int | None]]:
    """Per request: arrival step, prompt length, tokens to generate, step of an abort after arrival."""
    return draw(
        st.lists(
            st.tuples(
                st.integers(0, 30),
                st.integers(1, 90),
                st.integers(1, 40),
                st.none() | st.integers(0, 40),
            ),
            min_size=1,
            max_size=20,
        )
    )


def asked(number: int, tokens: int) -> tuple[int, ...]:
    """A prompt; three of them have a beginning of 40 tokens in common."""
    return (*[number % 3] * 40, *[number] * tokens)[:tokens]


@given(schedules(), st.integers(1, 5), st.sampled_from([140, 300, 10_000]))
def test_every_answer_is_its_own_whatever_arrives_ends_or_is_aborted_beside_it(
    schedule: list[tuple[int, int, int, int | None]], max_slots: int, budget_tokens: int
) -> None:
    runner = ScriptedRunner(max_slots=max_slots, context_length=140, budget_tokens=budget_tokens)
    engine = Engine(runner, step_seconds=0.03, clock=runner.clock)
    tokens: dict[str, list[int]] = {}
    aborted: set[str] = set()
    step = 0
    while engine.has_work or step <= 30:
        for number, (arrival, prompt, count, abort) in enumerate(schedule):
            if arrival == step:
                engine.submit(Request(str(number), asked(number, prompt), greedy(count)))
            if abort is not None and arrival + abort == step and engine.abort(str(number)):
                aborted.add(str(number))
        collect(engine.step(), tokens)
        slots = engine.scheduler.slots
        owners = slots.owners()
        assert len({owner.slot for owner in owners}) == len(owners)
        assert [owner.slot for owner in slots.decoding()] == list(
            range(slots.first, slots.first + slots.running)
        )
        step += 1
        assert step < 5000
    for number, (_, prompt, count, _) in enumerate(schedule):
        expected = answer(asked(number, prompt), count)
        got = tokens.get(str(number), [])
        assert got == (expected[: len(got)] if str(number) in aborted else expected)
    left = [leftover.tokens.tolist() for leftover in engine.scheduler.slots.leftovers()]
    assert left == [held for held in runner.slots if held]


def read_tokens(runner: ScriptedRunner) -> int:
    """Prompt tokens that were computed; counted anew from here."""
    read = sum(call[-1] for call in runner.calls if call[0] == "prefill")
    runner.calls.clear()
    return read


def test_the_next_turn_of_a_conversation_computes_only_what_is_new() -> None:
    runner = ScriptedRunner()
    engine = Engine(runner)
    first = tuple(range(100))
    engine.submit(Request("first", first, greedy(20)))
    said = run(engine)[0]["first"]
    read_tokens(runner)
    second = (*first, *said, *range(30))
    engine.submit(Request("second", second, greedy(5)))
    tokens, last = run(engine)
    assert tokens["second"] == answer(second, 5)
    # The last token of an answer is said and not computed.
    assert read_tokens(runner) == 31
    assert last["second"].usage is not None
    assert last["second"].usage.cached_tokens == 119
    assert sum(map(bool, runner.slots)) == 1  # it went on in the same slot


def test_after_an_edit_only_what_changed_is_computed() -> None:
    runner = ScriptedRunner()
    engine = Engine(runner)
    turns = tuple(range(150))
    engine.submit(Request("first", (*turns, *[1] * 20), greedy(20)))
    run(engine)
    read_tokens(runner)
    edited = (*turns, *[2] * 25)
    engine.submit(Request("edited", edited, greedy(5)))
    assert run(engine)[0]["edited"] == answer(edited, 5)
    assert read_tokens(runner) == 25


def test_conversations_that_share_a_document_read_it_once_and_both_are_kept() -> None:
    runner = ScriptedRunner()
    engine = Engine(runner)
    document = tuple(range(60))
    asked = {name: (*document, *[number] * 90) for number, name in enumerate("abc")}
    for name, prompt in asked.items():
        engine.submit(Request(name, prompt, greedy(5)))
        assert run(engine)[0][name] == answer(prompt, 5)
    assert read_tokens(runner) == 60 + 3 * 90
    for name, prompt in asked.items():  # all three can be gone on with
        engine.submit(Request(name + " again", (*prompt, 7, 8), greedy(5)))
        run(engine)
    assert read_tokens(runner) == 3 * 2


def test_a_prompt_that_was_read_before_is_computed_from_its_last_two_tokens() -> None:
    runner = ScriptedRunner()
    engine = Engine(runner)
    prompt = tuple(range(50))
    for name in ("once", "again"):
        read_tokens(runner)
        engine.submit(Request(name, prompt, greedy(5)))
        assert run(engine)[0][name] == answer(prompt, 5)
    assert read_tokens(runner) == 2


def test_a_prompt_is_shared_with_one_that_is_still_answered() -> None:
    runner = ScriptedRunner()
    engine = Engine(runner)
    prompt = tuple(range(80))
    engine.submit(Request("a", prompt, greedy(50)))
    while not runner.calls or runner.calls[-1][0] != "decode":
        engine.step()
    read_tokens(runner)
    engine.submit(Request("b", (*prompt, 1, 2, 3), greedy(50)))
    tokens, _ = run(engine)
    assert tokens["b"] == answer((*prompt, 1, 2, 3), 50)
    assert read_tokens(runner) == 3


def test_what_is_left_over_gives_way_where_memory_is_short_the_oldest_first() -> None:
    runner = ScriptedRunner(budget_tokens=300)
    engine = Engine(runner)
    for number, name in enumerate("abc"):
        engine.submit(Request(name, tuple([number] * 90), greedy(2)))
        run(engine)
    read_tokens(runner)
    engine.submit(Request("d", tuple([9] * 120), greedy(2)))
    run(engine)
    assert read_tokens(runner) == 120
    begins = {int(leftover.tokens[0]) for leftover in engine.scheduler.slots.leftovers()}
    assert begins == {2, 9}


def test_what_is_stored_is_read_back_and_only_the_rest_computed() -> None:
    runner = ScriptedRunner()
    runner.stored = [list(range(70))]
    engine = Engine(runner)
    prompt = tuple(range(100))
    engine.submit(Request("a", prompt, greedy(5)))
    tokens, last = run(engine)
    assert tokens["a"] == answer(prompt, 5)
    assert read_tokens(runner) == 30
    assert last["a"].usage is not None
    assert last["a"].usage.cached_tokens == 70


def test_ended_answers_are_stored_in_quiet_times_the_newest_first() -> None:
    runner = ScriptedRunner()
    engine = Engine(runner)
    for number in (1, 2):
        engine.submit(Request(str(number), tuple([number] * 50), greedy(1)))
        assert not engine.tidy()  # there is better work
        run(engine)
    engine.tidy()
    engine.submit(Request("3", tuple([2] * 55), greedy(1)))  # takes the slot that was being stored
    run(engine)
    while engine.tidy():
        pass
    assert runner.stored == [[2] * 55, [1] * 50]


def test_nothing_is_left_of_an_answer_that_failed() -> None:
    runner = ScriptedRunner()
    engine = Engine(runner)
    engine.submit(Request("a", tuple(range(80)), greedy(50)))
    engine.step()
    runner.failure = ModelRunFailed(name="m", reason="broken")
    run(engine)
    assert not engine.scheduler.slots.leftovers()
    assert runner.reserved == (0, 0)


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
        params = SamplingParams(temperature=16.0, top_p=1.0, seed=5, max_tokens=200)
        engine.submit(Request("a", tuple(range(10)), params))
        said.add(tuple(run(engine)[0]["a"]))
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


def test_a_failure_while_a_draft_is_checked_ends_the_answer_with_an_error() -> None:
    runner = Echo(can_score=True)
    engine = Engine(runner, clock=runner.clock)
    engine.submit(Request("a", tuple(range(10)), greedy(100)))
    while not any(call[0] == "score" for call in runner.calls):
        engine.step()
    runner.failure = ModelRunFailed(name="m", reason="broken")
    assert run(engine)[1]["a"].error is not None
