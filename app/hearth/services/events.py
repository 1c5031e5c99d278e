"""What the services tell the fronts. Listeners are called on a worker thread and must return at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import Generic, TypeVar

from hearth.conversations.message import Message
from hearth.engine.host.protocol import ModelInfo
from hearth.errors import HearthError


@dataclass(frozen=True, slots=True)
class AnswerStarted:
    """A question was stored and its answer has begun.

    Attributes:
        question: the stored question; None where an older one is answered again.
        answer: the empty answer, streaming.
    """

    conversation_id: str
    question: Message | None
    answer: Message


@dataclass(frozen=True, slots=True)
class TurnsDropped:
    """Older turns did not fit into the context and were left out of the prompt of this answer."""

    conversation_id: str
    message_id: str
    turns: int


@dataclass(frozen=True, slots=True)
class PromptProgress:
    """The model is reading the prompt: `done` of `total` tokens."""

    conversation_id: str
    message_id: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class AnswerGrew:
    """`text` was added to the end of the answer."""

    conversation_id: str
    message_id: str
    text: str


@dataclass(frozen=True, slots=True)
class AnswerEnded:
    """The answer as it was stored: complete, interrupted or failed, with usage or error."""

    conversation_id: str
    message: Message


@dataclass(frozen=True, slots=True)
class ConversationChanged:
    """Title, model or settings of a conversation changed, or it was made, deleted or restored."""

    conversation_id: str


class ModelState(StrEnum):
    UNLOADED = "unloaded"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"  # could not be loaded, or its host ended unexpectedly


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """Where a model stands.

    Attributes:
        progress: 0 to 1 while it loads.
        is_preparing: before it is loaded, it is made ready for this machine, which is done once.
        info: what it is, once it is ready.
        error: why it failed.
        notice: a sentence to be told once, such as why it was unloaded or what it waits for; or empty.
    """

    name: str
    state: ModelState
    progress: float = 0.0
    info: ModelInfo | None = None
    error: HearthError | None = None
    is_preparing: bool = False
    notice: str = ""


Event = TypeVar("Event")

log = logging.getLogger(__name__)

AnswerEvent = AnswerStarted | TurnsDropped | PromptProgress | AnswerGrew | AnswerEnded | ConversationChanged


class Listeners(Generic[Event]):
    """A set of callbacks; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._callbacks: list[Callable[[Event], None]] = []

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call `callback` for each event until the returned function is called."""
        with self._lock:
            self._callbacks.append(callback)

        def unsubscribe() -> None:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)

        return unsubscribe

    def emit(self, event: Event) -> None:
        with self._lock:
            callbacks = list(self._callbacks)
        for callback in callbacks:
            try:
                callback(event)
            except Exception:
                # One listener's defect must not keep the event from the others, or stop who tells it.
                log.exception("a listener failed at %s", type(event).__name__)
