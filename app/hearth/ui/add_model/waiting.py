"""What stands in the place of a list or page while its content is on its way, or cannot be had."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent
from PySide6.QtWidgets import QProgressBar, QPushButton, QVBoxLayout, QWidget

from hearth.ui.text_scale import text_label
from hearth.ui.theme import Space

_BAR_WIDTH = 220


class Waiting(QWidget):
    """Words in the middle, with a moving bar or a button.

    Signals:
        pressed: the button was pressed.
    """

    pressed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bar = QProgressBar(self)
        self.bar.setRange(0, 0)
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(_BAR_WIDTH)
        self.words = text_label(self)
        self.words.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.button = QPushButton(self)
        self.button.clicked.connect(self.pressed)
        column = QVBoxLayout(self)
        column.setContentsMargins(Space.XL, Space.M, Space.XL, Space.M)
        column.setSpacing(Space.L)
        column.addStretch(2)
        column.addWidget(self.words)
        column.addWidget(self.bar, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(3)

    def show_busy(self, text: str) -> None:
        """Say what is waited for."""
        self._show(text, busy=True)

    def show_words(self, text: str, button: str = "") -> None:
        """Say why there is nothing, with a button for what can be done about it."""
        self._show(text, button=button)
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, text))

    def _show(self, text: str, *, busy: bool = False, button: str = "") -> None:
        self.words.setText(text)
        self.words.setProperty("kind", "secondary")
        self.bar.setAccessibleName(text)
        self.bar.setVisible(busy)
        self.button.setText(button)
        self.button.setVisible(bool(button))
