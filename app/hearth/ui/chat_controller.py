"""The window's columns at work: conversation, models and parameters kept in step, and what the user does in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from PySide6.QtCore import QObject, Signal, Slot

from hearth.conversations.message import Role
from hearth.i18n import tr
from hearth.services.events import ModelState, ModelStatus
from hearth.ui import empty_chat
from hearth.ui.conversation_controller import ConversationController
from hearth.ui.model_controller import ModelController
from hearth.ui.session import ChatSession
from hearth.ui.window_frame import TITLE, WindowFrame

if TYPE_CHECKING:
    from hearth.models.registry import ModelEntry
    from hearth.services.hearth import Hearth
    from hearth.ui.bridge import UiBridge
    from hearth.ui.live_answers import LiveAnswers
    from hearth.ui.tasks import Tasks


class ChatController(QObject):
    """Fills the columns of a window from an open Hearth.

    Signals:
        model_wanted: the user has no model, and wants one.

    Attributes:
        session, models, conversations: what is on view, which model answers, and the list.
        load_starter: load the starter, if that is the model, as soon as the models are known.
    """

    model_wanted = Signal()

    def __init__(
        self, window: WindowFrame, hearth: Hearth, bridge: UiBridge, answers: LiveAnswers, tasks: Tasks
    ) -> None:
        super().__init__(window)
        self._window = window
        self._hearth = hearth
        self._answers = answers
        self.load_starter = False
        self._told: set[str] = set()  # what was said of models when they were loaded
        self.session = ChatSession(hearth, bridge, answers, tasks, window.view, window.composer, self)
        self.models = ModelController(hearth, bridge, tasks, window.picker, window, self)
        self.conversations = ConversationController(
            hearth, bridge, tasks, answers, self.session, window.list, window.toast
        )
        self._connect_actions()
        self._connect_parts()
        self.show_defaults()
        self.show_config_error()

    def _connect_actions(self) -> None:
        actions = self._window.actions_
        actions.new_chat.triggered.connect(self._on_new_chat)
        actions.import_model.triggered.connect(self.models.ask_for_folder)
        actions.undo_delete.triggered.connect(self.conversations.undo_delete)
        actions.edit_last.triggered.connect(self._on_edit_last)
        actions.stop.triggered.connect(self.session.stop)
        actions.regenerate.triggered.connect(self._on_regenerate)
        actions.rename.triggered.connect(self._window.list.rename_selected)
        actions.delete.triggered.connect(self._on_delete)

    def _connect_parts(self) -> None:
        window = self._window
        self.session.leaving.connect(window.panel.flush)
        self.session.opened.connect(self._on_opened)
        self.session.changed.connect(self._refresh_middle)
        self.session.model_wanted.connect(self._on_model_wanted)
        self.session.text_returned.connect(window.composer.set_text)
        self.models.entries_changed.connect(self._on_entries)
        self.models.chosen.connect(self._on_model_chosen)
        self.models.status_changed.connect(self._on_model_status)
        self.conversations.undo_changed.connect(self.update_actions)
        self.conversations.title_changed.connect(self._show_title)
        window.panel.settings_changed.connect(self.session.set_settings)
        window.empty.action_triggered.connect(self.model_wanted)
        window.empty.second_triggered.connect(self.models.ask_for_folder)
        window.empty.suggestion_chosen.connect(self._on_suggestion)
        window.folder_drop.dropped.connect(self.models.import_folder)
        window.composer.submitted.connect(self._on_submit)
        window.composer.edit.textChanged.connect(self.models.expect_answer)
        window.composer.edit_last_requested.connect(self._on_edit_last)
        window.view.edit_closed.connect(self._focus_composer)
        window.list.left.connect(self._focus_composer)

    # What is on view

    def show_defaults(self) -> None:
        """Show in the panel what applies where the conversation sets nothing."""
        entry = self.models.entry()
        defaults = self._hearth.config.defaults if entry is None else self._hearth.defaults_of(entry)
        self._window.panel.set_defaults(msgspec.structs.asdict(defaults))

    def show_config_error(self) -> None:
        """Say what is wrong with the settings file; nothing where nothing is."""
        error, banner = self._hearth.config_error, self._window.banner
        if error is None:
            banner.hide()
        else:
            text = tr("The defaults apply until then.")
            banner.show_message(f"{error} {text}")

    def use_default_model(self) -> None:
        """A new chat on view takes the default model, which has changed."""
        if self.session.conversation is None:
            self._use_model(None)
            self._refresh_middle()

    @Slot()
    def update_actions(self) -> None:
        """Only what can be done now can be chosen in the menus."""
        actions, session = self._window.actions_, self.session
        at_work = self._window.is_at_work()
        self._window.let_work(at_work)
        if not at_work:
            return
        busy, stored = session.is_busy(), session.conversation is not None
        actions.undo_delete.setEnabled(self.conversations.can_undo())
        actions.stop.setEnabled(busy)
        actions.regenerate.setEnabled(stored and not busy and session.last(Role.ASSISTANT) is not None)
        actions.edit_last.setEnabled(stored and not busy and session.last(Role.USER) is not None)
        actions.rename.setEnabled(stored)
        actions.delete.setEnabled(stored)

    @Slot()
    def _on_opened(self) -> None:
        conversation = self.session.conversation
        self._window.panel.show_settings(self.session.settings)
        if self.models.entries is not None:
            self._use_model(conversation.model if conversation else None)
        self._refresh_middle()
        self._show_title()
        self._focus_composer()

    @Slot()
    def _on_entries(self) -> None:
        conversation = self.session.conversation
        # Its own, where that has come back, and not what has stood in for it.
        self._use_model((conversation.model if conversation else None) or self.models.current)
        self._refresh_middle()
        entry = self.models.entry()
        if self.load_starter and entry is not None and entry.built_in:
            self.models.load(entry.name)
        self.load_starter = False

    @Slot(str)
    def _on_model_chosen(self, name: str) -> None:
        self.session.set_model(name)
        self.show_defaults()
        self._refresh_middle()
        self._focus_composer()

    @Slot(object)
    def _on_model_status(self, status: ModelStatus) -> None:
        new = [] if status.info is None else [text for text in status.info.notices if text not in self._told]
        if status.notice:
            self._window.toast.show_message(status.notice)
        if new:
            self._told.update(new)
            self._window.toast.show_message("\n".join(new))
        if status.name != self.models.current:
            return
        self._refresh_middle()
        failed = status.state is ModelState.FAILED and status.error
        # An answer that waits for the model tells of the failure itself.
        if failed and not self._answers.is_awaited(status.name):
            self._window.toast.show_message(
                failed.what_text(), tr("Retry"), lambda: self.models.load(status.name)
            )

    def _use_model(self, wanted: str | None) -> None:
        self.session.model = self.models.show_for(wanted)
        self.show_defaults()

    @Slot()
    def _refresh_middle(self) -> None:
        """Messages, or the words that lead on; and whether the composer can be used."""
        self.update_actions()
        if self.models.entries is None:
            return
        window = self._window
        window.middle.setCurrentWidget(window.view if self.session.messages else window.empty)
        if self.models.entries:
            window.composer.set_enabled_reason(None)
            empty_chat.show_empty_chat(window.empty, self.models.entry(), self.models.status())
        else:
            window.composer.set_enabled_reason(tr("Add a model to begin."))
            empty_chat.show_no_model(window.empty)

    @Slot()
    def _show_title(self) -> None:
        on_view = self.session.conversation
        index = self._window.list.model.place(on_view.id) if on_view else None
        title = str(index.data()) if index is not None and index.isValid() else ""
        self._window.setWindowTitle(f"{title} – {TITLE}" if title else TITLE)
        self.update_actions()

    @Slot()
    def _focus_composer(self) -> None:
        """Unless somebody walks through the list of conversations with the keyboard."""
        if self._window.is_at_work() and not self._window.list.is_walked():
            self._window.composer.focus()

    # What the user does

    @Slot(str)
    def _on_submit(self, text: str) -> None:
        self._window.panel.flush()
        self.session.submit(text)

    @Slot(str)
    def _on_suggestion(self, text: str) -> None:
        if not self.session.is_busy():
            self._on_submit(text)
            self._window.composer.focus()

    @Slot()
    def _on_new_chat(self) -> None:
        self.session.new_chat()
        self._window.composer.focus()

    @Slot()
    def _on_model_wanted(self) -> None:
        if self.models.entries:
            self._window.picker.open()
        else:
            self.model_wanted.emit()

    @Slot(object)
    def chat_with(self, entry: ModelEntry) -> None:
        """A new chat that this model answers in; it is loaded."""
        self.models.take_in(entry)
        self.session.new_chat()
        self.models.choose(entry.name)
        self._window.composer.focus()

    @Slot()
    def _on_regenerate(self) -> None:
        answer = self.session.last(Role.ASSISTANT)
        if answer:
            self._window.panel.flush()
            self.session.answer_again(answer.id)

    @Slot()
    def _on_edit_last(self) -> None:
        question = self.session.last(Role.USER)
        if question and not self.session.is_busy():
            self._window.view.edit_message(question.id)

    @Slot()
    def _on_delete(self) -> None:
        if self.session.conversation:
            self.conversations.delete(self.session.conversation.id)
