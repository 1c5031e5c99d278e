"""The context policy: the system prompt and the newest turn stay, as few older turns as possible go, nothing is cut."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.conversations.context import fit_context, prompt_messages
from hearth.conversations.message import Message, MessageStatus, Part, PartKind, Role
from hearth.errors import PromptTooLong

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def message(role: Role, text: str) -> Message:
    return Message(
        id=f"{role}-{text}",
        conversation_id="c",
        parent_id=None,
        role=role,
        status=MessageStatus.COMPLETE,
        parts=[Part(PartKind.THINKING, "thoughts are not shown again"), Part(PartKind.TEXT, text)],
        created_at=NOW,
    )


def count(prompt: list[tuple[str, str]]) -> int:
    return sum(2 + len(text) for _, text in prompt)


def turns_of(messages: list[Message]) -> list[list[Message]]:
    turns: list[list[Message]] = []
    for one in messages:
        if one.role is Role.USER or not turns:
            turns.append([])
        turns[-1].append(one)
    return turns


def joined(turns: list[list[Message]]) -> list[Message]:
    return list(chain.from_iterable(turns))


roles = st.sampled_from([Role.USER, Role.ASSISTANT, Role.TOOL])
branches = st.lists(st.builds(message, roles, st.text("ab", max_size=12)), max_size=25).map(
    lambda older: [*older, message(Role.USER, "new")]
)


@given(branches, st.text("s", max_size=20), st.integers(0, 400), st.integers(0, 100))
def test_what_fits_is_the_longest_run_of_newest_turns(
    messages: list[Message], system: str, limit: int, reserve: int
) -> None:
    before = list(messages)
    turns = turns_of(messages)
    room = limit - reserve
    sizes = [count(prompt_messages(system, joined(turns[at:]))) for at in range(len(turns))]
    if sizes[-1] > room:
        with pytest.raises(PromptTooLong) as caught:
            fit_context(messages, system, count, limit, reserve)
        assert caught.value.params == {"tokens": sizes[-1], "limit": max(room, 0)}
    else:
        fitted = fit_context(messages, system, count, limit, reserve)
        dropped = next(at for at, size in enumerate(sizes) if size <= room)
        assert fitted.dropped_turns == dropped
        assert fitted.messages == joined(turns[dropped:])
        assert fitted.tokens == sizes[dropped]
    assert messages == before


@given(branches, st.integers(0, 400))
def test_a_prompt_that_is_returned_fits_whatever_the_tokenizer_does(
    messages: list[Message], limit: int
) -> None:
    def erratic(prompt: list[tuple[str, str]]) -> int:
        return crc32(repr(prompt).encode()) % 500

    try:
        fitted = fit_context(messages, "", erratic, limit, 0)
    except PromptTooLong:
        return
    assert fitted.tokens == erratic(prompt_messages("", fitted.messages)) <= limit
    assert fitted.messages == messages[len(messages) - len(fitted.messages) :]
    assert fitted.messages[-1] is messages[-1]


def test_a_conversation_that_fits_is_counted_once_and_a_long_one_few_times() -> None:
    calls = []

    def counting(prompt: list[tuple[str, str]]) -> int:
        calls.append(prompt)
        return count(prompt)

    messages = [message(role, "text") for _ in range(1000) for role in (Role.USER, Role.ASSISTANT)]
    fit_context(messages, "", counting, 10**9, 0)
    assert len(calls) == 1
    calls.clear()
    assert fit_context(messages, "", counting, 1200, 0).dropped_turns == 900
    assert len(calls) <= 12


def test_without_messages_the_system_prompt_must_fit() -> None:
    assert fit_context([], "be brief", count, 10, 0).tokens == 10
    with pytest.raises(PromptTooLong):
        fit_context([], "be brief", count, 9, 0)
