"""What the texts of the chat view share: a press and a drag are told, so that a selection may reach over several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QMouseEvent

if TYPE_CHECKING:
    from PySide6.QtWidgets import QAbstractScrollArea as _Area
else:
    _Area = object  # Qt takes only one of its classes for each object, and this comes before that one


class DraggedText(_Area):
    """Comes before a text widget of Qt, which selects by itself first.

    Signals:
        pressed: the left mouse button went down.
        dragged: the mouse moved with that button down; its place on the screen.
    """

    pressed = Signal()
    dragged = Signal(QPoint)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        if event.button() == Qt.MouseButton.LeftButton:
            self.pressed.emit()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.dragged.emit(event.globalPosition().toPoint())

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """The chat view has one menu for everything in it."""
        event.ignore()
