"""The quiet rows of the chat view: a notice, progress, a failed answer, a rule."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QEnterEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from hearth.i18n import tr
from hearth.ui.chat.chat_style import ChatStyle
from hearth.ui.theme import Space, colour, icon


class QuietLine(QWidget):
    """One or more lines of quiet text.

    Signals:
        entered: the mouse came in.
    """

    entered = Signal()

    def __init__(self, style: ChatStyle, parent: QWidget) -> None:
        super().__init__(parent)
        self._label = QLabel(self)
        self._label.setFont(style.small)
        self._label.setProperty("kind", "faint")
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._label.setWordWrap(True)

    def bind(self, text: str) -> None:
        self._label.setText(text)

    def text(self) -> str:
        return self._label.text()

    def height_for(self, width: int) -> int:
        return max(self._label.heightForWidth(width), self._label.fontMetrics().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._label.setGeometry(self.rect())

    def enterEvent(self, event: QEnterEvent) -> None:
        self.entered.emit()


class Rule(QWidget):
    """A thin line across the column.

    Signals:
        entered: the mouse came in.
    """

    entered = Signal()

    def __init__(self, _style: ChatStyle, parent: QWidget) -> None:
        super().__init__(parent)

    def height_for(self, _width: int) -> int:
        return Space.L + 1

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(QRectF(0, self.height() // 2, self.width(), 1), colour("separator"))

    def enterEvent(self, event: QEnterEvent) -> None:
        self.entered.emit()


class FailedLine(QWidget):
    """Why an answer failed, with Retry.

    Signals:
        entered: the mouse came in.
        retry: Retry was pressed.
    """

    entered = Signal()
    retry = Signal()

    def __init__(self, style: ChatStyle, parent: QWidget) -> None:
        super().__init__(parent)
        self._icon = QLabel(self)
        self._icon.setPixmap(
            icon("warning", "danger", size=18).pixmap(QSize(18, 18), self.devicePixelRatioF())
        )
        self._label = QLabel(self)
        self._label.setFont(style.body)
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._label.setWordWrap(True)
        self._label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.retry_button = QPushButton(tr("Retry"), self)
        self.retry_button.setAccessibleName(tr("Retry"))
        self.retry_button.setIcon(icon("regenerate", "text"))
        self.retry_button.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # the chat view leads Tab
        self.retry_button.clicked.connect(self.retry)

    def bind(self, text: str) -> None:
        self._label.setText(text)

    def text(self) -> str:
        return self._label.text()

    def _text_width(self, width: int) -> int:
        return max(60, width - 2 * Space.L - 18 - Space.M - self.retry_button.sizeHint().width() - Space.L)

    def height_for(self, width: int) -> int:
        text = self._label.heightForWidth(self._text_width(width))
        return max(text, self.retry_button.sizeHint().height()) + 2 * Space.M

    def resizeEvent(self, event: QResizeEvent) -> None:
        height = self.height()
        self._icon.setGeometry(Space.L, (height - 18) // 2, 18, 18)
        button = self.retry_button.sizeHint()
        self._label.setGeometry(Space.L + 18 + Space.M, 0, self._text_width(self.width()), height)
        self.retry_button.setGeometry(
            self.width() - Space.M - button.width(),
            (height - button.height()) // 2,
            button.width(),
            button.height(),
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour("danger_surface"))
        painter.drawRoundedRect(self.rect(), Space.RADIUS, Space.RADIUS)

    def enterEvent(self, event: QEnterEvent) -> None:
        self.entered.emit()
