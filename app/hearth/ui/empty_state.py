"""What stands in the middle when there is nothing to read yet: a few words, and where to go from here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from hearth.ui.theme import FontSize, Space, font
from hearth.ui.vertical_scroll import vertical_scroll

_SUGGESTION_WIDTH = 260


class EmptyState(QWidget):
    """A heading, a sentence, up to two buttons, things to try and a note with a link, in the middle of the space.

    Where there is not enough of it, they can be scrolled.

    Attributes:
        suggestions: the buttons of the things to try.

    Signals:
        action_triggered: the main button was pressed.
        second_triggered: the other button was pressed.
        suggestion_chosen: the text of the thing to try that was pressed.
        link_triggered: the link under the note was pressed.
    """

    action_triggered = Signal()
    second_triggered = Signal()
    suggestion_chosen = Signal(str)
    link_triggered = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._heading = _label(self)
        self._heading.setObjectName("emptyHeading")
        self._heading.setFont(font(FontSize.LARGE_TITLE, weight=QFont.Weight.DemiBold))
        self._text = _label(self, "secondary")
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.button = QPushButton(self)
        self.button.setProperty("kind", "primary")
        self.button.clicked.connect(self.action_triggered)
        self.second = QPushButton(self)
        self.second.clicked.connect(self.second_triggered)
        self.suggestions: list[QPushButton] = []
        self._things = QVBoxLayout()
        self._things.setSpacing(Space.S)
        self._note = _label(self, "faint")
        self.link = QPushButton(self)
        self.link.setObjectName("emptyLink")
        self.link.setCursor(Qt.CursorShape.PointingHandCursor)
        self.link.clicked.connect(self.link_triggered)
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
        column.addSpacing(Space.S)
        column.addLayout(buttons)
        column.addLayout(self._things)
        column.addSpacing(Space.S)
        column.addWidget(self._note)
        column.addWidget(self.link, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(3)
        content = QWidget(self)
        content.setObjectName("emptyContent")
        sides = QHBoxLayout(content)
        sides.setContentsMargins(24, 24, 24, 24)
        sides.addStretch(1)
        sides.addLayout(column, 6)
        sides.addStretch(1)
        area = vertical_scroll(content, self)
        area.setObjectName("emptyArea")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)

    def show_words(
        self,
        heading: str,
        text: str,
        action: str = "",
        second: str = "",
        *,
        suggestions: Sequence[str] = (),
        note: str = "",
        link: str = "",
    ) -> None:
        """Show these words; what has none is hidden."""
        self._heading.setText(heading)
        self._text.setText(text)
        self._note.setText(note)
        self._note.setVisible(bool(note))
        for button, label in ((self.button, action), (self.second, second), (self.link, link)):
            button.setText(label)
            button.setVisible(bool(label))
        self._suggest(suggestions)
        self.setAccessibleName(heading)
        self.setAccessibleDescription(text)

    def heading(self) -> str:
        return self._heading.text()

    def text(self) -> str:
        return self._text.text()

    def note(self) -> str:
        return self._note.text()

    def _suggest(self, suggestions: Sequence[str]) -> None:
        if [button.text() for button in self.suggestions] == list(suggestions):
            return  # a button that has the keyboard keeps it
        for button in self.suggestions:
            button.hide()
            button.deleteLater()
        self.suggestions = [self._suggestion(text) for text in suggestions]
        for before, after in pairwise([self.second, *self.suggestions, self.link]):
            self.setTabOrder(before, after)

    def _suggestion(self, text: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setObjectName("suggestion")
        button.setFixedWidth(max(_SUGGESTION_WIDTH, button.sizeHint().width()))
        button.setAutoDefault(True)  # Enter presses it too
        button.clicked.connect(lambda: self.suggestion_chosen.emit(text))
        self._things.addWidget(button, 0, Qt.AlignmentFlag.AlignHCenter)
        return button


def _label(parent: QWidget, kind: str = "") -> QLabel:
    label = QLabel(parent)
    label.setProperty("kind", kind)
    label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label
