"""What the pages of the wizard that adds a model have in common: a heading, a sentence, and parts below."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout, QWidget

from hearth.ui.text_scale import text_label
from hearth.ui.theme import FontSize, Space


class AddModelPage(QWidget):
    """A page; its parts stand below each other in `column`.

    Attributes:
        next_text, back_text: what the buttons at the foot of the wizard say; "" hides the button.
        can_go_on: whether the one that goes on can be pressed.

    Signals:
        changed: one of these has changed.
        went_on: the user has decided, and wants the page that follows.
    """

    changed = Signal()
    went_on = Signal()

    def __init__(self, heading: str, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.next_text = ""
        self.back_text = ""
        self.can_go_on = False
        self.heading = text_label(self, size=FontSize.LARGE_TITLE, weight=QFont.Weight.DemiBold)
        self.text = text_label(self, kind="secondary")
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, Space.XL, 0, Space.L)
        self.column.setSpacing(Space.M)
        head = QVBoxLayout()
        head.setSpacing(Space.XS)
        head.addWidget(self.heading)
        head.addWidget(self.text)
        self.column.addLayout(head)
        self.column.addSpacing(Space.XS)
        self.say(heading, text)

    def say(self, heading: str, text: str) -> None:
        """Show these words above the parts."""
        self.heading.setText(heading)
        self.text.setText(text)
        self.text.setVisible(bool(text))
        self.setAccessibleName(heading)
        self.setAccessibleDescription(text)

    def show_buttons(self, next_text: str, *, back: str, enabled: bool) -> None:
        """What the foot of the wizard offers on this page."""
        self.next_text, self.back_text, self.can_go_on = next_text, back, enabled
        self.changed.emit()

    def go_on(self) -> None:
        """The user has pressed the button that goes on."""
        self.went_on.emit()

    def focus(self) -> QWidget | None:
        """What takes the keyboard when the page comes on view; None is the button that goes on."""
        return None


def card(parent: QWidget) -> tuple[QFrame, QVBoxLayout]:
    """A frame around parts that belong together, and their column."""
    frame = QFrame(parent)
    frame.setProperty("kind", "card")
    column = QVBoxLayout(frame)
    column.setContentsMargins(Space.L, Space.L, Space.L, Space.L)
    column.setSpacing(Space.S)
    return frame, column


def section_label(parent: QWidget, text: str) -> QLabel:
    """What stands over a group of parts."""
    return text_label(parent, text, kind="title", weight=QFont.Weight.DemiBold)


def link_button(parent: QWidget, text: str = "") -> QPushButton:
    """A button that looks like a link."""
    button = QPushButton(text, parent)
    button.setObjectName("addModelLink")
    button.setCursor(Qt.CursorShape.PointingHandCursor)
    return button
