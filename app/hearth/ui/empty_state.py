"""What stands in the middle when there is nothing to read yet: a few words, and where to go from here."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from hearth.ui.theme import FontSize, font


class EmptyState(QWidget):
    """A heading, a sentence and up to two buttons, in the middle of the space that there is.

    Signals:
        action_triggered: the main button was pressed.
        second_triggered: the other button was pressed.
    """

    action_triggered = Signal()
    second_triggered = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._heading = QLabel(self)
        self._heading.setFont(font(FontSize.LARGE_TITLE, weight=QFont.Weight.DemiBold))
        self._heading.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._heading.setWordWrap(True)
        self._text = QLabel(self)
        self._text.setProperty("kind", "secondary")
        self._text.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._text.setWordWrap(True)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.button = QPushButton(self)
        self.button.setProperty("kind", "primary")
        self.button.clicked.connect(self.action_triggered)
        self.second = QPushButton(self)
        self.second.clicked.connect(self.second_triggered)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.second)
        buttons.addWidget(self.button)
        buttons.addStretch(1)
        column = QVBoxLayout()
        column.setSpacing(10)
        column.addStretch(2)
        column.addWidget(self._heading)
        column.addWidget(self._text)
        column.addSpacing(8)
        column.addLayout(buttons)
        column.addStretch(3)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.addStretch(1)
        layout.addLayout(column, 6)
        layout.addStretch(1)

    def show_words(self, heading: str, text: str, action: str = "", second: str = "") -> None:
        """Show these words; a button without a label is hidden."""
        self._heading.setText(heading)
        self._text.setText(text)
        for button, label in ((self.button, action), (self.second, second)):
            button.setText(label)
            button.setVisible(bool(label))
        self.setAccessibleName(heading)
        self.setAccessibleDescription(text)

    def heading(self) -> str:
        return self._heading.text()

    def text(self) -> str:
        return self._text.text()
