"""The engine and its scheduler, without weights."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_runs import GREEDY, collect, greedy, run
from hearth.engine.engine import Engine
from hearth.engine.outputs import FinishReason
from hearth.engine.request import Request
from hearth.engine.sampling_params import SamplingParams
from hearth.engine.scheduler import MIN_CHUNK, MOST_STRETCH
from hearth.errors import ModelRunFailed, PromptTooLong, RequestInvalid
from scripted_runner import VOCAB_SIZE, Clock, ScriptedRunner, answer


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


def test_of_prompts_that_arrive_together_the_most_urgent_is_read_first() -> None:
    runner = ScriptedRunner()
    engine = Engine(runner, step_seconds=0.005, clock=runner.clock)
    for name, priority in (("first", 0), ("second", 0), ("urgent", 1)):
        engine.submit(Request(name, tuple([1] * MIN_CHUNK), greedy(1), priority=priority))
    done: list[str] = []
    while engine.has_work:
        done += [output.request_id for output in engine.step() if output.finish_reason]
    assert done == ["urgent", "first", "second"]


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


def test_an_answer_that_had_to_yield_goes_on_before_another_begins() -> None:
    # The third waits for a slot from the start; the second's is free once memory is short.
    runner = ScriptedRunner(max_slots=2, context_length=128, budget_tokens=150)
    engine = Engine(runner, clock=runner.clock)
    for number, name in enumerate(("first", "second", "third")):
        engine.submit(Request(name, (number,), greedy(110), client=name))
    done: list[str] = []
    while engine.has_work:
        done += [output.request_id for output in engine.step() if output.finish_reason]
    assert done == ["first", "second", "third"]


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
