"""What the pages of the welcome have in common: a heading, a sentence, and a column of parts below."""

from __future__ import annotations

from PySide6.QtGui import QFont
from PySide6.QtWidgets import QVBoxLayout, QWidget

from hearth.ui.text_scale import text_label
from hearth.ui.theme import FontSize, Space


class WelcomePage(QWidget):
    """A page; `add` puts parts under its words.

    Attributes:
        heading: its first words, which say what it is about.
    """

    def __init__(self, heading: str, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.heading = heading
        self.setAccessibleName(heading)
        self.setAccessibleDescription(text)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, Space.XXL, 0, Space.XL)
        self.column.setSpacing(Space.S)
        self.column.addStretch(2)
        self.add(text_label(self, heading, size=FontSize.LARGE_TITLE, weight=QFont.Weight.DemiBold))
        self.add(text_label(self, text, kind="secondary"))

    def add(self, part: QWidget, space: int = 0) -> None:
        """Put `part` at the foot of the column, `space` below what is there."""
        self.column.addSpacing(space)
        self.column.addWidget(part)

    def end(self) -> None:
        """All parts are there; what is left of the height goes below them."""
        self.column.addStretch(3)
