"""How rows of the help's lists look when they are chosen, under the mouse, or have the keyboard."""

from __future__ import annotations

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QStyle, QStyleOptionViewItem

from hearth.ui.theme import colour

_STATE = QStyle.StateFlag


def paint_row(painter: QPainter, rect: QRect, option: QStyleOptionViewItem) -> None:
    """What lies behind the words of a row, in `rect`."""
    state: QStyle.StateFlag = option.state
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if state & (_STATE.State_Selected | _STATE.State_MouseOver):
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour("selected" if state & _STATE.State_Selected else "hover"))
        painter.drawRoundedRect(rect, 6, 6)
    if state & _STATE.State_HasFocus and state & _STATE.State_KeyboardFocusChange:
        painter.setPen(colour("accent"))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        # Within the row: what is drawn beside it stays when the keyboard has gone on.
        painter.drawRoundedRect(QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
    painter.restore()
