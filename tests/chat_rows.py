"""Conversations for the chat view, and what it shows of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QWidget

from hearth.conversations.message import (
    Message,
    MessageStatus,
    Part,
    PartKind,
    Role,
)
from hearth.ui.chat.chat_view import ChatView
from hearth.ui.chat.lines import QuietLine
from hearth.ui.chat.text_block import TextBlock

W = TypeVar("W", bound=QWidget)
STREAMING = MessageStatus.STREAMING


def message(
    number: int, text: str, status: MessageStatus = MessageStatus.COMPLETE, **more: object
) -> Message:
    """Message `m<number>`; even ones are the user's."""
    return Message(
        id=f"m{number}",
        conversation_id="c",
        parent_id=None,
        role=Role.ASSISTANT if number % 2 else Role.USER,
        status=status,
        parts=[Part(PartKind.TEXT, text)] if text else [],
        created_at=datetime.now(UTC),
        **more,
    )


def conversation(count: int) -> list[Message]:
    return [
        message(n, f"Answer {n}.\n\n- one\n- two\n\nMore **words** here." if n % 2 else f"Question {n}?")
        for n in range(count)
    ]


def seen(view: ChatView, kind: type[W]) -> list[W]:
    """The visible widgets of a kind, from the top."""
    found = [w for w in view.viewport().findChildren(kind) if w.isVisible() and w.y() > -5_000]
    return sorted(found, key=lambda w: w.mapTo(view, QPoint(0, 0)).y())


def texts(view: ChatView) -> str:
    return "\n".join(block.toPlainText() for block in seen(view, TextBlock))


def lines(view: ChatView) -> list[str]:
    return [line.text() for line in seen(view, QuietLine)]
