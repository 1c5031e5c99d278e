"""The foot of the help window: the page before and the page after, in reading order."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QSizePolicy, QWidget

from hearth.help.page import HelpPage
from hearth.i18n import tr
from hearth.ui import theme

_AROUND = 64  # pixels of a button that its words cannot have: arrow, padding, distance


class Foot(QFrame):
    """Two buttons; each is there when its page is.

    Signals:
        chosen: the id of the page that the reader wants.
    """

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("helpFoot")
        self._pages: dict[QPushButton, HelpPage | None] = {}
        self.previous, self.next = self._button(), self._button()
        self.next.setLayoutDirection(Qt.LayoutDirection.RightToLeft)  # its arrow stands behind its words
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 6, 10, 6)
        layout.addWidget(self.previous)
        layout.addStretch(1)
        layout.addWidget(self.next)
        self._restyle()
        theme.theme().changed.connect(self._restyle)

    def show_neighbours(self, previous: HelpPage | None, next_: HelpPage | None) -> None:
        """Lead to these pages."""
        for button, page, name in (
            (self.previous, previous, tr("Previous page")),
            (self.next, next_, tr("Next page")),
        ):
            self._pages[button] = page
            button.setVisible(page is not None)
            button.setToolTip(name)
            button.setAccessibleName(f"{name}: {page.title}" if page else name)
        self._fit()

    def _button(self) -> QPushButton:
        button = QPushButton(self)
        button.setProperty("kind", "quiet")
        button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        button.clicked.connect(lambda: self._on_clicked(button))
        return button

    def _on_clicked(self, button: QPushButton) -> None:
        page = self._pages.get(button)
        if page:
            self.chosen.emit(page.id)

    def _fit(self) -> None:
        """Shorten titles that half the width cannot hold."""
        room = max(0, self.width() // 2 - _AROUND)
        for button, page in self._pages.items():
            title = page.title if page else ""
            short = button.fontMetrics().elidedText(title, Qt.TextElideMode.ElideRight, room)
            button.setText(short.replace("&", "&&"))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    @Slot()
    def _restyle(self) -> None:
        self.previous.setIcon(theme.icon("chevron-left"))
        self.next.setIcon(theme.icon("chevron-right"))
