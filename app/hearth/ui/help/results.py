"""What a search in the help has found: page, question, and some text with the words marked."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QPainter, QPalette, QTextDocument
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from hearth.help.search import HelpHit
from hearth.i18n import ntr, tr
from hearth.ui.help.rows import paint_row
from hearth.ui.theme import Space, colour

_HIT = int(Qt.ItemDataRole.UserRole)


class _HitDelegate(QStyledItemDelegate):
    """Paints a hit in as many lines as it takes."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        rect = option.rect.adjusted(0, 1, 0, -1)
        paint_row(painter, rect, option)
        document = self._document(option, index)
        painter.save()
        painter.translate(rect.left() + Space.S, rect.top() + Space.S)
        document.drawContents(painter, QRectF(0, 0, document.textWidth(), document.size().height()))
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        height = self._document(option, index).size().height()
        return QSize(100, round(height) + 2 * Space.S + 2)

    def _document(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QTextDocument:
        view = self.parent()
        width = option.rect.width()
        if isinstance(view, QAbstractItemView):  # with or without its scroll bar, rows are as high
            width = view.width() - view.verticalScrollBar().sizeHint().width()
        document = QTextDocument()
        document.setDocumentMargin(0)
        document.setDefaultFont(option.font)
        document.setHtml(hit_html(index.data(_HIT), option.palette))
        document.setTextWidth(width - 2 * Space.S)
        return document


def hit_html(hit: HelpHit, palette: QPalette) -> str:
    """A hit in rich text."""
    text, faint = palette.color(QPalette.ColorRole.Text).name(), colour("text_secondary").name()
    snippet, done = "", 0
    for start, end in hit.marks:
        marked = escape(hit.snippet[start:end])
        snippet += escape(hit.snippet[done:start]) + f'<b style="color: {text}">{marked}</b>'
        done = end
    snippet += escape(hit.snippet[done:])
    heading = escape(hit.section.heading if hit.section else hit.page.title)
    above = f'<div style="color: {faint}">{escape(hit.page.title)}</div>' if hit.section else ""
    return (
        f'{above}<div style="color: {text}; font-weight: 600">{heading}</div>'
        f'<div style="color: {faint}">{snippet}</div>'
    )


class Results(QWidget):
    """The hits, or what to do where there are none.

    Signals:
        chosen: the HelpHit that the reader wants to read.
        cleared: the reader has had enough of searching.
    """

    chosen = Signal(object)
    cleared = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.count = QLabel(self)
        self.count.setProperty("kind", "secondary")
        self.count.setContentsMargins(Space.S, 0, Space.S, 0)
        self.list = QListWidget(self)
        self.list.setObjectName("helpResults")
        self.list.setFrameShape(QFrame.Shape.NoFrame)
        self.list.setItemDelegate(_HitDelegate(self.list))
        self.list.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.list.setMouseTracking(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.list.itemClicked.connect(self._on_chosen)
        self.list.itemActivated.connect(self._on_chosen)
        self.nothing = QLabel(self)
        self.nothing.setTextFormat(Qt.TextFormat.PlainText)
        self.nothing.setProperty("kind", "title")
        self.advice = QLabel(self)
        self.advice.setProperty("kind", "secondary")
        for label in (self.nothing, self.advice):
            label.setWordWrap(True)
        self.clear_button = QPushButton(self)
        self.clear_button.clicked.connect(self.cleared)
        self._empty = QWidget(self)
        empty = QVBoxLayout(self._empty)
        empty.setContentsMargins(Space.S, Space.L, Space.S, 0)
        empty.addWidget(self.nothing)
        empty.addWidget(self.advice)
        empty.addWidget(self.clear_button, 0, Qt.AlignmentFlag.AlignLeft)
        empty.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.count)
        layout.addWidget(self.list, 1)
        layout.addWidget(self._empty, 1)

    def show_hits(self, words: str, hits: list[HelpHit]) -> None:
        """Show what was found for `words`; the first hit is the current one."""
        self.list.clear()
        for hit in hits:
            item = QListWidgetItem(self.list)
            item.setData(_HIT, hit)
            heading = hit.section.heading if hit.section else hit.page.title
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{heading} – {hit.snippet}")
        self.list.setCurrentRow(0)
        self.list.setAccessibleName(tr("Search results"))
        self.list.setVisible(bool(hits))
        self.count.setVisible(bool(hits))
        self._empty.setVisible(not hits)
        self.count.setText(ntr("{n} result", "{n} results", len(hits)))
        self.nothing.setText(tr("Nothing found for “{words}”.", words=words))
        self.advice.setText(tr("Try fewer or other words, or look through the contents."))
        self.clear_button.setText(tr("Show Contents"))

    def hits(self) -> list[HelpHit]:
        """The hits on view, the best first."""
        return [self.list.item(row).data(_HIT) for row in range(self.list.count())]

    def take_focus(self) -> None:
        """Take the keyboard, at the second hit where there is one: Enter in the field leads to the first."""
        if self.list.count():
            self.list.setCurrentRow(min(1, self.list.count() - 1))
            self.list.setFocus()

    @Slot(QListWidgetItem)
    def _on_chosen(self, item: QListWidgetItem) -> None:
        self.chosen.emit(item.data(_HIT))
