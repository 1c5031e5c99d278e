"""What the pages of the wizard that adds a model have in common: a heading, a sentence, and parts below."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QFont, QPaintEvent
from PySide6.QtWidgets import (
    QFrame,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QStyleOptionButton,
    QStylePainter,
    QVBoxLayout,
    QWidget,
)

from hearth.ui.text_scale import text_label
from hearth.ui.theme import FontSize, Space
from hearth.ui.vertical_scroll import vertical_scroll

_LINK_BORDER = 1  # pixels, in the style sheet


class AddModelPage(QWidget):
    """A page; its parts stand below each other in `column`.

    Attributes:
        next_text, back_text: what the buttons at the foot of the wizard say; "" hides the button.
        can_go_on: whether the one that goes on can be pressed.
        area: what scrolls where the window is too low; a page without it must not `reveal`.

    Signals:
        changed: one of these has changed.
        went_on: the user has decided, and wants the page that follows.
    """

    area: QScrollArea
    changed = Signal()
    went_on = Signal()

    def __init__(
        self, heading: str, text: str, parent: QWidget | None = None, *, scrolls: bool = False
    ) -> None:
        """`scrolls`: the page as a whole, with its heading."""
        super().__init__(parent)
        self.next_text = ""
        self.back_text = ""
        self.can_go_on = False
        self.heading = text_label(self, size=FontSize.LARGE_TITLE, weight=QFont.Weight.DemiBold)
        self.text = text_label(self, kind="secondary")
        self.column = self._scrolled_column() if scrolls else QVBoxLayout(self)
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

    def add_scrolled(self) -> tuple[QWidget, QVBoxLayout]:
        """Parts that scroll where they are higher than the page: what holds them, and their column."""
        content = QWidget(self)
        content.setObjectName("addModelContent")
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, Space.M, 0)
        column.setSpacing(Space.M)
        self.area = vertical_scroll(content, self)
        self.column.addWidget(self.area, 1)
        return content, column

    def reveal(self, part: QWidget) -> None:
        """Scroll to `part`, as soon as the layout has given it its place."""
        QTimer.singleShot(0, self, lambda: self.area.ensureWidgetVisible(part))

    def go_on(self) -> None:
        """The user has pressed the button that goes on."""
        self.went_on.emit()

    def focus(self) -> QWidget | None:
        """What takes the keyboard when the page comes on view; None is the button that goes on."""
        return None

    def _scrolled_column(self) -> QVBoxLayout:
        content = QWidget(self)
        content.setObjectName("addModelContent")
        column = QVBoxLayout(content)
        self.area = vertical_scroll(content, self)
        around = QVBoxLayout(self)
        around.setContentsMargins(0, 0, 0, 0)
        around.addWidget(self.area)
        return column


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


class LinkButton(QPushButton):
    """A button that looks like a link; where it has too little room, something in its middle is left out."""

    def __init__(self, parent: QWidget, text: str = "") -> None:
        super().__init__(text, parent)
        self.setObjectName("addModelLink")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, super().minimumSizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        option = QStyleOptionButton()
        self.initStyleOption(option)
        if self.width() < self.sizeHint().width():
            room = self.width() - 2 * _LINK_BORDER
            option.text = self.fontMetrics().elidedText(option.text, Qt.TextElideMode.ElideMiddle, room)
        painter = QStylePainter(self)
        painter.drawControl(QStyle.ControlElement.CE_PushButton, option)
        painter.end()
