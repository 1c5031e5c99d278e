"""From the messages of a conversation to what a model is asked."""

from __future__ import annotations

from collections.abc import Sequence

from hearth.conversations.message import Role
from hearth.engine.host.protocol import ChatMessage

Pairs = Sequence[tuple[str, str]]


def chat_messages(pairs: Pairs) -> list[ChatMessage]:
    """Messages for a chat template; neighbours of one role become one, as many templates demand.

    Neighbours arise where an answer failed before its first word.
    """
    messages: list[ChatMessage] = []
    for role, text in pairs:
        if messages and messages[-1].role == role:
            messages.append(ChatMessage(role, f"{messages.pop().content}\n\n{text}"))
        else:
            messages.append(ChatMessage(role, text))
    return messages


def continuation(pairs: Pairs) -> str:
    """Raw text for a model without a chat template: it goes on where the conversation ends.

    An answer continues its question, so nothing stands between them; the next question begins a line.
    """
    text = ""
    for role, part in pairs:
        if role == Role.USER and text and not text.endswith("\n"):
            text += "\n"
        if role != Role.SYSTEM:
            text += part
    return text
