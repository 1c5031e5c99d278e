"""An area of rows of messages that scrolls: any number of them, with widgets only for what is near the viewport."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QFrame, QToolButton, QWidget

from hearth.i18n import tr
from hearth.ui.chat.chat_style import ChatStyle
from hearth.ui.chat.code_block import CodeBlock
from hearth.ui.chat.heights import Heights
from hearth.ui.chat.message_editor import MessageEditor
from hearth.ui.chat.message_item import MessageItem, Row, RowKind
from hearth.ui.chat.row_places import AROUND, BETWEEN, TOP, Anchor, Placed, RowPlaces
from hearth.ui.chat.row_widgets import RowWidget, RowWidgets, bind_row
from hearth.ui.theme import Space, colour, icon, theme


class RowArea(QAbstractScrollArea):
    """Shows messages as rows below each other, and may stay at the end while they grow.

    Heights of what was never near are estimates; while they become exact, what the reader looks at stays in its
    place. What the rows mean is for a class below, which fills `_items`, `_by_id` and `_heights`.

    Attributes:
        following: whether the area stays at the end while it grows.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.following = True
        self._style = ChatStyle()
        self._items: list[MessageItem] = []
        self._by_id: dict[str, int] = {}  # where the message of an id stands
        self._heights = Heights()
        self._anchor: Anchor | None = None
        self._placed: list[Placed] = []
        self._places = RowPlaces(self._items, self._open, self._measure)
        self._owners: dict[QWidget, tuple[MessageItem, Row]] = {}
        self._widgets = RowWidgets(self.viewport(), self._connect)
        self._laying_out = False
        self._measured_for = (0, 0.0)  # the width and the scale of the text
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.verticalScrollBar().setSingleStep(24)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._jump = QToolButton(self)
        self._jump.setFixedSize(36, 36)
        self._jump.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the End key does the same
        self._jump.setAccessibleName(tr("Jump to the end"))
        self._jump.setToolTip(tr("Jump to the end (End)"))
        self._jump.clicked.connect(self.scroll_to_end)
        self._jump.hide()
        theme().changed.connect(self._restyle)
        self._paint_ground()

    # For the class below, which says what they do: Qt's metaclass allows no abstract methods

    def _connect(self, widget: RowWidget) -> None:
        """A widget was made, which will show one row after another."""
        raise NotImplementedError

    def _on_bound(self, item: MessageItem, row: Row) -> None:
        """The widget of a row shows something else than before."""
        raise NotImplementedError

    # Where the reader is

    def scroll_to_end(self) -> None:
        """Go to the end and follow it."""
        self.following = True
        self._layout()

    def reading_place(self) -> Anchor | None:
        """Where the reader is, for `go_to`; None at the end, which is followed."""
        return None if self.following else self._anchor

    def go_to(self, place: Anchor) -> None:
        """Go back to a place in the same conversation."""
        if place[0] < len(self._items):
            self.following = False
            self._anchor = place
            self._layout()

    def _show_item(self, index: int) -> None:
        """Bring the start of a message into view if it is not."""
        if any(
            place.item == index and 0 <= place.y < self.viewport().height() - 80 for place in self._placed
        ):
            return
        self.following = False
        self._anchor = (index, 0, TOP)
        self._layout()

    # Rows

    def _refresh(self, item: MessageItem) -> None:
        """Bring the rows of a message up to date, if it has any."""
        if not item.rows:
            return
        item.refresh(self._style, self._column()[1])
        self._take_back(item)
        self._heights[self._by_id[item.message.id]] = item.heights.total + BETWEEN

    def _take_back(self, item: MessageItem) -> None:
        for row in item.dropped:
            self._release(row)
        item.dropped.clear()

    def _close(self, item: MessageItem) -> None:
        for row in item.rows:
            self._release(row)

    def _release(self, row: Row) -> None:
        if row.widget is not None:
            self._owners.pop(row.widget, None)
            if row.widget.isAncestorOf(QApplication.focusWidget() or row.widget.window()):
                self.setFocus(Qt.FocusReason.OtherFocusReason)
            self._widgets.give_back(row)

    def _widget(self, item: MessageItem, row: Row) -> RowWidget:
        """The widget of a row, showing what it should."""
        widget = row.widget
        if not isinstance(widget, RowWidget):
            widget = self._widgets.take(row, self._style)
            self._owners[widget] = (item, row)
        if row.changed:
            bind_row(item, row)
            self._on_bound(item, row)
        return widget

    # Places

    def _column(self) -> tuple[int, int]:
        """Left edge and width of the column of text."""
        width = max(120, min(Space.COLUMN, self.viewport().width() - 2 * Space.XL))
        return (self.viewport().width() - width) // 2, width

    def _layout(self) -> None:
        """Place the rows in and around the viewport; measure those that come near for the first time."""
        if self._laying_out:
            return
        self._laying_out = True
        try:
            self._placed = self._places.find(
                self.viewport().height(), None if self.following else self._anchor
            )
            self._put_widgets()
            self._set_scroll_bar()
        finally:
            self._laying_out = False

    def _open(self, index: int) -> None:
        item = self._items[index]
        if not item.rows:
            item.open(self._style, self._column()[1])
            self._heights[index] = item.heights.total + BETWEEN

    def _measure(self, index: int, place: int) -> int:
        """The height of a row, exact: its widget is made if it has to be."""
        item = self._items[index]
        row = item.rows[place]
        if not row.measured or row.changed:
            widget = self._widget(item, row)
            height = row.gap + widget.height_for(self._column()[1])
            row.measured = True
            if height != item.heights[place]:
                item.heights[place] = height
                self._heights[index] = item.heights.total + BETWEEN
        return item.heights[place]

    def _put_widgets(self) -> None:
        left, width = self._column()
        bottom = self.viewport().height()
        near: set[QWidget] = set()
        for place in self._placed:
            item = self._items[place.item]
            row = item.rows[place.row]
            fresh = row.widget is None
            widget = self._widget(item, row)
            if fresh:
                widget.height_for(width)
            near.add(widget)
            y = place.y + row.gap
            widget.setGeometry(left, y, width, place.height - row.gap)
            if isinstance(widget, CodeBlock):
                widget.set_slice(max(0, -y - AROUND), max(0, bottom - y + AROUND))
            widget.show()
        focus = QApplication.focusWidget()
        for known in [known for known in self._owners if known not in near]:
            row = self._owners[known][1]
            if row.kind is RowKind.EDITOR or (focus is not None and known.isAncestorOf(focus)):
                known.move(left, -10_000 - known.height())
            else:
                self._release(row)

    def _set_scroll_bar(self) -> None:
        bar = self.verticalScrollBar()
        height = self.viewport().height()
        total = TOP + self._heights.total if self._items else 0
        bar.setPageStep(height)
        bar.setRange(0, max(0, total - height))
        bar.setEnabled(bar.maximum() > 0)
        seen = next((place for place in self._placed if place.y + place.height > 0), None)
        if seen is not None:
            self._anchor = (seen.item, seen.row, seen.y)
            above = TOP + self._heights.start(seen.item) + self._items[seen.item].heights.start(seen.row)
            bar.setValue(bar.maximum() if self.following else above - seen.y)
        self._jump.setVisible(not self.following and bar.maximum() - bar.value() > 4)

    def scrollContentsBy(self, _dx: int, dy: int) -> None:
        if self._laying_out or not self._items:
            return
        bar = self.verticalScrollBar()
        self.following = bar.value() >= bar.maximum() - 2
        if self._anchor is not None and abs(dy) <= 2 * self.viewport().height():
            item, row, y = self._anchor
            self._anchor = (item, row, y + dy)
        else:
            self._anchor = self._look_up(bar.value())
        self._layout()

    def _look_up(self, value: int) -> Anchor:
        """The row at the upper edge when the scroll bar stands at `value`."""
        item = self._heights.at(value - TOP)
        self._open(item)
        y = TOP + self._heights.start(item) - value
        heights = self._items[item].heights
        row = heights.at(-y)
        return item, row, y + heights.start(row)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._jump.move(
            (self.width() - self._jump.width()) // 2, self.height() - self._jump.height() - Space.M
        )
        if event.oldSize().width() != event.size().width():
            self._forget_heights()
        self._layout()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._layout()

    def _forget_heights(self) -> None:
        """The column or the font changed: every height is an estimate again."""
        width = self._column()[1]
        if self._measured_for == (width, self._style.scale):
            return
        self._measured_for = (width, self._style.scale)
        for item in self._items:
            if item.rows:
                item.forget_heights(self._style, width)
        self._heights = Heights(
            (item.heights.total if item.rows else item.estimate(self._style, width)) + BETWEEN
            for item in self._items
        )

    # Style

    def set_font_scale(self, scale: float) -> None:
        """Show text at `scale` times its usual size."""
        self._style = ChatStyle(scale)
        self._restyle()

    def _restyle(self) -> None:
        self._style = ChatStyle(self._style.scale)
        for item in self._items:
            for row in item.rows:
                if isinstance(row.widget, MessageEditor):
                    row.text = row.widget.edit.text
                self._release(row)
        self._widgets.drop_idle()
        self._paint_ground()
        self._forget_heights()
        self._layout()

    def _paint_ground(self) -> None:
        self.viewport().update()
        colours = theme().colours
        self._jump.setIcon(icon("arrow-down", "text_secondary"))
        self._jump.setStyleSheet(
            f"QToolButton {{ background: {colours.surface}; border: 1px solid {colours.field_border};"
            f" border-radius: 18px; }} QToolButton:hover {{ background: {colours.hover}; }}"
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self.viewport()).fillRect(event.rect(), colour("window"))
