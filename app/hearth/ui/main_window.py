"""The window at work: opens Hearth in the background, connects its parts to the services, and closes in order."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QCloseEvent

from hearth import paths
from hearth.config import with_recommended
from hearth.conversations.message import Role
from hearth.errors import HearthError
from hearth.i18n import tr
from hearth.services.events import ModelState, ModelStatus
from hearth.ui import empty_chat, window_state
from hearth.ui.bridge import UiBridge
from hearth.ui.conversation_controller import LAST_CONVERSATION, ConversationController
from hearth.ui.folder_drop import FolderDrop
from hearth.ui.live_answers import LiveAnswers
from hearth.ui.live_settings import LiveSettings
from hearth.ui.model_controller import LAST_MODEL, ModelController
from hearth.ui.session import ChatSession
from hearth.ui.side_windows import SideWindows
from hearth.ui.tasks import Lane, Tasks
from hearth.ui.welcome.controller import WELCOMED, WelcomeController
from hearth.ui.whereabouts import go_back, note_whereabouts
from hearth.ui.window_frame import TITLE, WindowFrame
from hearth.ui.wording import error_text

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth

_log = logging.getLogger(__name__)


class MainWindow(WindowFrame):
    """Shown before anything is open; `open_hearth` runs in the background and fills it.

    Attributes:
        hearth: the services; None until they are open.
        bridge, answers: what they tell, and the answers on their way; exist once Hearth is open.
        session, models, conversations: the window's three controllers; exist once Hearth is open.
        welcome: shows the welcome, at the first start by itself.
        side_windows: settings, help and about.
        folder_drop: a model's folder may be dropped on the window.

    Signals:
        ready: Hearth is open and the window is filled.
        closing: it will end once what it had started has.
        closed: the window and all that it had started have ended.
    """

    ready = Signal()
    closing = Signal()
    closed = Signal()

    def __init__(self, open_hearth: Callable[[], Hearth]) -> None:
        super().__init__()
        self._open_hearth = open_hearth
        self._closing = False
        self._opening = False
        self._finished = False
        self._first_start = False
        self.hearth: Hearth | None = None
        self.tasks = Tasks(self)
        self.tasks.failed.connect(self.show_error)
        self.side_windows = SideWindows(self.tasks, self)
        self.side_windows.text_size_chosen.connect(self.set_text_size)
        self.side_windows.link_activated.connect(self.ask_to_open)
        self.folder_drop = FolderDrop(self)
        self._connect_frame()
        self._update_actions()

    def _connect_frame(self) -> None:
        """What works before Hearth is open."""
        self.welcome = WelcomeController(self.pages, self.tasks, self)
        self.welcome.shown.connect(self._update_actions)
        self.welcome.finished.connect(self._on_welcome_finished)
        self.problem.action_triggered.connect(self.start)
        actions = self.actions_
        actions.settings.triggered.connect(self._on_settings)
        actions.help.triggered.connect(self.open_help)
        actions.welcome.triggered.connect(self.welcome.show)
        actions.about.triggered.connect(lambda: self.side_windows.open_about(self.hearth))
        self.empty.link_triggered.connect(lambda: self.open_help("bigger-model"))

    # Opening

    @Slot()
    def start(self) -> None:
        """Open Hearth in the background."""
        if self._opening:
            return
        self._opening = True
        self.pages.setCurrentWidget(self.splitter)
        if not paths.database_file().exists():
            self.welcome.show()  # while Hearth is opened for the first time
        self.tasks.run(lambda: (hearth := self._open_hearth(), _remembered(hearth)), owner=self).success(
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

    def _on_open(self, hearth: Hearth, remembered: _Remembered) -> None:
        self._opening = False
        self.hearth = hearth
        if self._closing:
            self._close_hearth(hearth)
            return
        self.bridge = UiBridge(hearth, self)
        self.answers = LiveAnswers(hearth, self.bridge, self.tasks)
        self._first_start = not remembered.welcomed
        self._add_controllers(hearth, welcomed=remembered.welcomed)
        LiveSettings(hearth.config, self)
        self.show_config_error()
        self.models.start(remembered.model)
        self.conversations.refresh()
        if remembered.conversation:
            self.session.open(remembered.conversation)
        else:
            self.session.new_chat()
        self.ready.emit()

    def _add_controllers(self, hearth: Hearth, *, welcomed: bool) -> None:
        self.session = ChatSession(
            hearth, self.bridge, self.answers, self.tasks, self.view, self.composer, self
        )
        self.models = ModelController(hearth, self.bridge, self.tasks, self.picker, self)
        self.conversations = ConversationController(
            hearth, self.bridge, self.tasks, self.answers, self.session, self.list, self.toast
        )
        self.show_defaults()
        self._connect_controllers()
        self.welcome.attach(hearth, welcomed=welcomed)

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
        self.empty.suggestion_chosen.connect(self._on_suggestion)
        self.folder_drop.dropped.connect(self.models.import_folder)
        self.view.link_activated.connect(self.ask_to_open)
        self.composer.submitted.connect(self._on_submit)
        self.composer.edit_last_requested.connect(self._on_edit_last)

    # In another language

    def rebuild(self) -> None:
        """Make all widgets anew, in the language in force; the user stays where they are, and answers go on."""
        hearth = self.hearth
        if hearth is None or self._closing:
            return
        self.setUpdatesEnabled(False)
        where = note_whereabouts(self)
        self.conversations.close()
        for old in (self.conversations, self.session, self.models, self.welcome, self.toast):
            old.deleteLater()
        self._build()
        self._apply_state()
        self._connect_frame()
        self._add_controllers(hearth, welcomed=True)
        go_back(self, where)

    # What is on view

    @Slot()
    def _on_opened(self) -> None:
        conversation = self.session.conversation
        self.panel.show_settings(self.session.settings)
        if self.models.entries is not None:
            self._use_model(conversation.model if conversation else None)
        self._refresh_middle()
        self._show_title()
        self._focus_composer()

    @Slot()
    def _on_entries(self) -> None:
        conversation = self.session.conversation
        self._use_model(self.models.current or (conversation.model if conversation else None))
        self._refresh_middle()
        entry = self.models.entry()
        if self._first_start and entry is not None and entry.built_in:
            self.models.load(entry.name)  # while the welcome is read
        self._first_start = False

    @Slot(str)
    def _on_model_chosen(self, name: str) -> None:
        self.session.set_model(name)
        self.show_defaults()
        self._refresh_middle()
        self._focus_composer()

    @Slot(object)
    def _on_model_status(self, status: ModelStatus) -> None:
        if status.name == self.models.current:
            self._refresh_middle()
            # An answer that waits for the model tells of the failure itself.
            if (
                status.state is ModelState.FAILED
                and status.error
                and not self.answers.is_awaited(status.name)
            ):
                self.toast.show_message(
                    status.error.what_text(), tr("Retry"), lambda: self.models.load(status.name)
                )

    def use_default_model(self) -> None:
        """A new chat on view takes the default model, which has changed."""
        if self.session.conversation is None:
            self._use_model(None)
            self._refresh_middle()

    def show_config_error(self) -> None:
        """Say what is wrong with the settings file; nothing where nothing is."""
        error = self.hearth.config_error if self.hearth is not None else None
        if error is None:
            self.banner.hide()
        else:
            text = tr("The defaults apply until then.")
            self.banner.show_message(f"{error} {text}")

    def show_defaults(self) -> None:
        """Show in the panel what applies where the conversation sets nothing."""
        if self.hearth is not None:
            defaults, entry = self.hearth.config.defaults, self.models.entry()
            if entry is not None:
                defaults = with_recommended(defaults, entry.manifest.sampling)
            self.panel.set_defaults(msgspec.structs.asdict(defaults))

    def _use_model(self, wanted: str | None) -> None:
        self.session.model = self.models.show_for(wanted)
        self.show_defaults()

    @Slot()
    def _refresh_middle(self) -> None:
        """Messages, or the words that lead on; and whether the composer can be used."""
        self._update_actions()
        if self.models.entries is None:
            return
        self.middle.setCurrentWidget(self.view if self.session.messages else self.empty)
        if self.models.entries:
            self.composer.set_enabled_reason(None)
            empty_chat.show_empty_chat(self.empty, self.models.entry(), self.models.status())
        else:
            self.composer.set_enabled_reason(tr("Import a model to begin."))
            empty_chat.show_no_model(self.empty)

    @Slot()
    def _show_title(self) -> None:
        on_view = self.session.conversation
        index = self.list.model.place(on_view.id) if on_view else None
        title = str(index.data()) if index is not None and index.isValid() else ""
        self.setWindowTitle(f"{title} – {TITLE}" if title else TITLE)
        self._update_actions()

    @Slot()
    def _update_actions(self) -> None:
        filled = hasattr(self, "conversations")
        at_work = filled and self.pages.currentWidget() is self.splitter
        self.actions_.settings.setEnabled(filled)
        self.actions_.welcome.setEnabled(self.pages.currentWidget() is self.splitter)
        for action in self.actions_.of_work():
            action.setEnabled(at_work)
        self.new_chat_button.setEnabled(at_work)
        self.picker.setEnabled(at_work)
        self.folder_drop.enabled = at_work
        if at_work:
            self._update_chat_actions()

    def _update_chat_actions(self) -> None:
        actions, session = self.actions_, self.session
        busy, stored = session.is_busy(), session.conversation is not None
        actions.undo_delete.setEnabled(self.conversations.can_undo())
        actions.stop.setEnabled(busy)
        actions.regenerate.setEnabled(stored and not busy and session.last(Role.ASSISTANT) is not None)
        actions.edit_last.setEnabled(stored and not busy and session.last(Role.USER) is not None)
        actions.rename.setEnabled(stored)
        actions.delete.setEnabled(stored)

    # What the user does

    @Slot(str)
    def _on_submit(self, text: str) -> None:
        self.panel.flush()
        self.session.submit(text)

    @Slot(str)
    def _on_suggestion(self, text: str) -> None:
        if not self.session.is_busy():
            self._on_submit(text)
            self.composer.focus()

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

    @Slot()
    def _on_settings(self) -> None:
        if self.hearth is not None:
            self.panel.flush()
            self.side_windows.open_settings(self.hearth, self.state.font_scale)

    @Slot()
    def open_help(self, page: str | None = None) -> None:
        """Show that page of the help; None: the one that was read last."""
        self.side_windows.open_help(self.state.font_scale, page)

    @Slot()
    def _on_welcome_finished(self) -> None:
        self.pages.setCurrentWidget(self.splitter)
        self._update_actions()
        self.composer.focus()

    def set_text_size(self, scale: float) -> None:
        super().set_text_size(scale)
        if hasattr(self, "side_windows"):
            self.side_windows.set_text_size(scale)

    def _focus_composer(self) -> None:
        if self.pages.currentWidget() is self.splitter:
            self.composer.focus()

    @Slot(object)
    def show_error(self, error: Exception) -> None:
        """Say in one toast what went wrong."""
        self.toast.show_message(error_text(error))

    # Closing

    def closeEvent(self, event: QCloseEvent) -> None:
        """Hide at once; answers are stopped and stored, and hosts end, before `closed` is emitted."""
        event.ignore()
        if self._closing:
            return
        self._closing = True
        self.closing.emit()
        window_state.save(self, self.splitter, self.state)
        self.side_windows.close()
        self.hide()
        hearth = self.hearth
        if hearth is None:
            if not self._opening:
                self._finish()
            return
        self.panel.flush()
        self.answers.stop_all()
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


class _Remembered(NamedTuple):
    """What the store keeps for the window."""

    conversation: str | None
    model: str | None
    welcomed: bool


def _remembered(hearth: Hearth) -> _Remembered:
    store = hearth.conversations
    conversation, model = store.get_setting(LAST_CONVERSATION), store.get_setting(LAST_MODEL)
    return _Remembered(conversation, model, bool(store.get_setting(WELCOMED)))
