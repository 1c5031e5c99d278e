"""A selection that reaches over several blocks of one message."""

from __future__ import annotations

from PySide6.QtGui import QTextCursor, QTextDocumentFragment
from PySide6.QtWidgets import QPlainTextEdit, QTextEdit, QWidget

from hearth.ui.chat.bubble import Bubble
from hearth.ui.chat.code_block import CodeBlock
from hearth.ui.chat.message_item import MessageItem, Row, RowKind
from hearth.ui.chat.text_block import TextBlock

Place = tuple[int, int]  # row of the message, position in the row's text
SELECTABLE = (RowKind.BUBBLE, RowKind.TEXT, RowKind.CODE)
_END = 1 << 30


class Selection:
    """What is selected, kept apart from the widgets, which come and go.

    Attributes:
        item: the message it lies in; None when nothing is selected.
    """

    def __init__(self) -> None:
        self.item: MessageItem | None = None
        self._anchor: Place = (0, 0)
        self._head: Place = (0, 0)

    def clear(self) -> None:
        if self.item is not None:
            for row in self.item.rows:
                if row.widget is not None:
                    _select(row.widget, 0, 0)
        self.item = None

    def start(self, item: MessageItem, row: int) -> None:
        """The mouse went down in a row, whose widget has placed its own cursor."""
        cursor = _cursor(item.rows[row].widget)
        if self.item is not None:
            for old in self.item.rows:
                if old.widget is not None and old is not item.rows[row]:
                    _select(old.widget, 0, 0)
        self.item = item
        self._anchor = (row, cursor.anchor() if cursor else 0)
        self._head = (row, cursor.position() if cursor else 0)

    def extend(self, row: int, position: int) -> None:
        """The mouse was dragged to a place in a row of the same message."""
        if self.item is None:
            return
        only_here = self._anchor[0] == self._head[0] == row
        self._head = (row, position)
        if only_here:  # the widget selects by itself, by words after a double click
            cursor = _cursor(self.item.rows[row].widget)
            if cursor is not None:
                self._head = (row, cursor.position())
            return
        self.show()

    def select_all(self, item: MessageItem) -> None:
        self.clear()
        self.item = item
        self._anchor, self._head = (0, 0), (len(item.rows), 0)
        self.show()

    def show(self) -> None:
        """Show it in the widgets that there are."""
        if self.item is not None:
            for index, row in enumerate(self.item.rows):
                if row.widget is not None:
                    self.show_in(index, row)

    def show_in(self, index: int, row: Row) -> None:
        if row.widget is not None and row.kind in SELECTABLE:
            _select(row.widget, *self._range(index))

    def text(self) -> str:
        """The selected text; rows out of view included."""
        if self.item is None:
            return ""
        first, last = sorted((self._anchor[0], self._head[0]))
        pieces: list[str] = []
        for index in range(first, min(last + 1, len(self.item.rows))):
            row = self.item.rows[index]
            if row.kind in SELECTABLE:
                start, end = self._range(index)
                cursor = _cursor(row.widget)
                if cursor is not None and index in (self._anchor[0], self._head[0]):
                    pieces.append(cursor.selection().toPlainText())
                else:
                    pieces.append(_plain(row)[start:end])
        return "\n\n".join(piece for piece in pieces if piece)

    def _range(self, index: int) -> tuple[int, int]:
        """Start and end of the selection in a row, `_END` meaning its end."""
        low, high = sorted((self._anchor, self._head))
        if not low[0] <= index <= high[0]:
            return 0, 0
        return (low[1] if index == low[0] else 0), (high[1] if index == high[0] else _END)


def _text_widget(widget: QWidget | None) -> QPlainTextEdit | QTextEdit | None:
    if isinstance(widget, CodeBlock):
        return widget.lines
    if isinstance(widget, Bubble):
        return widget.text_block
    return widget if isinstance(widget, TextBlock) else None


def _cursor(widget: QWidget | None) -> QTextCursor | None:
    field = _text_widget(widget)
    return field.textCursor() if field is not None else None


def _select(widget: QWidget, start: int, end: int) -> None:
    field = _text_widget(widget)
    if field is None:
        return
    cursor = field.textCursor()
    if start == end and not cursor.hasSelection():
        return
    length = field.document().characterCount() - 1
    cursor.setPosition(min(start, length))
    cursor.setPosition(min(end, length), QTextCursor.MoveMode.KeepAnchor)
    field.setTextCursor(cursor)


def _plain(row: Row) -> str:
    if row.block is None:
        return row.text
    if row.kind is RowKind.CODE:
        return row.block.code
    return QTextDocumentFragment.fromHtml(row.block.html).toPlainText()
