"""The window's widgets, where they lie and how they look; it knows nothing of Hearth's services."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, QUrl, Signal, Slot
from PySide6.QtGui import QAction, QDesktopServices, QGuiApplication, QKeyEvent
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

from hearth import i18n, paths
from hearth.i18n import tr
from hearth.ui import theme, window_state
from hearth.ui.add_model.install_strip import InstallStrip
from hearth.ui.banner import Banner
from hearth.ui.chat.chat_view import ChatView
from hearth.ui.chat.composer import Composer
from hearth.ui.conversation_list import ConversationList
from hearth.ui.empty_state import EmptyState
from hearth.ui.folder_drop import FolderDrop
from hearth.ui.menus import build_menus
from hearth.ui.model_picker import ModelPicker
from hearth.ui.parameters_panel import ParametersPanel
from hearth.ui.screen_room import within_screen
from hearth.ui.toast import Toast
from hearth.ui.window_state import FONT_SCALES
from hearth.ui.window_style import window_style

TITLE = "Hearth"
_LEAST_WIDTH, _LEAST_HEIGHT = 560, 420


class WindowFrame(QMainWindow):
    """Conversations on the left, the chat in the middle, parameters on the right.

    Attributes:
        pages: the three columns (`splitter`), what keeps Hearth from starting (`problem`), or the welcome.
        middle: the messages (`view`), or the words that lead on (`empty`).
        actions_: everything in the menus.
        state: what is remembered of how it lies on the screen.
        language: the one it is built in.
        folder_drop: a model's folder may be dropped on the window.

    Signals:
        text_size_changed: one of FONT_SCALES.
    """

    text_size_changed = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self.folder_drop = FolderDrop(self)
        self._build()
        theme.theme().changed.connect(self._restyle)
        self.panel.hide()  # it would make a window that is restored wider than its screen
        self._keep_columns_apart()
        self.state = window_state.restore(self, self.splitter)
        self.setMinimumHeight(within_screen(self, QSize(0, _LEAST_HEIGHT)).height())
        self._apply_state()

    # Building

    def _build(self) -> None:
        """Make all widgets and menus, in the language in force; those that were there go."""
        self.setWindowTitle(TITLE)
        self.language = i18n.language()
        self.pages = QStackedWidget(self)
        self.setCentralWidget(self.pages)
        self.problem = EmptyState(self)
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
        self.actions_ = build_menus(self)
        self._connect_actions()
        self._restyle()

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
        self.install_strip = InstallStrip(centre)
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
        layout.addWidget(self.install_strip)
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
        actions.full_screen.toggled.connect(self._on_full_screen)
        actions.choose_model.triggered.connect(self.picker.click)
        self.view.link_activated.connect(self.ask_to_open)
        actions.open_log.triggered.connect(
            lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(paths.log_file().parent)))
        )

    def is_at_work(self) -> bool:
        """Whether conversations and models are on view, and not a welcome or a problem."""
        return self.pages.currentWidget() is self.splitter

    def let_work(self, allowed: bool) -> None:
        """Whether the user may work on conversations and models now."""
        for action in self.actions_.of_work():
            action.setEnabled(allowed)
        self.new_chat_button.setEnabled(allowed)
        self.picker.setEnabled(allowed)
        self.folder_drop.enabled = allowed

    # Looks

    def _apply_state(self) -> None:
        self.actions_.toggle_sidebar.setChecked(self.state.sidebar)
        self.actions_.toggle_panel.setChecked(self.state.panel)
        self.sidebar.setVisible(self.state.sidebar)
        self.panel.setVisible(self.state.panel)
        self._keep_columns_apart()
        self.set_text_size(self.state.font_scale)
        full_screen = self.actions_.full_screen
        full_screen.blockSignals(True)
        full_screen.setChecked(self.isFullScreen())
        full_screen.blockSignals(False)

    @Slot(float)
    def set_text_size(self, scale: float) -> None:
        """Show text at `scale` times its usual size, one of FONT_SCALES."""
        self.state.font_scale = scale
        self.view.set_font_scale(scale)
        self.composer.set_font_scale(scale)
        self.text_size_changed.emit(scale)

    @Slot(bool)
    def _on_sidebar(self, shown: bool) -> None:
        self.state.sidebar = shown
        self.sidebar.setVisible(shown)
        self._make_room(shown, self.actions_.toggle_panel)
        self._keep_columns_apart()

    @Slot(bool)
    def _on_panel(self, shown: bool) -> None:
        self.state.panel = shown
        self.panel.setVisible(shown)
        self._make_room(shown, self.actions_.toggle_sidebar)
        self._keep_columns_apart()

    @Slot(bool)
    def _on_full_screen(self, full: bool) -> None:
        state = self.windowState() & ~Qt.WindowState.WindowFullScreen  # it may be maximized besides
        self.setWindowState(state | Qt.WindowState.WindowFullScreen if full else state)

    def _make_room(self, shown: bool, other: QAction) -> None:
        """Where the screen is too narrow for one more column, the other one goes."""
        least = self._least_width()
        if shown and within_screen(self, QSize(least, 0)).width() < least:
            other.setChecked(False)

    def _keep_columns_apart(self) -> None:
        """No narrower than the columns that are shown; a window that is too narrow grows."""
        self.setMinimumWidth(self._least_width())

    def _least_width(self) -> int:
        columns = (self.splitter.widget(place) for place in range(self.splitter.count()))
        widths = [column.minimumWidth() for column in columns if column and not column.isHidden()]
        handles = self.splitter.handleWidth() * (len(widths) - 1)
        return max(_LEAST_WIDTH, sum(widths) + handles)

    def _zoom(self, step: int) -> None:
        place = FONT_SCALES.index(self.state.font_scale) + step if step else FONT_SCALES.index(1.0)
        self.set_text_size(FONT_SCALES[max(0, min(len(FONT_SCALES) - 1, place))])

    @Slot()
    def _restyle(self) -> None:
        self.setStyleSheet(window_style(theme.theme().colours))
        for button, name in (
            (self.new_chat_button, "plus"),
            (self.sidebar_button, "sidebar"),
            (self.panel_button, "panel"),
        ):
            button.setIcon(theme.icon(name))

    # What needs no services

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
    def ask_to_open(self, url: str) -> None:
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


def _icon_button(icon: str, name: str, parent: QWidget) -> QToolButton:
    button = QToolButton(parent)
    button.setObjectName(f"{icon}Button")
    button.setIcon(theme.icon(icon))
    button.setAccessibleName(name)
    button.setToolTip(name)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button
