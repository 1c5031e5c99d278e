"""A conversation is named by the first line of its first message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.conversations.title import title_from


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Once upon a time", "Once upon a time"),
        ("\n\n  ## **Plan** for _today_\nmore", "Plan for today"),
        ("> - 1. quoted", "quoted"),
        ("```python\nprint('x')\n```", "print('x')"),
        ("see [the page](https://example.org) `now`", "see the page now"),
        ("what is 2*3*4 and snake_case_name?", "what is 2*3*4 and snake_case_name?"),
        ("C# and #hashtag", "C# and #hashtag"),
        ("***", "***"),
        ("  \n\t ", ""),
        ("word " * 20, "word word word word word word word word word…"),
        ("x" * 60, "x" * 48 + "…"),
        ("讲" * 60, "讲" * 48 + "…"),
        ("a" * 48, "a" * 48),
    ],
)
def test_titles(text: str, title: str) -> None:
    assert title_from(text) == title


@given(st.text(st.sampled_from("ab *_`#->[]()\n1.讲"), max_size=200))
def test_a_title_is_one_short_line_and_never_empty_for_a_text_that_is_not(text: str) -> None:
    title = title_from(text)
    assert bool(title) == bool(text.strip())
    assert len(title) <= 49
    assert "\n" not in title
    assert title == title.strip()
