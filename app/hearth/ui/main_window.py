"""The window at work: opens Hearth in the background, connects its parts to the services, and closes in order."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
)

from hearth.conversations.message import Role
from hearth.errors import HearthError
from hearth.i18n import tr
from hearth.services.events import ModelState, ModelStatus
from hearth.ui import window_state
from hearth.ui.bridge import UiBridge
from hearth.ui.conversation_controller import LAST_CONVERSATION, ConversationController
from hearth.ui.model_controller import LAST_MODEL, ModelController
from hearth.ui.session import ChatSession
from hearth.ui.tasks import Lane, Tasks
from hearth.ui.window_frame import TITLE, WindowFrame
from hearth.ui.wording import error_text

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth

_log = logging.getLogger(__name__)


class MainWindow(WindowFrame):
    """Shown before anything is open; `open_hearth` runs in the background and fills it.

    Attributes:
        hearth: the services; None until they are open.
        session, models, conversations: the window's three controllers; exist once Hearth is open.

    Signals:
        ready: Hearth is open and the window is filled.
        closed: the window and all that it had started have ended.
    """

    ready = Signal()
    closed = Signal()

    def __init__(self, open_hearth: Callable[[], Hearth]) -> None:
        super().__init__()
        self._open_hearth = open_hearth
        self._closing = False
        self._opening = False
        self._finished = False
        self.hearth: Hearth | None = None
        self.tasks = Tasks(self)
        self.tasks.failed.connect(self.show_error)
        self.problem.action_triggered.connect(self.start)
        self.setAcceptDrops(True)
        self._update_actions()

    # Opening

    @Slot()
    def start(self) -> None:
        """Open Hearth in the background."""
        if self._opening:
            return
        self._opening = True
        self.pages.setCurrentWidget(self.splitter)
        self.tasks.run(lambda: (hearth := self._open_hearth(), *_remembered(hearth)), owner=self).success(
            lambda found: self._on_open(*found)
        ).failure(self._on_open_failed)

    def _on_open_failed(self, error: Exception) -> None:
        self._opening = False
        if self._closing:
            self._finish()
            return
        if not isinstance(error, HearthError):
            _log.error("Hearth could not be opened", exc_info=error)
            error = HearthError(detail=str(error) or type(error).__name__)
        text = f"{error.what_text()}\n\n{error.remedy_text()}"
        self.problem.show_words(tr("Hearth cannot start"), text, tr("Try Again"), tr("Quit"))
        self.pages.setCurrentWidget(self.problem)
        self.problem.button.setFocus()
        self._update_actions()

    def _on_open(self, hearth: Hearth, last_conversation: str | None, last_model: str | None) -> None:
        self._opening = False
        self.hearth = hearth
        if self._closing:
            self._close_hearth(hearth)
            return
        self.bridge = UiBridge(hearth, self)
        self.session = ChatSession(hearth, self.bridge, self.tasks, self.view, self.composer, self)
        self.models = ModelController(hearth, self.bridge, self.tasks, self.picker, self)
        self.conversations = ConversationController(
            hearth, self.bridge, self.tasks, self.session, self.list, self.toast
        )
        self.panel.set_defaults(msgspec.structs.asdict(hearth.config.defaults))
        self._connect_controllers()
        if hearth.config_error:
            text = tr("The defaults apply until then.")
            self.banner.show_message(f"{hearth.config_error} {text}")
        self.models.start(last_model)
        self.conversations.refresh()
        if last_conversation:
            self.session.open(last_conversation)
        else:
            self.session.new_chat()
        self.ready.emit()

    def _connect_controllers(self) -> None:
        actions = self.actions_
        actions.new_chat.triggered.connect(self._on_new_chat)
        actions.import_model.triggered.connect(self.models.ask_for_folder)
        actions.undo_delete.triggered.connect(self.conversations.undo_delete)
        actions.edit_last.triggered.connect(self._on_edit_last)
        actions.stop.triggered.connect(self.session.stop)
        actions.regenerate.triggered.connect(self._on_regenerate)
        actions.rename.triggered.connect(self.list.rename_selected)
        actions.delete.triggered.connect(self._on_delete)
        self.session.leaving.connect(self.panel.flush)
        self.session.opened.connect(self._on_opened)
        self.session.changed.connect(self._refresh_middle)
        self.session.model_wanted.connect(self._on_model_wanted)
        self.session.text_returned.connect(self.composer.set_text)
        self.models.entries_changed.connect(self._on_entries)
        self.models.chosen.connect(self._on_model_chosen)
        self.models.status_changed.connect(self._on_model_status)
        self.conversations.undo_changed.connect(lambda _: self._update_actions())
        self.conversations.title_changed.connect(self._show_title)
        self.panel.settings_changed.connect(self.session.set_settings)
        self.empty.action_triggered.connect(self.models.ask_for_folder)
        self.view.link_activated.connect(self.ask_to_open)
        self.composer.submitted.connect(self._on_submit)
        self.composer.edit_last_requested.connect(self._on_edit_last)

    # What is on view

    @Slot()
    def _on_opened(self) -> None:
        conversation = self.session.conversation
        self.panel.show_settings(self.session.settings)
        if self.models.entries is not None:
            self.session.model = self.models.show_for(conversation.model if conversation else None)
        self._refresh_middle()
        self._show_title()
        self.composer.focus()

    @Slot()
    def _on_entries(self) -> None:
        conversation = self.session.conversation
        wanted = self.models.current or (conversation.model if conversation else None)
        self.session.model = self.models.show_for(wanted)
        self._refresh_middle()

    @Slot(str)
    def _on_model_chosen(self, name: str) -> None:
        self.session.set_model(name)
        self._refresh_middle()
        self.composer.focus()

    @Slot(object)
    def _on_model_status(self, status: ModelStatus) -> None:
        if status.name == self.models.current:
            self._refresh_middle()
            # An answer that waits for the model tells of the failure itself.
            if (
                status.state is ModelState.FAILED
                and status.error
                and not self.session.is_awaited(status.name)
            ):
                self.toast.show_message(
                    status.error.what_text(), tr("Retry"), lambda: self.models.load(status.name)
                )

    @Slot()
    def _refresh_middle(self) -> None:
        """Messages, or the words that lead on; and whether the composer can be used."""
        self._update_actions()
        if self.models.entries is None:
            return
        self.middle.setCurrentWidget(self.view if self.session.messages else self.empty)
        if not self.models.entries:
            self.composer.set_enabled_reason(tr("Import a model to begin."))
            self.empty.show_words(
                tr("Welcome to Hearth"),
                tr(
                    "Hearth answers with a language model that runs on this machine; nothing leaves it."
                    " Choose a folder that holds a model in the onnxruntime-genai format, or drop it on this window."
                ),
                tr("Import a Model Folder…"),
            )
            return
        self.composer.set_enabled_reason(None)
        status = self.models.status()
        if status and status.info and not status.info.has_chat_template:
            text = tr("{name} has no chat template: it continues what you write.", name=status.name)
        else:
            text = tr("Ask a question or begin a text. It stays on this machine.")
        self.empty.show_words(tr("What is on your mind?"), text)

    @Slot()
    def _show_title(self) -> None:
        on_view = self.session.conversation
        index = self.list.model.place(on_view.id) if on_view else None
        title = str(index.data()) if index is not None and index.isValid() else ""
        self.setWindowTitle(f"{title} – {TITLE}" if title else TITLE)
        self._update_actions()

    def _update_actions(self) -> None:
        actions, filled = self.actions_, hasattr(self, "conversations")
        busy = filled and self.session.is_busy()
        stored = filled and self.session.conversation is not None
        actions.new_chat.setEnabled(filled)
        self.new_chat_button.setEnabled(filled)
        self.picker.setEnabled(filled)
        actions.choose_model.setEnabled(filled)
        actions.import_model.setEnabled(filled)
        actions.undo_delete.setEnabled(filled and self.conversations.can_undo())
        actions.stop.setEnabled(busy)
        actions.regenerate.setEnabled(stored and not busy and self.session.last(Role.ASSISTANT) is not None)
        actions.edit_last.setEnabled(stored and not busy and self.session.last(Role.USER) is not None)
        actions.rename.setEnabled(stored)
        actions.delete.setEnabled(stored)

    # What the user does

    @Slot(str)
    def _on_submit(self, text: str) -> None:
        self.panel.flush()
        self.session.submit(text)

    @Slot()
    def _on_new_chat(self) -> None:
        self.session.new_chat()
        self.composer.focus()

    @Slot()
    def _on_model_wanted(self) -> None:
        if self.models.entries:
            self.picker.open()
        else:
            self.models.ask_for_folder()

    @Slot()
    def _on_regenerate(self) -> None:
        answer = self.session.last(Role.ASSISTANT)
        if answer:
            self.panel.flush()
            self.session.answer_again(answer.id)

    @Slot()
    def _on_edit_last(self) -> None:
        question = self.session.last(Role.USER)
        if question and not self.session.is_busy():
            self.view.edit_message(question.id)

    @Slot()
    def _on_delete(self) -> None:
        if self.session.conversation:
            self.conversations.delete(self.session.conversation.id)

    @Slot(object)
    def show_error(self, error: Exception) -> None:
        """Say in one toast what went wrong."""
        self.toast.show_message(error_text(error))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if self._dropped_folder(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        folder = self._dropped_folder(event)
        if folder:
            event.acceptProposedAction()
            self.models.import_folder(folder)

    def _dropped_folder(self, event: QDropEvent) -> Path | None:
        urls = event.mimeData().urls()
        if self.hearth is None or len(urls) != 1 or not urls[0].isLocalFile():
            return None
        path = Path(urls[0].toLocalFile())
        return path if path.is_dir() else None

    # Closing

    def closeEvent(self, event: QCloseEvent) -> None:
        """Hide at once; answers are stopped and stored, and hosts end, before `closed` is emitted."""
        event.ignore()
        if self._closing:
            return
        self._closing = True
        window_state.save(self, self.splitter, self.state)
        self.hide()
        hearth = self.hearth
        if hearth is None:
            if not self._opening:
                self._finish()
            return
        self.panel.flush()
        self.session.stop_all()
        self.bridge.close()
        self.conversations.close()
        self.tasks.run(lambda: None, owner=self).success(lambda _: self._close_hearth(hearth))

    def _close_hearth(self, hearth: Hearth) -> None:
        closing = self.tasks.run(hearth.close, owner=self, lane=Lane.FILES)
        closing.success(lambda _: self._finish()).failure(self._on_close_failed)

    def _on_close_failed(self, error: Exception) -> None:
        _log.error("closing failed", exc_info=error)
        self._finish()

    def is_closed(self) -> bool:
        """Whether `closed` has been emitted."""
        return self._finished

    def _finish(self) -> None:
        self.tasks.close()
        self._finished = True
        self.closed.emit()


def _remembered(hearth: Hearth) -> tuple[Any, Any]:
    return hearth.conversations.get_setting(LAST_CONVERSATION), hearth.conversations.get_setting(LAST_MODEL)
