"""A pop-up menu of choices that shows the theme's arrow, and that the wheel only scrolls past."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSize
from PySide6.QtGui import QPainter, QPaintEvent, QWheelEvent
from PySide6.QtWidgets import QComboBox, QStyledItemDelegate, QWidget

from hearth.ui.theme import Space, icon

_ARROW_MARGIN = 9
_LEAST_WIDTH = 180


class ChoiceBox(QComboBox):
    """Its items are told apart by their data."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setStyleSheet(
            "QComboBox { combobox-popup: 0; } QComboBox::drop-down { border: none; width: 26px; } QComboBox::down-arrow { image: none; }"
            "QComboBox QAbstractItemView::item { padding: 5px 8px; min-height: 18px; }"
        )
        self.setItemDelegate(QStyledItemDelegate(self))  # the style sheet's items, not the platform's menu
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.setMinimumWidth(_LEAST_WIDTH)

    def show_choice(self, data: Any, text: str) -> None:
        """Choose the item with this data, without telling; it is added as `text` where it is not there."""
        if self.findData(data) < 0:
            self.addItem(text, data)
        self.setCurrentIndex(self.findData(data))

    def minimumSizeHint(self) -> QSize:
        """A long choice must not make its page wider than the window."""
        return QSize(_LEAST_WIDTH, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        left = self.width() - Space.ICON - _ARROW_MARGIN
        icon("chevron-down").paint(painter, left, (self.height() - Space.ICON) // 2, Space.ICON, Space.ICON)
        painter.end()

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()
