"""The welcome in the window: two pages, with Continue and Back; Enter goes on, Escape goes back."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from hearth.i18n import tr
from hearth.ui.theme import Space
from hearth.ui.vertical_scroll import vertical_scroll
from hearth.ui.welcome.machine_page import MachinePage
from hearth.ui.welcome.page import WelcomePage
from hearth.ui.welcome.privacy_page import PrivacyPage

_WIDEST = 600


class Welcome(QWidget):
    """Two pages over a foot with the buttons.

    Attributes:
        privacy, machine: the pages.

    Signals:
        language_chosen: the code of another language than the one in force.
        finished: the user has read it, or does not want to.
    """

    language_chosen = Signal(str)
    finished = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("welcome")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.privacy = PrivacyPage()
        self.privacy.language_chosen.connect(self.language_chosen)
        self.machine = MachinePage()
        self._pages = QStackedWidget(self)
        self._areas = [_scrolling(page) for page in (self.privacy, self.machine)]
        for area in self._areas:
            self._pages.addWidget(area)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._pages, 1)
        layout.addWidget(self._build_foot())
        self.show_page(0)

    def page(self) -> int:
        """The page on view, from 0."""
        return self._pages.currentIndex()

    def show_page(self, page: int) -> None:
        """Turn to that page, from 0."""
        self._pages.setCurrentIndex(page)
        count = self._pages.count()
        self._place.setText(tr("{page} of {count}", page=page + 1, count=count))
        self.back.setVisible(page > 0)
        self.next.setText(tr("Continue") if page + 1 < count else tr("Start Chatting"))
        self.focus()

    def focus(self) -> None:
        """Put the keyboard on the button that goes on."""
        self.next.setFocus(Qt.FocusReason.OtherFocusReason)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            others = (self.back, self.machine.find_button)
            next((button for button in others if button.hasFocus()), self.next).click()
        elif event.key() == Qt.Key.Key_Escape:
            self._on_back()
        elif event.key() in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
            QCoreApplication.sendEvent(self._areas[self.page()].verticalScrollBar(), event)
        else:
            super().keyPressEvent(event)

    def _build_foot(self) -> QWidget:
        foot = QFrame(self)
        foot.setObjectName("welcomeFoot")
        self.back = QPushButton(tr("Back"), foot)
        self.back.clicked.connect(self._on_back)
        self._place = QLabel(foot)
        self._place.setProperty("kind", "faint")
        self.next = QPushButton(foot)
        self.next.setProperty("kind", "primary")
        self.next.clicked.connect(self._on_next)
        row = QHBoxLayout()
        row.setSpacing(Space.M)
        row.addWidget(self._place, 1)
        row.addWidget(self.back)
        row.addWidget(self.next)
        _centred(foot, row)
        return foot

    @Slot()
    def _on_next(self) -> None:
        if self.page() + 1 < self._pages.count():
            self.show_page(self.page() + 1)
        else:
            self.finished.emit()

    @Slot()
    def _on_back(self) -> None:
        if self.page() > 0:
            self.show_page(self.page() - 1)
        else:
            self.finished.emit()


def _scrolling(page: WelcomePage) -> QScrollArea:
    """The page in the middle of the window, scrolled where the window is too low for it."""
    content = QWidget()
    content.setObjectName("welcomeContent")
    row = QHBoxLayout()
    row.addWidget(page)
    _centred(content, row)
    return vertical_scroll(content)


def _centred(widget: QWidget, row: QHBoxLayout) -> None:
    """Lay `row` into `widget`, in the middle and no wider than a column of text."""
    column = QWidget(widget)
    column.setLayout(row)
    column.setMaximumWidth(_WIDEST)
    column.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    row.setContentsMargins(0, 0, 0, 0)
    layout = QHBoxLayout(widget)
    layout.setContentsMargins(Space.XL, Space.M, Space.XL, Space.M)
    layout.addStretch(0)
    layout.addWidget(column, 1)
    layout.addStretch(0)
