"""The soft bubble behind what the user wrote."""

from __future__ import annotations

from math import ceil

from PySide6.QtCore import QPoint, QRect, Qt, Signal
from PySide6.QtGui import QEnterEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QWidget

from hearth.ui.chat.chat_style import ChatStyle
from hearth.ui.chat.text_block import TextBlock
from hearth.ui.theme import Space, colour


class Bubble(QWidget):
    """A part of what the user wrote, in a soft bubble on the right; a long text has several parts.

    Signals:
        entered: the mouse came in.
    """

    entered = Signal()
    PAD_X = 14
    PAD_Y = 10
    WIDEST = 0.82  # of the column

    def __init__(self, style: ChatStyle, parent: QWidget) -> None:
        super().__init__(parent)
        self.text_block = TextBlock(style, self)
        self.text_block.entered.connect(self.entered)
        self._style = style
        self._first = self._last = True
        self._bubble_width = 0

    def bind(self, text: str, *, first: bool, last: bool) -> None:
        """Show `text`, the first or last part of a message, or one between."""
        self._first, self._last = first, last
        self.text_block.show_plain(text)

    def height_for(self, width: int) -> int:
        limit = int(width * self.WIDEST) - 2 * self.PAD_X
        self.text_block.height_for(limit)
        document = self.text_block.document()
        if self._first and self._last:
            used = min(limit, ceil(document.idealWidth()) + 1)
        else:
            used = limit
        self._bubble_width = used + 2 * self.PAD_X
        height = self.text_block.height_for(used)
        self._place()  # another text may need another width at the same size of this widget
        return height + self._pad_top + self._pad_bottom

    def position_at(self, point: QPoint) -> int:
        return self.text_block.position_at(self.text_block.mapFrom(self, point))

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._place()

    def _place(self) -> None:
        box = self._box()
        self.text_block.setGeometry(box.adjusted(self.PAD_X, self._pad_top, -self.PAD_X, -self._pad_bottom))

    @property
    def _pad_top(self) -> int:
        return self.PAD_Y if self._first else 0

    @property
    def _pad_bottom(self) -> int:
        # The last line has its leading under it.
        return max(2, self.PAD_Y - self._style.leading) if self._last else 0

    def _box(self) -> QRect:
        return QRect(self.width() - self._bubble_width, 0, self._bubble_width, self.height())

    def paintEvent(self, event: QPaintEvent) -> None:
        paint_bubble(self, self._box(), first=self._first, last=self._last)

    def enterEvent(self, event: QEnterEvent) -> None:
        self.entered.emit()
        super().enterEvent(event)


def paint_bubble(widget: QWidget, box: QRect, *, first: bool = True, last: bool = True) -> None:
    """Paint the bubble's ground; its upper corners are round on the first part, the lower ones on the last."""
    painter = QPainter(widget)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour("bubble"))
    painter.setClipRect(box)
    radius = Space.RADIUS_LARGE
    painter.drawRoundedRect(
        box.adjusted(0, 0 if first else -2 * radius, 0, 0 if last else 2 * radius), radius, radius
    )
