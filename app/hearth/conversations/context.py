"""The context policy: what of a conversation a model is shown when it cannot hold all of it.

The system prompt and the newest turn always stay. Older turns are dropped whole, oldest first. Nothing is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hearth.conversations.message import Message, Role
from hearth.errors import PromptTooLong


@dataclass(frozen=True)
class Fitted:
    """What fits.

    Attributes:
        messages: the newest turns, oldest first.
        dropped_turns: older turns that were left out.
        tokens: length of the prompt made of the system prompt and `messages`.
    """

    messages: list[Message]
    dropped_turns: int
    tokens: int


def prompt_messages(system_prompt: str, messages: Sequence[Message]) -> list[tuple[str, str]]:
    """The prompt as (role, text) pairs; an empty system prompt is left out."""
    system = [(Role.SYSTEM.value, system_prompt)] if system_prompt else []
    return system + [(message.role.value, message.text) for message in messages]


def fit_context(
    messages: list[Message],
    system_prompt: str,
    count: Callable[[list[tuple[str, str]]], int],
    limit: int,
    reserve: int,
) -> Fitted:
    """Drop as few of the oldest turns as make the prompt fit.

    A turn is a user's message and what follows it up to the next one; messages before the first are a turn, too.

    Args:
        messages: the branch from root to leaf, the new user message included.
        count: tokens of a prompt of (role, text) pairs; called at most log2(turns) + 2 times.
        limit: tokens that the model can hold.
        reserve: tokens of them to keep free for the answer.

    Raises:
        PromptTooLong: the system prompt and the newest turn alone do not fit.
    """
    starts = [at for at, message in enumerate(messages) if at == 0 or message.role is Role.USER] or [0]
    room = limit - reserve

    def tokens_without(turns: int) -> int:
        return count(prompt_messages(system_prompt, messages[starts[turns] :]))

    tokens = tokens_without(0)
    if tokens <= room:
        return Fitted(list(messages), 0, tokens)
    too_few, enough = 0, len(starts) - 1
    if enough:
        tokens = tokens_without(enough)
    if tokens > room:
        raise PromptTooLong(tokens=tokens, limit=max(room, 0))
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        tokens_there = tokens_without(middle)
        if tokens_there <= room:
            enough, tokens = middle, tokens_there
        else:
            too_few = middle
    return Fitted(messages[starts[enough] :], enough, tokens)
