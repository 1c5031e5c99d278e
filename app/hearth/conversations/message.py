"""The values of a conversation: messages made of parts, in a tree."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    TOOL = "tool"


class MessageStatus(StrEnum):
    STREAMING = "streaming"
    COMPLETE = "complete"
    INTERRUPTED = "interrupted"  # stopped by the user, or by the end of the program
    FAILED = "failed"


class PartKind(StrEnum):
    TEXT = "text"
    THINKING = "thinking"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    IMAGE = "image"
    CITATION = "citation"


class Part(msgspec.Struct, frozen=True):
    """One part of a message: its text, and for the kinds that need more, structured data."""

    kind: PartKind
    text: str = ""
    data: dict[str, Any] = {}


class AnswerUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer cost, as shown under it.

    Attributes:
        context_tokens: tokens of prompt and answer together at the end.
        context_length: tokens that the model could have held.
        dropped_turns: older turns that did not fit and were left out of the prompt.
    """

    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    seconds_to_first_token: float
    seconds: float
    tokens_per_second: float
    finish_reason: str
    context_tokens: int
    context_length: int
    dropped_turns: int = 0


class MessageError(msgspec.Struct, frozen=True):
    """Why an answer failed: a HearthError by code and parameters."""

    code: str
    params: dict[str, str | int | float | None]


class Message(msgspec.Struct, kw_only=True):
    """One message and its place among its versions.

    Attributes:
        id: UUIDv7, so ids sort by time.
        parent_id: the message before it; None for the first.
        model: the model that wrote it, for an assistant's message.
        version: place among the messages with the same parent and role, from 1.
        versions: how many of them there are.
    """

    id: str
    conversation_id: str
    parent_id: str | None
    role: Role
    status: MessageStatus
    parts: list[Part]
    created_at: datetime
    model: str | None = None
    error: MessageError | None = None
    usage: AnswerUsage | None = None
    version: int = 1
    versions: int = 1

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.parts if part.kind is PartKind.TEXT)


class ConversationSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a conversation sets for its answers; None takes the default of the settings file.

    The names are those of `engine.SamplingParams`.
    """

    system_prompt: str = ""
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


class Conversation(msgspec.Struct, kw_only=True):
    """One conversation, without its messages.

    Attributes:
        title: empty until the first message names it.
        model: the model that answers in it; None until one was chosen.
        leaf_id: the last message of the branch on view; None while it is empty.
    """

    id: str
    title: str
    created_at: datetime
    updated_at: datetime
    model: str | None
    leaf_id: str | None
    settings: ConversationSettings
