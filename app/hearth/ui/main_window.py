"""The window: conversations on the left, the chat in the middle, parameters on the right."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from PySide6.QtCore import QEvent, Qt, QUrl, Signal, Slot
from PySide6.QtGui import (
    QCloseEvent,
    QDesktopServices,
    QDragEnterEvent,
    QDropEvent,
    QGuiApplication,
    QKeyEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QMainWindow,
    QMessageBox,
    QPlainTextEdit,
    QSplitter,
    QStackedWidget,
    QTextEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from hearth import __version__, paths
from hearth.conversations.message import Role
from hearth.errors import HearthError
from hearth.i18n import tr
from hearth.services.events import ModelState, ModelStatus
from hearth.ui import theme, window_state
from hearth.ui.banner import Banner
from hearth.ui.bridge import UiBridge
from hearth.ui.chat.chat_view import ChatView
from hearth.ui.chat.composer import Composer
from hearth.ui.conversation_controller import LAST_CONVERSATION, ConversationController
from hearth.ui.conversation_list import ConversationList
from hearth.ui.empty_state import EmptyState
from hearth.ui.menus import build_menus
from hearth.ui.model_controller import LAST_MODEL, ModelController
from hearth.ui.model_picker import ModelPicker
from hearth.ui.parameters_panel import ParametersPanel
from hearth.ui.session import ChatSession
from hearth.ui.tasks import Lane, Tasks
from hearth.ui.toast import Toast
from hearth.ui.window_state import FONT_SCALES
from hearth.ui.window_style import window_style
from hearth.ui.wording import error_text

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth

_log = logging.getLogger(__name__)
_TITLE = "Hearth"


class MainWindow(QMainWindow):
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
        self.setWindowTitle(_TITLE)
        self.setAcceptDrops(True)
        self.setMinimumSize(560, 420)
        self._build()
        self.actions_ = build_menus(self)
        self._connect_actions()
        self._restyle()
        theme.theme().changed.connect(self._restyle)
        self.state = window_state.restore(self, self.splitter)
        self._apply_state()
        self._update_actions()

    # Building

    def _build(self) -> None:
        self.pages = QStackedWidget(self)
        self.setCentralWidget(self.pages)
        self.problem = EmptyState(self)
        self.problem.action_triggered.connect(self.start)
        self.problem.second_triggered.connect(self.close)
        self.splitter = QSplitter(Qt.Orientation.Horizontal, self)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setHandleWidth(1)
        self.pages.addWidget(self.splitter)
        self.pages.addWidget(self.problem)
        self.panel = ParametersPanel(self)
        self.panel.setMinimumWidth(250)
        self.panel.setMaximumWidth(420)
        for place, (widget, width) in enumerate(
            ((self._build_sidebar(), 250), (self._build_centre(), 650), (self.panel, 280))
        ):
            self.splitter.addWidget(widget)
            self.splitter.setStretchFactor(place, 1 if place == 1 else 0)
            widget.resize(width, 600)
        self.splitter.setSizes([250, 650, 280])
        self.toast = Toast(self, self.middle)

    def _build_sidebar(self) -> QWidget:
        self.sidebar = QFrame(self)
        self.sidebar.setObjectName("sidebar")
        self.sidebar.setMinimumWidth(180)
        self.sidebar.setMaximumWidth(420)
        self.new_chat_button = _icon_button("plus", tr("New chat"), self.sidebar)
        self.new_chat_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.new_chat_button.setText(tr("New chat"))
        self.list = ConversationList(self.sidebar)
        header = QHBoxLayout()
        header.setContentsMargins(10, 10, 10, 6)
        header.addWidget(self.new_chat_button)
        header.addStretch(1)
        layout = QVBoxLayout(self.sidebar)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(header)
        layout.addWidget(self.list, 1)
        return self.sidebar

    def _build_centre(self) -> QWidget:
        centre = QWidget(self)
        centre.setObjectName("centre")
        centre.setMinimumWidth(320)
        bar = QFrame(centre)
        bar.setObjectName("topBar")
        self.sidebar_button = _icon_button("sidebar", tr("Show or hide the conversations"), bar)
        self.panel_button = _icon_button("panel", tr("Show or hide the parameters"), bar)
        self.picker = ModelPicker(bar)
        top = QHBoxLayout(bar)
        top.setContentsMargins(10, 8, 10, 8)
        top.addWidget(self.sidebar_button)
        top.addWidget(self.picker)
        top.addStretch(1)
        top.addWidget(self.panel_button)
        self.banner = Banner(centre)
        self.empty = EmptyState(centre)
        self.view = ChatView(centre)
        self.composer = Composer(centre)
        self.middle = QStackedWidget(centre)
        self.middle.addWidget(self.empty)
        self.middle.addWidget(self.view)
        layout = QVBoxLayout(centre)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(bar)
        layout.addWidget(self.banner)
        layout.addWidget(self.middle, 1)
        layout.addWidget(self.composer)
        self.empty.show_words("", "")
        self.composer.set_enabled_reason(tr("Opening your conversations…"))
        return centre

    def _connect_actions(self) -> None:
        actions = self.actions_
        self.new_chat_button.clicked.connect(actions.new_chat.trigger)
        self.sidebar_button.clicked.connect(actions.toggle_sidebar.trigger)
        self.panel_button.clicked.connect(actions.toggle_panel.trigger)
        actions.quit.triggered.connect(self.close)
        actions.copy.triggered.connect(self._on_copy)
        actions.toggle_sidebar.toggled.connect(self._on_sidebar)
        actions.toggle_panel.toggled.connect(self._on_panel)
        actions.zoom_in.triggered.connect(lambda: self._zoom(1))
        actions.zoom_out.triggered.connect(lambda: self._zoom(-1))
        actions.zoom_reset.triggered.connect(lambda: self._zoom(0))
        actions.full_screen.toggled.connect(lambda on: self.showFullScreen() if on else self.showNormal())
        actions.choose_model.triggered.connect(self.picker.click)
        actions.open_log.triggered.connect(
            lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(paths.log_file().parent)))
        )
        actions.about.triggered.connect(self._on_about)

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
        self.view.link_activated.connect(self._on_link)
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
            if status.state is ModelState.FAILED and status.error:
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
        self.setWindowTitle(f"{title} – {_TITLE}" if title else _TITLE)
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

    @Slot()
    def _on_copy(self) -> None:
        widget = QApplication.focusWidget()
        if isinstance(widget, QLineEdit | QTextEdit | QPlainTextEdit):
            widget.copy()
        else:
            # The menu has taken the key that the view would have copied its selection for.
            keys = (QEvent.Type.KeyPress, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
            QApplication.sendEvent(self.view, QKeyEvent(*keys))

    @Slot(str)
    def _on_link(self, url: str) -> None:
        """Opening a link leaves the machine, so the user is asked, with the whole address in sight."""
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Question)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(tr("Open this link in the browser?"))
        box.setInformativeText(url)
        box.addButton(tr("Open"), QMessageBox.ButtonRole.AcceptRole)
        copy = box.addButton(tr("Copy"), QMessageBox.ButtonRole.ActionRole)
        box.addButton(tr("Cancel"), QMessageBox.ButtonRole.RejectRole)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(url))
        box.accepted.connect(lambda: QDesktopServices.openUrl(QUrl(url)))
        box.open()

    @Slot()
    def _on_about(self) -> None:
        box = QMessageBox(self)
        box.setText(f"Hearth {__version__}")
        box.setInformativeText(tr("A private assistant that runs on your machine.\nApache License 2.0"))
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

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

    # Looks

    def _apply_state(self) -> None:
        self.actions_.toggle_sidebar.setChecked(self.state.sidebar)
        self.actions_.toggle_panel.setChecked(self.state.panel)
        self.sidebar.setVisible(self.state.sidebar)
        self.panel.setVisible(self.state.panel)
        self.view.set_font_scale(self.state.font_scale)
        self.composer.set_font_scale(self.state.font_scale)

    @Slot(bool)
    def _on_sidebar(self, shown: bool) -> None:
        self.state.sidebar = shown
        self.sidebar.setVisible(shown)

    @Slot(bool)
    def _on_panel(self, shown: bool) -> None:
        self.state.panel = shown
        self.panel.setVisible(shown)

    def _zoom(self, step: int) -> None:
        place = FONT_SCALES.index(self.state.font_scale) + step if step else FONT_SCALES.index(1.0)
        self.state.font_scale = FONT_SCALES[max(0, min(len(FONT_SCALES) - 1, place))]
        self.view.set_font_scale(self.state.font_scale)
        self.composer.set_font_scale(self.state.font_scale)

    @Slot()
    def _restyle(self) -> None:
        self.setStyleSheet(window_style(theme.theme().colours))
        for button, name in (
            (self.new_chat_button, "plus"),
            (self.sidebar_button, "sidebar"),
            (self.panel_button, "panel"),
        ):
            button.setIcon(theme.icon(name))

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


def _icon_button(icon: str, name: str, parent: QWidget) -> QToolButton:
    button = QToolButton(parent)
    button.setObjectName(f"{icon}Button")
    button.setIcon(theme.icon(icon))
    button.setAccessibleName(name)
    button.setToolTip(name)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button
