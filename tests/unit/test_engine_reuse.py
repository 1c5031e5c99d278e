"""What an engine has computed is used again: for the next turn, an edit, and prompts that begin alike."""

from __future__ import annotations

from engine_runs import greedy, run
from hearth.engine.engine import Engine
from hearth.engine.request import Request
from hearth.errors import ModelRunFailed
from scripted_runner import ScriptedRunner, answer


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
