"""The answers that are on their way, in every conversation; they outlive the widgets that show them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
from PySide6.QtCore import QObject, Signal, Slot

from hearth.conversations.message import Conversation, ConversationSettings, Message, Part, PartKind
from hearth.errors import HearthError
from hearth.services.events import AnswerEnded, AnswerGrew, AnswerStarted

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth
    from hearth.ui.bridge import UiBridge
    from hearth.ui.tasks import Tasks

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class LiveAnswer:
    """An answer that streams; `fragments` is its text so far."""

    message: Message
    fragments: list[str] = field(default_factory=list)

    def text(self) -> str:
        return "".join(self.fragments)

    def so_far(self) -> Message:
        """The message with what has come of it; what is stored may be a second older."""
        parts = [Part(PartKind.TEXT, self.text())] if self.fragments else []
        return msgspec.structs.replace(self.message, parts=parts)


class LiveAnswers(QObject):
    """Asks, and keeps what streams. Hears of every event before the sessions that are made after it.

    Attributes:
        streaming: what streams, by the answer's id.

    Signals:
        asked: the id of a conversation whose answer has been asked for.
        created: the number that `begin` gave, and the conversation that was made for it.
        refused: the id of a conversation (empty where it could not be made), its question, and why it was not asked.
    """

    asked = Signal(str)
    created = Signal(int, object)
    refused = Signal(str, str, object)
    _failed = Signal(str, str, object)

    def __init__(self, hearth: Hearth, bridge: UiBridge, tasks: Tasks) -> None:
        super().__init__(bridge)
        self._hearth = hearth
        self._tasks = tasks
        self._asked: set[str] = set()  # conversations whose answer has been asked for and has not begun
        self._begun = 0
        self.streaming: dict[str, LiveAnswer] = {}
        bridge.answer_started.connect(self._on_started)
        bridge.answer_grew.connect(self._on_grew)
        bridge.answer_ended.connect(self._on_ended)
        self._failed.connect(self._on_failed)

    def begin(self, model: str, settings: ConversationSettings, text: str) -> int:
        """Make a conversation and ask `text` in it; the number by which `created` tells of it."""
        self._begun += 1
        number, store, assistant = self._begun, self._hearth.conversations, self._hearth.assistant

        def created(conversation: Conversation) -> None:
            self.created.emit(number, conversation)
            self.ask(conversation.id, model, lambda: assistant.send(conversation.id, text, model=model), text)

        task = self._tasks.run(lambda: store.create(model=model, settings=settings), owner=self)
        task.success(created).failure(lambda error: self._on_failed("", text, error))
        return number

    def ask(self, conversation_id: str, model: str, job: Callable[[], object], text: str = "") -> None:
        """Give `job` to the model's worker, after every setting that was changed before it has been stored."""
        pool, failed = self._hearth.pool, self._failed
        self._asked.add(conversation_id)

        def guarded() -> None:
            try:
                job()
            except Exception as error:  # noqa: BLE001 (a worker thread has nobody else to tell)
                if not isinstance(error, HearthError):
                    _log.exception("an answer could not be begun")
                failed.emit(conversation_id, text, error)

        after_writes = self._tasks.run(lambda: None, owner=self)
        after_writes.success(lambda _: pool.load(model).post(guarded))
        self.asked.emit(conversation_id)

    def of(self, conversation_id: str) -> LiveAnswer | None:
        """What streams in that conversation."""
        found = (live for live in self.streaming.values() if live.message.conversation_id == conversation_id)
        return next(found, None)

    def is_busy(self, conversation_id: str) -> bool:
        """Whether an answer streams there, or has been asked for."""
        return conversation_id in self._asked or self.of(conversation_id) is not None

    def is_awaited(self, model: str) -> bool:
        """Whether an answer, in any conversation, waits for that model or is written by it."""
        return any(live.message.model == model for live in self.streaming.values())

    def stop(self, conversation_id: str) -> None:
        """End what streams in that conversation."""
        for message_id, live in self.streaming.items():
            if live.message.conversation_id == conversation_id:
                self._hearth.assistant.stop(message_id)

    def stop_all(self) -> None:
        """End every answer; the last window closes."""
        for message_id in self.streaming:
            self._hearth.assistant.stop(message_id)

    @Slot(object)
    def _on_started(self, event: AnswerStarted) -> None:
        self.streaming[event.answer.id] = LiveAnswer(event.answer)
        self._asked.discard(event.conversation_id)

    @Slot(object)
    def _on_grew(self, event: AnswerGrew) -> None:
        live = self.streaming.get(event.message_id)
        if live:
            live.fragments.append(event.text)

    @Slot(object)
    def _on_ended(self, event: AnswerEnded) -> None:
        self.streaming.pop(event.message.id, None)

    @Slot(str, str, object)
    def _on_failed(self, conversation_id: str, text: str, error: Exception) -> None:
        self._asked.discard(conversation_id)
        self.refused.emit(conversation_id, text, error)
