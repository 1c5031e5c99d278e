"""Hearth's help in a window of its own: contents, search, pages, and the way back."""

from __future__ import annotations

import logging

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal, Slot
from PySide6.QtGui import QCloseEvent, QKeyEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSplitter,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from hearth.help import HelpLibrary, read_help
from hearth.help.page import HelpPage
from hearth.help.search import HelpHit
from hearth.i18n import language, tr
from hearth.ui import theme
from hearth.ui.help import help_state
from hearth.ui.help.contents import Contents
from hearth.ui.help.foot import Foot
from hearth.ui.help.help_style import help_style
from hearth.ui.help.history import History, Place
from hearth.ui.help.page_view import START, PageView, Top
from hearth.ui.help.results import Results
from hearth.ui.screen_room import within_screen
from hearth.ui.tasks import Tasks
from hearth.ui.to_front import bring_to_front

_log = logging.getLogger(__name__)

_LEAST_SIZE = QSize(560, 400)


class HelpWindow(QWidget):
    """Works from the help's files alone: no services, no database, no open Hearth.

    Attributes:
        page: the page on view; None until the first one is.

    Signals:
        link_activated: the address of a link that leads out of the help; whoever shows the window asks and opens it.
        page_shown: another page came on view, or another place in it.
    """

    link_activated = Signal(str)
    page_shown = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setObjectName("helpWindow")
        self.page: HelpPage | None = None
        self._library: HelpLibrary | None = None
        self._wanted: tuple[str, str] | None = None  # page and section, while the help is being read
        self._history = History()
        self._tasks = Tasks(self)
        self.destroyed.connect(
            self._tasks.close
        )  # while it still is: a job that ends later would find nobody
        self._build()
        self._connect()
        self._restyle()
        theme.theme().changed.connect(self._restyle)
        self._last_page = help_state.restore(self, self.splitter)
        self.setMinimumSize(within_screen(self, _LEAST_SIZE))
        self.retranslate()

    # Building

    def _build(self) -> None:
        self.splitter = QSplitter(Qt.Orientation.Horizontal, self)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setHandleWidth(1)
        self.splitter.addWidget(self._build_sidebar())
        self.splitter.addWidget(self._build_right())
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setSizes([280, 720])
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.splitter)

    def _build_sidebar(self) -> QWidget:
        sidebar = QFrame(self)
        sidebar.setObjectName("helpSidebar")
        sidebar.setMinimumWidth(200)
        self.search_field = QLineEdit(sidebar)
        self.search_field.setObjectName("helpSearch")
        self.search_field.setClearButtonEnabled(True)
        self.search_field.installEventFilter(self)
        self.contents, self.results = Contents(sidebar), Results(sidebar)
        self.left = QStackedWidget(sidebar)
        self.left.addWidget(self.contents)
        self.left.addWidget(self.results)
        layout = QVBoxLayout(sidebar)
        layout.setContentsMargins(10, 10, 10, 0)
        layout.setSpacing(theme.Space.S)
        layout.addWidget(self.search_field)
        layout.addWidget(self.left, 1)
        return sidebar

    def _build_right(self) -> QWidget:
        right = QWidget(self)
        bar = QFrame(right)
        bar.setObjectName("helpBar")
        self.back_button, self.forward_button = QToolButton(bar), QToolButton(bar)
        self.group_label = QLabel(bar)
        self.group_label.setProperty("kind", "secondary")
        top = QHBoxLayout(bar)
        top.setContentsMargins(10, 8, 10, 8)
        top.setSpacing(theme.Space.XS)
        top.addWidget(self.back_button)
        top.addWidget(self.forward_button)
        top.addSpacing(theme.Space.S)
        top.addWidget(self.group_label, 1)
        self.view, self.foot = PageView(right), Foot(right)
        layout = QVBoxLayout(right)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(bar)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.foot)
        return right

    def _connect(self) -> None:
        self.back_button.clicked.connect(self.go_back)
        self.forward_button.clicked.connect(self.go_forward)
        self.search_field.textChanged.connect(self._on_search)
        self.search_field.returnPressed.connect(self._on_return)
        self.contents.chosen.connect(self._go)
        self.results.chosen.connect(self._on_hit)
        self.results.cleared.connect(self._clear_search)
        self.view.page_wanted.connect(self._on_link)
        self.view.link_activated.connect(self.link_activated)
        self.foot.chosen.connect(self._go)
        for keys, act in (
            ("Ctrl+F", self._on_find),
            ("Alt+Left", self.go_back),
            ("Alt+Right", self.go_forward),
            ("Ctrl+W", self.close),
            ("Esc", self._on_escape),
        ):
            QShortcut(QKeySequence(keys), self, act)

    # What others ask for

    def show_page(self, page_id: str | None, section: str | None = None) -> None:
        """Bring the window to the front with a page; None: the page that was read last.

        Args:
            section: the heading, or its anchor, to begin at.
        """
        bring_to_front(self)
        if self._library is None:
            self._wanted = (page_id or "", section or "")
        else:
            self._go_wanted(page_id or "", section or "")

    def set_font_scale(self, scale: float) -> None:
        """The size of the page's text, one of `window_state.FONT_SCALES`."""
        self.view.set_font_scale(scale)

    def retranslate(self) -> None:
        """Read the help in the language in force, and show the same page of it."""
        self.setWindowTitle(tr("Hearth Help"))
        self.search_field.setPlaceholderText(tr("Search help"))
        self.search_field.setAccessibleName(tr("Search help"))
        for button, name, key in (
            (self.back_button, tr("Back"), "Alt+Left"),
            (self.forward_button, tr("Forward"), "Alt+Right"),
        ):
            button.setAccessibleName(name)
            keys = QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)
            button.setToolTip(tr("{text} ({detail})", text=name, detail=keys))
        spoken = language()
        self._tasks.run(lambda: read_help(spoken), owner=self, view="library").success(self._on_library)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self.retranslate()

    def _on_library(self, library: HelpLibrary) -> None:
        self._library = library
        self.contents.show_library(library)
        if self.page:
            self._show(self.page.id, top=self.view.top())
        else:
            self._go_wanted(*(self._wanted or ("", "")))
        self._wanted = None
        self._on_search(self.search_field.text())

    # From page to page

    def _go_wanted(self, page_id: str, section: str) -> None:
        pages = self._library.pages if self._library else ()
        known = {page.id for page in pages}
        if page_id and page_id not in known:
            _log.error("the help has no page %r", page_id)
        fallback = self.page.id if self.page else self._last_page
        for wanted in (page_id, fallback, *(page.id for page in pages[:1])):
            if wanted in known:
                self._go(wanted, section if wanted == page_id else "")
                return

    def _go(self, page_id: str, section: str = "") -> None:
        """Show a page or a section of it, and remember where the reader came from."""
        before = self._place()
        self._show(page_id, section)
        if before and before != self._place():
            self._history.leave(before)
        self._update()

    def _show(self, page_id: str, section: str = "", top: Top = START) -> None:
        if self._library is None:
            return
        page = self._library.page(page_id)
        found = page.section(section) if section else None
        if page is self.page and top == START:
            self.view.go_to(found.anchor if found else "")
        else:
            self.page = page
            self.view.show_page(page, found.anchor if found else "", top)
        self.contents.select(page_id)
        self._update()
        self.page_shown.emit()

    def _place(self) -> Place | None:
        return Place(self.page.id, self.view.top()) if self.page else None

    @Slot()
    def go_back(self) -> None:
        here = self._place()
        place = self._history.back(here) if here else None
        if place:
            self._show(place.page_id, top=place.top)

    @Slot()
    def go_forward(self) -> None:
        here = self._place()
        place = self._history.forward(here) if here else None
        if place:
            self._show(place.page_id, top=place.top)

    @Slot(str, str)
    def _on_link(self, page_id: str, anchor: str) -> None:
        here = self.page.id if self.page else ""
        self._go_wanted(page_id or here, anchor)

    def _update(self) -> None:
        self.back_button.setEnabled(self._history.can_go_back())
        self.forward_button.setEnabled(self._history.can_go_forward())
        if self._library is None or self.page is None:
            return
        groups = [group.title for group in self._library.groups if self.page in group.pages]
        self.group_label.setText("".join(groups))
        pages = (None, *self._library.pages, None)
        place = pages.index(self.page)
        self.foot.show_neighbours(pages[place - 1], pages[place + 1])

    # Searching

    @Slot(str)
    def _on_search(self, words: str) -> None:
        if words.strip() and self._library is not None:
            self.results.show_hits(words.strip(), self._library.search(words))
            self.left.setCurrentWidget(self.results)
        elif not words.strip():
            self.left.setCurrentWidget(self.contents)

    @Slot()
    def _on_return(self) -> None:
        hits = self.results.hits()
        if hits and self.left.currentWidget() is self.results:
            self._on_hit(hits[0])

    @Slot(object)
    def _on_hit(self, hit: HelpHit) -> None:
        self._go(hit.page.id, hit.section.heading if hit.section else "")

    @Slot()
    def _clear_search(self) -> None:
        self.search_field.clear()
        self.search_field.setFocus()

    @Slot()
    def _on_find(self) -> None:
        self.search_field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search_field.selectAll()

    @Slot()
    def _on_escape(self) -> None:
        if self.search_field.text():
            self._clear_search()
        else:
            self.close()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Down leads from the search field into the hits."""
        down = isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Down
        if down and watched is self.search_field and event.type() == QEvent.Type.KeyPress:
            if self.left.currentWidget() is self.results:
                self.results.take_focus()
            else:
                self.contents.setFocus()
            return True
        return super().eventFilter(watched, event)

    # Looks, and the end

    @Slot()
    def _restyle(self) -> None:
        self.setStyleSheet(help_style(theme.theme().colours))
        for button, name in (
            (self.back_button, "chevron-left"),
            (self.forward_button, "chevron-right"),
        ):
            button.setIcon(theme.icon(name))

    def closeEvent(self, event: QCloseEvent) -> None:
        help_state.save(self, self.splitter, self.page.id if self.page else self._last_page)
        super().closeEvent(event)
