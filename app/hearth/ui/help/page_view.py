"""The help page on view: rich text in a column, with links inside the help."""

from __future__ import annotations

from math import ceil
from typing import Final
from urllib.parse import unquote

from PySide6.QtCore import Qt, QUrl, Signal, Slot
from PySide6.QtGui import QContextMenuEvent, QKeySequence, QResizeEvent, QTextCursor
from PySide6.QtWidgets import QFrame, QMenu, QTextBrowser, QWidget

from hearth.help.page import HelpPage
from hearth.i18n import tr
from hearth.ui.chat.chat_style import ChatStyle
from hearth.ui.help.page_html import CSS, internal_target, page_html
from hearth.ui.theme import Space, theme

Top = tuple[int, int]
"""What is at the top of the view: a position in the text, and how many pixels below the edge its line begins."""

START: Final = (0, 0)


class PageView(QTextBrowser):
    """Shows one page, and keeps what stands at the top there when sizes and colours change.

    Signals:
        page_wanted: page and anchor of a link that was clicked, each perhaps empty.
        link_activated: the address of a link that leads out of the help.
    """

    page_wanted = Signal(str, str)
    link_activated = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._page: HelpPage | None = None
        self._scale = 1.0
        self._top = START
        self._placing = False
        self.setObjectName("helpPage")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setOpenLinks(False)
        self.setOpenExternalLinks(False)
        self.setUndoRedoEnabled(False)
        self.setVerticalScrollBarPolicy(
            Qt.ScrollBarPolicy.ScrollBarAlwaysOn
        )  # one that comes and goes moves the text
        self.document().setDocumentMargin(0)
        self.document().setIndentWidth(24)
        self.anchorClicked.connect(self._on_link)
        self.verticalScrollBar().valueChanged.connect(self._on_scrolled)
        theme().changed.connect(self._render)

    def show_page(self, page: HelpPage, anchor: str = "", top: Top = START) -> None:
        """Show a page from its beginning, or from that anchor or that place in its text."""
        self._page = page
        self._top = top
        self._render()
        if anchor:
            self.go_to(anchor)

    def go_to(self, anchor: str) -> None:
        """Put a section at the top; without an anchor the beginning of the page."""
        position = self._position_of(anchor)
        self._top = (position, Space.M) if position else START
        self._place()

    def set_font_scale(self, scale: float) -> None:
        if scale != self._scale:
            self._scale = scale
            self._render()

    def top(self) -> Top:
        """What is at the top, for `show_page` to come back to."""
        return self._top

    @Slot()
    def _render(self) -> None:
        style = ChatStyle(self._scale)
        if self._page is None:
            return
        self._placing = True  # a new text scrolls to its beginning, which is not what the reader did
        document = self.document()
        document.setDefaultFont(style.body)
        document.setDefaultStyleSheet(style.css + CSS)
        self.setHtml(page_html(self._page))
        self.setAccessibleName(self._page.title)
        self._placing = False
        self._place()

    def _place(self) -> None:
        """Scroll to where the reader is."""
        self._placing = True
        bar = self.verticalScrollBar()
        # Qt lays a new text out later, and until then the scroll bar does not know how long it is.
        bar.setMaximum(max(0, ceil(self.document().size().height()) - self.viewport().height()))
        cursor = QTextCursor(self.document())
        position, below = self._top
        cursor.setPosition(min(position, self.document().characterCount() - 1))
        bar.setValue(bar.value() + self.cursorRect(cursor).top() - below if position else 0)
        self._placing = False

    def _position_of(self, anchor: str) -> int:
        block = self.document().begin()
        while anchor and block.isValid():
            fragments = block.begin()
            while not fragments.atEnd():
                if anchor in fragments.fragment().charFormat().anchorNames():
                    return block.position()
                fragments += 1
            block = block.next()
        return 0

    @Slot()
    def _on_scrolled(self) -> None:
        if not self._placing:
            first = self.cursorForPosition(self.viewport().rect().topLeft())
            at_start = self.verticalScrollBar().value() == 0
            self._top = START if at_start else (first.position(), self.cursorRect(first).top())

    @Slot(QUrl)
    def _on_link(self, url: QUrl) -> None:
        target = internal_target(unquote(url.toString()))
        if target is None:
            self.link_activated.emit(url.toString())
        else:
            self.page_wanted.emit(*target)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep lines short enough to read."""
        placing, self._placing = self._placing, True
        room = self.width() - self.verticalScrollBar().sizeHint().width()
        side = max(Space.XL, (room - round(Space.COLUMN * self._scale)) // 2)
        self.setViewportMargins(side, Space.XL, side, 0)
        super().resizeEvent(event)
        self._placing = placing
        if not placing:
            self._place()

    def loadResource(self, _kind: int, _name: QUrl | str) -> object:
        """A help page has no pictures, and nothing is fetched."""
        return None

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        copy = menu.addAction(tr("Copy"), self.copy)
        copy.setShortcut(QKeySequence(QKeySequence.StandardKey.Copy))
        copy.setEnabled(self.textCursor().hasSelection())
        every = menu.addAction(tr("Select all"), self.selectAll)
        every.setShortcut(QKeySequence(QKeySequence.StandardKey.SelectAll))
        menu.popup(event.globalPos())
