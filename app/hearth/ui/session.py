"""The conversation on view: what it holds, and what the user does in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from hearth.conversations.message import Conversation, ConversationSettings, Message, Role
from hearth.i18n import ntr
from hearth.services.events import (
    AnswerEnded,
    AnswerGrew,
    AnswerStarted,
    ModelState,
    ModelStatus,
    PromptProgress,
    TurnsDropped,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hearth.services.assistant import AssistantService
    from hearth.services.hearth import Hearth
    from hearth.ui.bridge import UiBridge
    from hearth.ui.chat.chat_view import ChatView
    from hearth.ui.chat.composer import Composer
    from hearth.ui.live_answers import LiveAnswers
    from hearth.ui.tasks import Tasks
from hearth.ui.wording import loading_text

_VIEW = "conversation on view"


class ChatSession(QObject):
    """Routes the user's wishes to the services, and the services' events to the view.

    Attributes:
        conversation: the one on view; None for a new chat that has no message yet.
        settings: what it sets for its answers.
        messages: the branch on view, root to leaf.
        model: the model that answers next; None while there is none.

    Signals:
        leaving: the conversation on view is about to be replaced.
        opened: another conversation (or a new chat) is on view.
        changed: its messages changed, or it became busy or idle.
        model_wanted: the user asked something and there is no model.
        text_returned: a question that could not be sent.
    """

    leaving = Signal()
    opened = Signal()
    changed = Signal()
    model_wanted = Signal()
    text_returned = Signal(str)

    def __init__(
        self,
        hearth: Hearth,
        bridge: UiBridge,
        answers: LiveAnswers,
        tasks: Tasks,
        view: ChatView,
        composer: Composer,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._hearth = hearth
        self._answers = answers
        self._tasks = tasks
        self._view = view
        self._composer = composer
        self.conversation: Conversation | None = None
        self.settings = ConversationSettings()
        self.messages: list[Message] = []
        self.model: str | None = None
        self._loading: str | None = None
        self._beginning: int | None = None  # the conversation on view is being made
        answers.asked.connect(self._on_asked)
        answers.created.connect(self._on_created)
        answers.refused.connect(self._on_refused)
        bridge.answer_started.connect(self._on_started)
        bridge.turns_dropped.connect(self._on_turns_dropped)
        bridge.prompt_progress.connect(self._on_progress)
        bridge.answer_grew.connect(self._on_grew)
        bridge.answer_ended.connect(self._on_ended)
        bridge.conversation_changed.connect(self._on_conversation_changed)
        bridge.model_changed.connect(self._on_model_changed)
        view.regenerate_requested.connect(self.answer_again)
        view.retry_requested.connect(self.answer_again)
        view.edit_requested.connect(self.edit)
        view.version_requested.connect(self.show_version)
        composer.stop_requested.connect(self.stop)

    # What is on view

    def new_chat(self) -> None:
        """Show an empty chat; it is stored with its first message."""
        self.leaving.emit()
        self._loading = self._beginning = None
        self._tasks.run(lambda: None, view=_VIEW)  # supersedes a conversation that is still being read
        self.conversation = None
        self.settings = ConversationSettings()
        self._show([])
        self.opened.emit()

    def open(self, conversation_id: str) -> None:
        """Show that conversation once it has been read; one that is gone gives a new chat."""
        self.leaving.emit()
        store = self._hearth.conversations
        self._loading, self._beginning = conversation_id, None
        task = self._tasks.run(
            lambda: (store.get(conversation_id), store.branch(conversation_id)), owner=self, view=_VIEW
        )
        task.success(lambda found: self._on_opened(*found)).failure(self._on_open_failed)

    def set_settings(self, settings: ConversationSettings) -> None:
        """Sampling and system prompt of the conversation on view, from the next answer on."""
        self.settings = settings
        if self.conversation:
            conversation_id, store = self.conversation.id, self._hearth.conversations
            self._tasks.run(lambda: store.set_settings(conversation_id, settings))

    def set_model(self, model: str | None) -> None:
        """The model that answers from now on in the conversation on view."""
        self.model = model
        if self.conversation and self.conversation.model != model:
            self.conversation.model = model
            conversation_id, store = self.conversation.id, self._hearth.conversations
            self._tasks.run(lambda: store.set_model(conversation_id, model))

    def is_busy(self) -> bool:
        """Whether an answer in the conversation on view streams, or has been asked for."""
        if self.conversation is None:
            return self._beginning is not None
        return self._answers.is_busy(self.conversation.id)

    def live_text(self) -> str:
        """What has come so far of the answer that streams on view."""
        live = self._answers.of(self.conversation.id) if self.conversation else None
        return live.text() if live else ""

    def last(self, role: Role) -> Message | None:
        """The last message of that role on view."""
        return next((message for message in reversed(self.messages) if message.role is role), None)

    # What the user does

    @Slot(str)
    def submit(self, text: str) -> None:
        """Ask `text`; the first message makes the conversation."""
        model = self.model
        if model is None:
            self.text_returned.emit(text)
            self.model_wanted.emit()
            return
        assistant = self._hearth.assistant
        if self.conversation:
            conversation_id = self.conversation.id
            self._answers.ask(
                conversation_id, model, lambda: assistant.send(conversation_id, text, model=model), text
            )
            return
        if not self.is_busy():
            self._beginning = self._answers.begin(model, self.settings, text)
            self._tell()

    @Slot(str)
    def answer_again(self, message_id: str) -> None:
        """Regenerate or Retry: another version of that answer."""
        self._ask(lambda assistant, model: assistant.answer_again(message_id, model=model))

    @Slot(str, str)
    def edit(self, message_id: str, text: str) -> None:
        """Another version of that question, and an answer to it."""
        self._ask(lambda assistant, model: assistant.edit(message_id, text, model=model), text)

    @Slot(str, int)
    def show_version(self, message_id: str, step: int) -> None:
        """Show the version before (-1) or after (1) that message, and what follows it."""
        if self.is_busy():
            return
        store = self._hearth.conversations
        self._tasks.run(lambda: store.select_version(message_id, step), owner=self, view=_VIEW).success(
            self._show
        )

    @Slot()
    def stop(self) -> None:
        """End the answer on view where it is."""
        if self.conversation:
            self._answers.stop(self.conversation.id)

    # How it is done

    def _show(self, messages: list[Message]) -> None:
        self.messages = messages
        self._view.set_messages(messages)
        for message in messages:
            if message.usage and message.usage.dropped_turns:
                self._note_dropped(message.id, message.usage.dropped_turns)
            if message.id in self._answers.streaming and message.model:
                self._note_loading(message.id, self._hearth.pool.status(message.model))
        self._tell()

    def _ask(self, begin: Callable[[AssistantService, str], object], text: str = "") -> None:
        """Have the model begin another answer in the conversation on view; `text` comes back where it cannot."""
        assistant, model = self._hearth.assistant, self.model
        if self.conversation is None or self.is_busy():
            return
        if model is None:
            self.model_wanted.emit()
            return
        self._answers.ask(self.conversation.id, model, lambda: begin(assistant, model), text)

    def _tell(self) -> None:
        self._composer.set_busy(self.is_busy())
        self.changed.emit()

    def _on_opened(self, conversation: Conversation, branch: list[Message]) -> None:
        self._loading = None
        self.conversation = conversation
        self.settings = conversation.settings
        # What streams is further on here than in the database.
        live = self._answers.streaming
        self._show([live[message.id].so_far() if message.id in live else message for message in branch])
        self.opened.emit()

    def _on_open_failed(self, error: Exception) -> None:
        self._tasks.failed.emit(error)
        self.new_chat()

    def _is_on_view(self, conversation_id: str) -> bool:
        return (
            self.conversation is not None
            and self.conversation.id == conversation_id
            and self._loading is None
        )

    @Slot(object)
    def _on_started(self, event: AnswerStarted) -> None:
        if event.conversation_id == self._loading:
            self.open(event.conversation_id)  # what is being read may be older than this event
        elif self._is_on_view(event.conversation_id):
            self._place([event.question, event.answer] if event.question else [event.answer])
            if event.answer.model:
                self._note_loading(event.answer.id, self._hearth.pool.status(event.answer.model))
            self._view.scroll_to_end()
            self._tell()

    def _place(self, new: list[Message]) -> None:
        """Put question and answer under the message that they follow."""
        parent = new[0].parent_id
        places = [at for at, message in enumerate(self.messages) if message.id == parent]
        if parent is not None and not places:
            self.open(new[0].conversation_id)
            return
        kept = self.messages[: places[0] + 1] if places else []
        if len(kept) == len(self.messages):
            self.messages = kept + new
            for message in new:
                self._view.append_message(message)
        else:
            self.messages = kept + new
            self._view.set_messages(self.messages)

    @Slot(object)
    def _on_turns_dropped(self, event: TurnsDropped) -> None:
        if self._is_on_view(event.conversation_id):
            self._note_dropped(event.message_id, event.turns)

    @Slot(object)
    def _on_progress(self, event: PromptProgress) -> None:
        if self._is_on_view(event.conversation_id):
            self._view.set_prompt_progress(event.message_id, event.done, event.total)

    @Slot(object)
    def _on_grew(self, event: AnswerGrew) -> None:
        if self._is_on_view(event.conversation_id):
            self._view.append_text(event.message_id, event.text)

    @Slot(object)
    def _on_ended(self, event: AnswerEnded) -> None:
        message = event.message
        if message.conversation_id == self._loading:
            self.open(message.conversation_id)
        elif self._is_on_view(message.conversation_id):
            self.messages = [message if old.id == message.id else old for old in self.messages]
            self._view.replace_message(message)
            if message.usage and message.usage.dropped_turns:
                self._note_dropped(message.id, message.usage.dropped_turns)
            self._tell()

    def _note_dropped(self, message_id: str, turns: int) -> None:
        text = ntr(
            "The {n} oldest turn did not fit into the model's context and was left out.",
            "The {n} oldest turns did not fit into the model's context and were left out.",
            turns,
        )
        self._view.set_notice(message_id, text)

    def _note_loading(self, message_id: str, status: ModelStatus) -> None:
        if status.state is ModelState.LOADING:
            self._view.set_notice(message_id, loading_text(status))
        elif status.state is ModelState.READY:
            self._view.set_notice(message_id, "")

    @Slot(str)
    def _on_conversation_changed(self, conversation_id: str) -> None:
        if self._is_on_view(conversation_id):
            self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Read the conversation on view again where another process has changed it."""
        if self.conversation and self._loading is None:
            store, conversation_id = self._hearth.conversations, self.conversation.id
            task = self._tasks.run(lambda: store.get(conversation_id), owner=self, view="conversation facts")
            # One that is gone by now is reported by whoever deleted it.
            task.success(self._on_facts).failure(lambda _: None)

    def _on_facts(self, conversation: Conversation) -> None:
        if not self._is_on_view(conversation.id):
            return
        self.conversation = conversation
        leaf = self.messages[-1].id if self.messages else None
        if leaf != conversation.leaf_id and not self.is_busy():
            self.open(conversation.id)

    @Slot(object)
    def _on_model_changed(self, status: ModelStatus) -> None:
        for message_id, live in self._answers.streaming.items():
            waits = live.message.model == status.name and not live.fragments
            if waits and self._is_on_view(live.message.conversation_id):
                self._note_loading(message_id, status)

    @Slot(str)
    def _on_asked(self, conversation_id: str) -> None:
        if self._is_on_view(conversation_id):
            self._tell()

    @Slot(int, object)
    def _on_created(self, number: int, conversation: Conversation) -> None:
        if number == self._beginning:
            self._beginning = None
            self.conversation = conversation
            self.opened.emit()

    @Slot(str, str, object)
    def _on_refused(self, conversation_id: str, text: str, error: Exception) -> None:
        here = self._is_on_view(conversation_id) or (not conversation_id and self._beginning is not None)
        if here:
            self._beginning = None
            if text:
                self.text_returned.emit(text)
        self._tasks.failed.emit(error)
        self._tell()
