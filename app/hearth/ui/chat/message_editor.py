"""A user's message while it is edited in its place."""

from __future__ import annotations

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtGui import QEnterEvent, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QPushButton, QWidget

from hearth.i18n import tr
from hearth.ui.chat.bubble import paint_bubble
from hearth.ui.chat.chat_style import ChatStyle
from hearth.ui.chat.growing_edit import GrowingEdit
from hearth.ui.theme import Space


class MessageEditor(QWidget):
    """The editor that takes the place of a bubble.

    Signals:
        entered: the mouse came in.
        sent: the new text.
        cancelled: Cancel or Escape.
        resized: the text has more or fewer lines now.
    """

    entered = Signal()
    sent = Signal(str)
    cancelled = Signal()
    resized = Signal()
    PAD = 14
    UNDER = Space.L  # empty pixels under it

    def __init__(self, style: ChatStyle, parent: QWidget) -> None:
        super().__init__(parent)
        self.edit = GrowingEdit(style.body, 14, self)
        self.edit.setAccessibleName(tr("Edit message"))
        self.cancel_button = QPushButton(tr("Cancel"), self)
        self.send_button = QPushButton(tr("Send"), self)
        self.send_button.setProperty("kind", "primary")
        self.edit.send.connect(self._send)
        self.edit.cancelled.connect(self.cancelled)
        self.cancel_button.clicked.connect(self.cancelled)
        self.send_button.clicked.connect(self._send)
        self.edit.textChanged.connect(self._changed)

    def bind(self, text: str) -> None:
        self.edit.setPlainText(text)
        self.edit.moveCursor(self.edit.textCursor().MoveOperation.End)

    def focus(self) -> None:
        self.edit.setFocus(Qt.FocusReason.OtherFocusReason)

    def height_for(self, width: int) -> int:
        self.edit.setFixedWidth(width - 2 * self.PAD)
        return (
            self.edit.wanted_height()
            + self.send_button.sizeHint().height()
            + Space.M
            + 2 * Space.M
            + self.UNDER
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        self.edit.move(self.PAD, Space.M)
        send, cancel = self.send_button.sizeHint(), self.cancel_button.sizeHint()
        y = self.height() - self.UNDER - Space.M - send.height()
        x = self.width() - self.PAD - send.width()
        self.send_button.setGeometry(QRect(x, y, send.width(), send.height()))
        x -= Space.S + cancel.width()
        self.cancel_button.setGeometry(QRect(x, y, cancel.width(), cancel.height()))

    def paintEvent(self, event: QPaintEvent) -> None:
        paint_bubble(self, self.rect().adjusted(0, 0, 0, -self.UNDER))

    def enterEvent(self, event: QEnterEvent) -> None:
        self.entered.emit()

    def _send(self) -> None:
        text = self.edit.text.strip()
        if text:
            self.sent.emit(text)

    def _changed(self) -> None:
        self.send_button.setEnabled(bool(self.edit.text.strip()))
        self.resized.emit()
