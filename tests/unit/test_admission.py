"""Which waiting request begins next, and with how much room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hearth.engine.admission import Admission


def admitted(admission: Admission) -> list[str]:
    return [request_id for request_id, _ in admission.admit()]


def test_no_more_than_there_are_slots() -> None:
    admission = Admission(2, 1000)
    for name in "abc":
        admission.add(name, "", 0, 10, 10)
    assert admitted(admission) == ["a", "b"]
    admission.remove("a")
    assert admitted(admission) == ["c"]


def test_higher_priority_first_and_clients_take_turns() -> None:
    admission = Admission(1, 1000)
    for name, client, priority in (("a1", "a", 0), ("a2", "a", 0), ("b1", "b", 0), ("top", "a", 5)):
        admission.add(name, client, priority, 10, 10)
    order = []
    for _ in range(4):
        order += admitted(admission)
        admission.remove(order[-1])
    assert order == ["top", "b1", "a1", "a2"]


def test_an_answer_without_a_limit_leaves_room_for_others() -> None:
    admission = Admission(8, 8192)
    admission.add("long", "", 0, 100, None)
    admission.add("short", "", 0, 100, 50)
    assert dict(admission.admit()) == {"long": (8192 - 100) // 2, "short": 50}


def test_alone_an_answer_gets_what_there_is() -> None:
    admission = Admission(8, 512)
    admission.add("only", "", 0, 500, None)
    admission.add("next", "", 0, 5, None)
    assert dict(admission.admit()) == {"only": 12}
    admission.remove("only")
    assert admitted(admission) == ["next"]


def test_one_that_is_given_up_keeps_nobody_waiting() -> None:
    admission = Admission(8, 100)
    admission.add("running", "", 0, 10, 50)
    admission.add("large", "", 1, 10, 80)
    admission.add("small", "", 0, 10, 10)
    assert admitted(admission) == ["large"]
    admission.remove("large")
    admission.add("larger", "", 1, 10, 90)
    assert admitted(admission) == ["larger"]


@given(st.lists(st.tuples(st.integers(1, 200), st.one_of(st.none(), st.integers(1, 500))), max_size=20))
def test_what_runs_always_fits(requests: list[tuple[int, int | None]]) -> None:
    admission = Admission(4, 256)
    sizes = {}
    for number, (prompt, most) in enumerate(requests):
        admission.add(str(number), "", 0, prompt, most)
        sizes[str(number)] = prompt
    running: dict[str, int] = {}
    done = 0
    while done < len(requests):
        for name, room in admission.admit():
            assert room > 0
            running[name] = sizes[name] + room
        assert running, "somebody waits for ever"
        assert sum(running.values()) <= 256
        ended = next(iter(running))
        del running[ended]
        admission.remove(ended)
        done += 1
