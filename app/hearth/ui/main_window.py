"""The window from its start to its end: opens Hearth in the background, puts it to work, and closes in order."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QCloseEvent

from hearth import paths
from hearth.errors import HearthError
from hearth.i18n import tr
from hearth.services.remembered import LAST_MODEL
from hearth.ui import window_state
from hearth.ui.add_model.controller import AddModelController
from hearth.ui.bridge import UiBridge
from hearth.ui.chat_controller import ChatController
from hearth.ui.conversation_controller import LAST_CONVERSATION
from hearth.ui.live_answers import LiveAnswers
from hearth.ui.live_settings import LiveSettings
from hearth.ui.side_windows import SideWindows
from hearth.ui.tasks import Lane, Tasks
from hearth.ui.to_front import bring_to_front
from hearth.ui.welcome.controller import WELCOMED, WelcomeController
from hearth.ui.whereabouts import go_back, note_whereabouts
from hearth.ui.window_frame import WindowFrame
from hearth.ui.wording import error_text

if TYPE_CHECKING:
    from hearth.models.registry import ModelEntry
    from hearth.services.hearth import Hearth

_log = logging.getLogger(__name__)


class MainWindow(WindowFrame):
    """Shown before anything is open; `open_hearth` runs in the background and fills it.

    Attributes:
        hearth: the services; None until they are open.
        bridge, answers: what they tell, and the answers on their way; exist once Hearth is open.
        chat: the columns at work, and its parts session, models and conversations; exist once Hearth is open.
        welcome: shows the welcome, at the first start by itself.
        add_model: the wizard, and the models on their way; exists once Hearth is open.
        side_windows: models, settings, help and about.

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
        self._closing = Event()
        self._opening = False
        self._finished = False
        self._wants_model = False
        self.hearth: Hearth | None = None
        self.tasks = Tasks(self)
        self.tasks.failed.connect(self.show_error)
        self.side_windows = SideWindows(self.tasks, self)
        self.side_windows.help_wanted.connect(self.open_help)
        self.side_windows.text_size_chosen.connect(self.set_text_size)
        self.side_windows.link_activated.connect(self.ask_to_open)
        self.side_windows.chat_wanted.connect(self._on_chat_wanted)
        self.side_windows.models_changed.connect(self._on_models_changed)
        self.side_windows.import_wanted.connect(lambda: self._add_model(self.models.ask_for_folder))
        self.side_windows.file_wanted.connect(lambda: self._add_model(self.models.ask_for_file))
        self.side_windows.add_model_wanted.connect(self._on_model_wanted)
        self.text_size_changed.connect(self.side_windows.set_text_size)
        self._connect_frame()
        self._update_actions()

    def _connect_frame(self) -> None:
        """What works before Hearth is open."""
        self.welcome = WelcomeController(self.pages, self.tasks, self._closing.is_set, self)
        self.welcome.shown.connect(self._update_actions)
        self.welcome.finished.connect(self._on_welcome_finished)
        self.welcome.model_wanted.connect(self._on_model_wanted)
        self.problem.action_triggered.connect(self.start)
        actions = self.actions_
        actions.settings.triggered.connect(self._on_settings)
        actions.manage_models.triggered.connect(self._on_manage_models)
        self.picker.manage_requested.connect(self._on_manage_models)
        actions.help.triggered.connect(self.open_help)
        actions.welcome.triggered.connect(self.welcome.show)
        actions.about.triggered.connect(lambda: self.side_windows.open_about(self.hearth))

    # Opening

    @Slot()
    def start(self) -> None:
        """Open Hearth in the background."""
        if self._opening:
            return
        self._opening = True
        self.pages.setCurrentWidget(self.splitter)
        self.composer.focus()
        if not paths.database_file().exists():
            self.welcome.show()  # while Hearth is opened for the first time
        self.tasks.run(lambda: (hearth := self._open_hearth(), _remembered(hearth)), owner=self).success(
            lambda found: self._on_open(*found)
        ).failure(self._on_open_failed)

    def _on_open_failed(self, error: Exception) -> None:
        self._opening = False
        if self._closing.is_set():
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
        if self._closing.is_set():
            self._close_hearth(hearth)
            return
        self.bridge = UiBridge(hearth, self)
        self.answers = LiveAnswers(hearth, self.bridge, self.tasks)
        LiveSettings(hearth, self.bridge, self.tasks, self, chat=lambda: self.chat, rebuild=self.rebuild)
        self.add_model = AddModelController(hearth, self.bridge, self.tasks, self)
        self.add_model.chat_wanted.connect(self._chat_with)
        self.add_model.help_wanted.connect(lambda: self.open_help("bigger-model"))
        self._put_to_work(hearth, welcomed=remembered.welcomed)
        self.chat.load_starter = not remembered.welcomed  # while the welcome is read
        self.models.start(remembered.model)
        hearth.installs.start()
        self.conversations.refresh()
        if remembered.conversation:
            self.session.open(remembered.conversation)
        else:
            self.session.new_chat()
        if self._wants_model:
            self.add_model.open()
        self.ready.emit()

    def _put_to_work(self, hearth: Hearth, *, welcomed: bool) -> None:
        self.chat = ChatController(self, hearth, self.bridge, self.answers, self.tasks)
        self.session, self.models = self.chat.session, self.chat.models
        self.conversations = self.chat.conversations
        self.chat.model_wanted.connect(self.add_model.open)
        self.picker.add_requested.connect(self.add_model.open)
        self.empty.link_triggered.connect(self.add_model.open)
        self.actions_.add_model.triggered.connect(self.add_model.open)
        self.add_model.arrived.connect(self.models.take_in)
        self.add_model.folder_wanted.connect(self.models.ask_for_folder)
        self.add_model.file_wanted.connect(self.models.ask_for_file)
        self.add_model.attach()
        self.welcome.attach(hearth, welcomed=welcomed)
        self._update_actions()

    # At work

    def rebuild(self) -> None:
        """Make all widgets anew, in the language in force; the user stays where they are, and answers go on."""
        hearth = self.hearth
        if hearth is None or self._closing.is_set():
            return
        self.setUpdatesEnabled(False)
        where = note_whereabouts(self, self.chat, self.welcome)
        self.conversations.close()
        for old in (self.chat, self.welcome, self.toast):
            old.deleteLater()
        self._build()
        self._apply_state()
        self._connect_frame()
        self._put_to_work(hearth, welcomed=True)
        go_back(self, self.chat, self.welcome, self.tasks, where)

    @Slot()
    def open_help(self, page: str | None = None) -> None:
        """Show that page of the help; None: the one that was read last."""
        self.side_windows.open_help(self.state.font_scale, page)

    @Slot(object)
    def show_error(self, error: Exception) -> None:
        """Say in one toast what went wrong."""
        self.toast.show_message(error_text(error))

    @Slot(object)
    def _chat_with(self, entry: ModelEntry) -> None:
        if not self.is_at_work():
            self.pages.setCurrentWidget(self.splitter)
            self._update_actions()
        bring_to_front(self)
        self.chat.chat_with(entry)

    @Slot()
    def _on_settings(self) -> None:
        if self.hearth is not None:
            self.panel.flush()
            self.side_windows.open_settings(self.hearth, self.state.font_scale)

    @Slot()
    def _on_manage_models(self) -> None:
        if self.hearth is not None:
            self.side_windows.open_models(
                self.hearth, self.bridge, self.state.font_scale, self.models.current
            )

    @Slot()
    def _on_models_changed(self) -> None:
        self.models.refresh()

    @Slot(str)
    def _on_chat_wanted(self, model: str) -> None:
        """A new chat with that model."""
        bring_to_front(self)
        self.session.new_chat()
        self.tasks.run(lambda: None, owner=self).success(lambda _: self.models.choose(model))

    def _add_model(self, ask: Callable[[], None]) -> None:
        """From the window Models: what is asked for is asked for in this one."""
        bring_to_front(self)
        ask()

    @Slot()
    def _on_welcome_finished(self) -> None:
        self.pages.setCurrentWidget(self.splitter)
        self._update_actions()
        self.composer.focus()

    @Slot()
    def _on_model_wanted(self) -> None:
        self._wants_model = self.hearth is None  # the wizard comes when it is open
        if self.hearth is not None:
            self.add_model.open()

    @Slot()
    def _update_actions(self) -> None:
        opened = hasattr(self, "chat")
        self.actions_.settings.setEnabled(opened)
        self.actions_.welcome.setEnabled(self.is_at_work())
        if opened:
            self.chat.update_actions()
        else:
            self.let_work(False)

    # Closing

    def closeEvent(self, event: QCloseEvent) -> None:
        """Hide at once; answers are stopped and stored, and hosts end, before `closed` is emitted."""
        event.ignore()
        if self._closing.is_set():
            return
        self._closing.set()
        self.closing.emit()
        window_state.save(self, self.splitter, self.state)
        self.side_windows.close()
        self.hide()
        hearth = self.hearth
        if hasattr(self, "add_model"):
            self.add_model.close()
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
