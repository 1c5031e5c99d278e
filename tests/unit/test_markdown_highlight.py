"""Colours of code by page, and the sums of heights."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from hearth.ui.chat.heights import Heights
from hearth.ui.chat.highlight import colour_page, lexer_for


def test_a_page_never_starts_inside_a_string() -> None:
    lexer = lexer_for("python")
    assert lexer is not None
    text = 'x = 1\n"""\nnot code\nno code either\n'
    _, boundary = colour_page(lexer, text)
    assert boundary == text.index('"""')


def test_spans_name_what_they_are() -> None:
    lexer = lexer_for("Python")
    assert lexer is not None
    text = "def f():  # why\n    return 'a', 1\n"
    spans, _ = colour_page(lexer, text)
    found = {(text[span.start : span.start + span.length], span.role) for span in spans}
    assert {("def", "keyword"), ("f", "name"), ("# why", "comment"), ("1", "number")} <= found


def test_unknown_languages_have_no_lexer() -> None:
    assert lexer_for("no-such-language") is None
    assert lexer_for("") is None


@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=40),
    st.lists(
        st.tuples(st.sampled_from(["set", "append", "truncate", "start", "at"]), st.integers(0, 2000)),
        max_size=40,
    ),
)
def test_heights_know_their_sums(heights: list[int], acts: list[tuple[str, int]]) -> None:
    known = Heights(heights)
    for act, number in acts:
        if act == "append":
            heights.append(number)
            known.append(number)
        elif act == "truncate":
            length = max(1, number % (len(heights) + 1))
            del heights[length:]
            known.truncate(length)
        elif act == "set":
            heights[number % len(heights)] = number
            known[number % len(heights)] = number
        elif act == "start":
            index = number % (len(heights) + 1)
            assert known.start(index) == sum(heights[:index])
        else:
            starts = [0, *accumulate(heights)]
            index = known.at(number)
            assert 0 <= index < len(heights)
            assert starts[index] <= number
            assert index == len(heights) - 1 or number < starts[index + 1]
        assert known.total == sum(heights)
        assert len(known) == len(heights)
