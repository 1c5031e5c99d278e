"""The line under a message: what the answer cost, and what can be done with the message."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QEnterEvent, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QToolButton, QWidget

from hearth.conversations.message import AnswerUsage, Message, MessageStatus, Role
from hearth.i18n import tr
from hearth.ui.chat.chat_style import ChatStyle
from hearth.ui.theme import Space, icon

_COPIED_MS = 1_500


class QuietButton(QToolButton):
    """A button that is drawn only while its message is looked at or the keyboard is on it."""

    def __init__(self, icon_name: str, name: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.shown = False
        self.setIcon(icon(icon_name, "text_faint"))
        self.setIconSize(QSize(Space.ICON, Space.ICON))
        self.setFixedSize(Space.BUTTON, Space.BUTTON)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # the chat view leads Tab
        self.name(name)

    def name(self, name: str) -> None:
        self.setAccessibleName(name)
        self.setToolTip(name)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.shown or self.hasFocus():
            super().paintEvent(event)


class Footer(QWidget):
    """The line under one message.

    Signals:
        entered: the mouse came in.
        copy, regenerate, edit: that action was asked for.
        step: the previous (-1) or next (1) version was asked for.
        focused: the keyboard came to one of the buttons.
    """

    entered = Signal()
    copy = Signal()
    regenerate = Signal()
    edit = Signal()
    step = Signal(int)
    focused = Signal()
    HEIGHT = Space.BUTTON + 2

    def __init__(self, style: ChatStyle, parent: QWidget) -> None:
        super().__init__(parent)
        self._on_right = False
        self._text = ""
        self._label = QLabel(self)
        self._label.setFont(style.small)
        self._label.setProperty("kind", "faint")
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self.previous_button = QuietButton("chevron-left", tr("Previous version"), self)
        self.next_button = QuietButton("chevron-right", tr("Next version"), self)
        self._version = QLabel(self)
        self._version.setFont(style.small)
        self._version.setProperty("kind", "faint")
        self._version.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.copy_button = QuietButton("copy", tr("Copy message"), self)
        self.regenerate_button = QuietButton("regenerate", tr("Answer again"), self)
        self.edit_button = QuietButton("edit", tr("Edit message"), self)
        self.previous_button.shown = self.next_button.shown = True
        self.previous_button.clicked.connect(lambda: self.step.emit(-1))
        self.next_button.clicked.connect(lambda: self.step.emit(1))
        self.copy_button.clicked.connect(self._copy)
        self.regenerate_button.clicked.connect(self.regenerate)
        self.edit_button.clicked.connect(self.edit)
        for button in self.buttons():
            button.installEventFilter(self)
        self._copied = QTimer(self)
        self._copied.setSingleShot(True)
        self._copied.setInterval(_COPIED_MS)
        self._copied.timeout.connect(self._show_copy)

    def buttons(self) -> list[QuietButton]:
        """All buttons, from left to right."""
        return [
            self.copy_button,
            self.regenerate_button,
            self.edit_button,
            self.previous_button,
            self.next_button,
        ]

    def bind(self, message: Message) -> None:
        """Show what belongs to `message`."""
        streaming = message.status is MessageStatus.STREAMING
        versions = message.versions > 1 and not streaming
        user = message.role is Role.USER
        self._on_right = user
        self._text = "" if user or streaming else summary(message)
        self.previous_button.setVisible(versions)
        self.next_button.setVisible(versions)
        self._version.setVisible(versions)
        self.previous_button.setEnabled(message.version > 1)
        self.next_button.setEnabled(message.version < message.versions)
        numbers = tr("{version} / {versions}", version=message.version, versions=message.versions)
        self._version.setText(numbers)
        self._version.setAccessibleName(
            tr("Version {version} of {versions}", version=message.version, versions=message.versions)
        )
        self.copy_button.setVisible(bool(message.text))
        self.regenerate_button.setVisible(message.role is Role.ASSISTANT and not streaming)
        self.edit_button.setVisible(user)
        self._copied.stop()
        self._show_copy()
        self._place()

    def height_for(self, _width: int) -> int:
        return self.HEIGHT

    def set_shown(self, shown: bool) -> None:
        """Draw the buttons, or only keep their places; the arrows are drawn always."""
        for button in (self.copy_button, self.regenerate_button, self.edit_button):
            if button.shown != shown:
                button.shown = shown
                button.update()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.FocusIn:
            self.focused.emit()
        return False

    def enterEvent(self, event: QEnterEvent) -> None:
        self.entered.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._place()

    def _place(self) -> None:
        size = Space.BUTTON
        actions = [
            b for b in (self.copy_button, self.regenerate_button, self.edit_button) if not b.isHidden()
        ]
        versions = not self.previous_button.isHidden()
        version_width = max(40, self._version.sizeHint().width() + Space.S)
        wide = size * len(actions) + (2 * size + version_width if versions else 0)
        x = self.width() - wide
        text_width = max(0, x - Space.S)
        for button in actions:
            button.move(x, 1)
            x += size
        if versions:
            self.previous_button.move(x, 1)
            self._version.setGeometry(x + size, 1, version_width, size)
            self.next_button.move(x + size + version_width, 1)
        shown = self._label.fontMetrics().elidedText(self._text, Qt.TextElideMode.ElideRight, text_width)
        self._label.setText(shown)
        self._label.setToolTip(self._text if shown != self._text else "")
        self._label.setGeometry(0, 1, text_width, size)

    def _copy(self) -> None:
        self.copy.emit()
        self.copy_button.setIcon(icon("check", "success"))
        self.copy_button.name(tr("Copied"))
        self._copied.start()

    def _show_copy(self) -> None:
        self.copy_button.setIcon(icon("copy", "text_faint"))
        self.copy_button.name(tr("Copy message"))


def summary(message: Message) -> str:
    """How an answer ended and what it cost, in one line."""
    pieces: list[str] = []
    usage = message.usage
    if message.status is MessageStatus.INTERRUPTED:
        pieces.append(tr("Stopped."))
    elif usage is not None and usage.finish_reason == "length":
        pieces.append(tr("The answer reached its limit."))
    if usage is not None and usage.generated_tokens:
        pieces.append(usage_line(usage))
    return "  ".join(pieces)


def usage_line(usage: AnswerUsage) -> str:
    """Speed, wait and use of the context."""
    return " · ".join(
        (
            tr("{speed} tokens/s", speed=f"{usage.tokens_per_second:.1f}"),
            tr("{seconds} s to first token", seconds=f"{usage.seconds_to_first_token:.1f}"),
            tr(
                "{used} of {length} tokens of context",
                used=f"{usage.context_tokens:,}",
                length=f"{usage.context_length:,}",
            ),
        )
    )
