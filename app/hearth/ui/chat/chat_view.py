"""The conversation on view: any number of messages, with widgets only for what is near the viewport."""

from __future__ import annotations

from time import perf_counter

from PySide6.QtCore import QEvent, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFocusEvent,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QFrame, QToolButton, QWidget

from hearth.conversations.message import Message
from hearth.i18n import tr
from hearth.ui.chat.bubble import Bubble
from hearth.ui.chat.chat_style import ChatStyle
from hearth.ui.chat.code_block import CodeBlock
from hearth.ui.chat.footer import Footer
from hearth.ui.chat.heights import Heights
from hearth.ui.chat.lines import FailedLine
from hearth.ui.chat.message_editor import MessageEditor
from hearth.ui.chat.message_item import MessageItem, Row, RowKind
from hearth.ui.chat.message_menu import message_menu
from hearth.ui.chat.row_places import AROUND, BETWEEN, TOP, Anchor, Placed, RowPlaces
from hearth.ui.chat.row_widgets import RowWidget, RowWidgets, bind_row, tab_stops
from hearth.ui.chat.selection import SELECTABLE, Selection
from hearth.ui.chat.tab_order import Stop, TabOrder
from hearth.ui.chat.text_block import TextBlock
from hearth.ui.theme import Space, colour, icon, theme

COSTLY = 0.006  # seconds; after a dearer update the next one waits
PATIENCE = 3  # times what the update took


class ChatView(QAbstractScrollArea):
    """Shows a branch of a conversation and lets its end follow the stream.

    Heights of what was never near are estimates; while they become exact, what the reader looks at stays in its
    place.

    Attributes:
        following: whether the view stays at the end while it grows.

    Signals:
        regenerate_requested, retry_requested: id of the answer.
        edit_requested: id of the user's message, and its new text.
        version_requested: id of the message, -1 or 1.
        copy_requested: Markdown that was put on the clipboard.
        link_activated: address of the link that was clicked.
    """

    regenerate_requested = Signal(str)
    retry_requested = Signal(str)
    edit_requested = Signal(str, str)
    version_requested = Signal(str, int)
    copy_requested = Signal(str)
    link_activated = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.following = True
        self._style = ChatStyle()
        self._items: list[MessageItem] = []
        self._by_id: dict[str, int] = {}
        self._heights = Heights()
        self._anchor: Anchor | None = None
        self._placed: list[Placed] = []
        self._places = RowPlaces(self._items, self._open, self._measure)
        self._owners: dict[QWidget, tuple[MessageItem, Row]] = {}
        self._widgets = RowWidgets(self.viewport(), self._connect)
        self._selection = Selection()
        self._tab_order = TabOrder(self, self._stops)
        self._hovered: MessageItem | None = None
        self._laying_out = False
        self._dirty: set[str] = set()  # messages with text that is not on view yet
        self._not_before = 0.0
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self.flush)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.verticalScrollBar().setSingleStep(24)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Conversation"))
        self._jump = QToolButton(self)
        self._jump.setFixedSize(36, 36)
        self._jump.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the End key does the same
        self._jump.setAccessibleName(tr("Jump to the end"))
        self._jump.setToolTip(tr("Jump to the end (End)"))
        self._jump.clicked.connect(self.scroll_to_end)
        self._jump.hide()
        theme().changed.connect(self._restyle)
        self._paint_ground()

    # What is shown

    def set_messages(self, messages: list[Message]) -> None:
        """Show a branch; messages that stay keep their rows, and the reader keeps the place in them."""
        kept = 0
        for item, message in zip(self._items, messages, strict=False):
            if item.message.id != message.id:
                break
            kept += 1
        self._selection.clear()
        same = bool(kept) or (
            bool(self._items)
            and bool(messages)
            and (self._items[0].message.conversation_id == messages[0].conversation_id)
        )
        for item in self._items[kept:]:
            self._close(item)
        del self._items[kept:]
        self._heights.truncate(kept)
        self._hovered = None
        width = self._column()[1]
        for item, message in zip(self._items, messages, strict=False):
            if item.message != message:
                item.replace(message)
                self._refresh(item)
        for message in messages[kept:]:
            item = MessageItem(message)
            self._items.append(item)
            self._heights.append(item.estimate(self._style, width) + BETWEEN)
        self._by_id = {item.message.id: index for index, item in enumerate(self._items)}
        if not same or self._anchor is None:
            self.following = True
        elif self._anchor[0] >= len(self._items):
            self._anchor = None
            self.following = True
        elif self._anchor[0] >= kept:
            self._anchor = (self._anchor[0], 0, self._anchor[2])
        self._layout()

    def append_message(self, message: Message) -> None:
        """Add a message at the end."""
        item = MessageItem(message)
        self._by_id[message.id] = len(self._items)
        self._items.append(item)
        self._heights.append(item.estimate(self._style, self._column()[1]) + BETWEEN)
        if item.is_user:
            self.following = True
        if len(self._items) > 1:
            self._show_actions(self._items[-2])
        self._layout()

    def append_text(self, message_id: str, text: str) -> None:
        """Add to the end of an answer. Costs the same however long the answer and the conversation are."""
        item = self._item(message_id)
        if item is None:
            return
        item.append(text)
        self._dirty.add(message_id)
        if self._later.isActive():
            return
        wait = self._not_before - perf_counter()
        if wait <= 0:
            self.flush()
        else:
            self._later.start(int(wait * 1000) + 1)

    def set_prompt_progress(self, message_id: str, done: int, total: int) -> None:
        """Say how much of the prompt was read, in place of an answer that has not begun."""
        item = self._item(message_id)
        if item is not None:
            item.set_progress(done, total)
            self._refresh(item)
            self._layout()

    def replace_message(self, message: Message) -> None:
        """Show the final state of a message."""
        item = self._item(message.id)
        if item is not None:
            self._dirty.discard(message.id)
            item.replace(message)
            self._refresh(item)
            self._show_actions(item)
            self._layout()

    def set_notice(self, message_id: str, text: str) -> None:
        """Show a quiet line above a message; an empty text takes it away."""
        item = self._item(message_id)
        if item is not None:
            self._selection.clear()
            item.notice = text
            self._refresh(item)
            self._layout()

    def edit_message(self, message_id: str, text: str | None = None) -> None:
        """Open the editor in a user's message, with `text` where it is not to begin with the message."""
        item = self._item(message_id)
        if item is not None and item.is_user and not item.editing:
            self._set_editing(item, True, text)

    def edits(self) -> dict[str, str]:
        """What stands in the editors that are open, by the ids of their messages."""
        return {
            item.message.id: row.widget.edit.text if isinstance(row.widget, MessageEditor) else row.text
            for item in self._items
            for row in item.rows
            if row.kind is RowKind.EDITOR
        }

    def set_font_scale(self, scale: float) -> None:
        """Show text at `scale` times its usual size."""
        self._style = ChatStyle(scale)
        self._restyle()

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

    def message_ids(self) -> list[str]:
        """The messages on view, first to last."""
        return [item.message.id for item in self._items]

    def _item(self, message_id: str) -> MessageItem | None:
        index = self._by_id.get(message_id)
        return self._items[index] if index is not None else None

    def flush(self) -> None:
        """Show what streamed and is not on view yet."""
        self._later.stop()
        started = perf_counter()
        for message_id in self._dirty:
            item = self._item(message_id)
            if item is not None:
                self._refresh(item)
        self._dirty.clear()
        self._layout()
        cost = perf_counter() - started
        self._not_before = started + cost * (1 + PATIENCE) if cost > COSTLY else 0.0

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

    # Geometry

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

    def _widget(self, item: MessageItem, row: Row) -> RowWidget:
        """The widget of a row, showing what it should."""
        widget = row.widget
        fresh = not isinstance(widget, RowWidget)
        if not isinstance(widget, RowWidget):
            widget = self._widgets.take(row, self._style)
            self._owners[widget] = (item, row)
        if row.changed:
            bind_row(item, row)
            if isinstance(widget, Footer):
                widget.set_shown(self._wants_actions(item))
            if self._selection.item is item or fresh:
                self._show_selection(item, row)
        return widget

    def _show_selection(self, item: MessageItem, row: Row) -> None:
        if self._selection.item is item:
            self._selection.show_in(item.rows.index(row), row)

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
        if getattr(self, "_measured_for", None) == (width, self._style.scale):
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

    # Rows that speak

    def _connect(self, widget: RowWidget) -> None:
        widget.entered.connect(lambda: self._hover(widget))
        if isinstance(widget, TextBlock):
            widget.link_clicked.connect(self.link_activated)
            widget.pressed.connect(lambda: self._start_selection(widget))
            widget.dragged.connect(self._drag_selection)
            widget.left_by_key.connect(self.focusNextPrevChild)
        elif isinstance(widget, Bubble):
            widget.text_block.pressed.connect(lambda: self._start_selection(widget))
            widget.text_block.dragged.connect(self._drag_selection)
        elif isinstance(widget, CodeBlock):
            widget.lines.pressed.connect(lambda: self._start_selection(widget))
            widget.lines.dragged.connect(self._drag_selection)
        elif isinstance(widget, Footer):
            widget.focused.connect(lambda: self._hover(widget))
            widget.copy.connect(lambda: self._copy(self._owners[widget][0].source))
            widget.regenerate.connect(lambda: self.regenerate_requested.emit(self._id(widget)))
            widget.edit.connect(lambda: self._set_editing(self._owners[widget][0], True))
            widget.step.connect(lambda step: self.version_requested.emit(self._id(widget), step))
        elif isinstance(widget, FailedLine):
            widget.retry.connect(lambda: self.retry_requested.emit(self._id(widget)))
        elif isinstance(widget, MessageEditor):
            widget.sent.connect(lambda text: self._edited(widget, text))
            widget.cancelled.connect(lambda: self._set_editing(self._owners[widget][0], False))
            widget.resized.connect(lambda: self._editor_grew(widget))

    def _id(self, widget: QWidget) -> str:
        return self._owners[widget][0].message.id

    def _edited(self, widget: QWidget, text: str) -> None:
        item = self._owners[widget][0]
        self._set_editing(item, False)
        self.edit_requested.emit(item.message.id, text)

    def _editor_grew(self, widget: QWidget) -> None:
        owner = self._owners.get(widget)
        if owner is not None and not self._laying_out:
            owner[1].measured = False
            self._layout()

    def _set_editing(self, item: MessageItem, editing: bool, text: str | None = None) -> None:
        item.editing = editing
        index = self._by_id[item.message.id]
        self._open(index)
        self._refresh(item)
        if editing:
            editor = next(row for row in item.rows if row.kind is RowKind.EDITOR)
            if text is not None:
                editor.text = text
            self.following = False
            self._layout()
            self._show_item(index)
            if isinstance(editor.widget, MessageEditor):
                editor.widget.focus()
        else:
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

    def _hover(self, widget: QWidget) -> None:
        owner = self._owners.get(widget)
        item = owner[0] if owner is not None else None
        if item is not self._hovered:
            old, self._hovered = self._hovered, item
            for changed in (old, item):
                if changed is not None:
                    self._show_actions(changed)

    def _wants_actions(self, item: MessageItem) -> bool:
        return item is self._hovered or item is self._items[-1]

    def _show_actions(self, item: MessageItem) -> None:
        widget = item.rows[-1].widget if item.rows else None
        if isinstance(widget, Footer):
            widget.set_shown(self._wants_actions(item))

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Leave and self._hovered is not None:
            old, self._hovered = self._hovered, None
            self._show_actions(old)
        return super().viewportEvent(event)

    # Selection and copying

    def _start_selection(self, widget: QWidget) -> None:
        item, row = self._owners[widget]
        self._selection.start(item, item.rows.index(row))

    def _drag_selection(self, point: QPoint) -> None:
        item = self._selection.item
        if item is None:
            return
        local = self.viewport().mapFromGlobal(point)
        index = self._by_id[item.message.id]
        mine = [
            place for place in self._placed if place.item == index and item.rows[place.row].kind in SELECTABLE
        ]
        if not mine:
            return
        target = next((place for place in mine if local.y() < place.y + place.height), mine[-1])
        widget = item.rows[target.row].widget
        if isinstance(widget, (TextBlock, CodeBlock, Bubble)):
            self._selection.extend(target.row, widget.position_at(widget.mapFromGlobal(point)))
        if local.y() < 0 or local.y() > self.viewport().height():
            bar = self.verticalScrollBar()
            bar.setValue(
                bar.value() + (local.y() if local.y() < 0 else local.y() - self.viewport().height()) // 2
            )

    def _copy(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.copy_requested.emit(text)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        point = self.viewport().mapFromGlobal(event.globalPos())
        place = next((p for p in self._placed if p.y <= point.y() < p.y + p.height), None)
        if place is None:
            return
        item = self._items[place.item]
        widget = item.rows[place.row].widget
        link = (
            widget.anchorAt(widget.mapFromGlobal(event.globalPos())) if isinstance(widget, TextBlock) else ""
        )
        menu = message_menu(
            self,
            selected=self._selection.text(),
            link=link,
            source=item.source,
            copy=self._copy,
            select=lambda: self._selection.select_all(item),
        )
        menu.popup(event.globalPos())

    # Keyboard

    def keyPressEvent(self, event: QKeyEvent) -> None:
        bar = self.verticalScrollBar()
        if event.matches(QKeySequence.StandardKey.Copy):
            text = self._selection.text()
            if text:
                self._copy(text)
        elif event.matches(QKeySequence.StandardKey.SelectAll):
            item = self._selection.item or self._hovered or (self._items[-1] if self._items else None)
            if item is not None:
                self._selection.select_all(item)
        elif event.key() == Qt.Key.Key_Home:
            bar.setValue(bar.minimum())
        elif event.key() == Qt.Key.Key_End:
            self.scroll_to_end()
        elif event.key() in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
            step = bar.pageStep() - 2 * bar.singleStep()
            bar.setValue(bar.value() + (step if event.key() == Qt.Key.Key_PageDown else -step))
        elif event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            step = 2 * bar.singleStep()
            bar.setValue(bar.value() + (step if event.key() == Qt.Key.Key_Down else -step))
        else:
            event.ignore()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if event.reason() == Qt.FocusReason.BacktabFocusReason:
            self._tab_order.focus_last()

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab leads through the controls of the messages in their order, and then out of the view."""
        return self._tab_order.focus_next(forward=forward) or super().focusNextPrevChild(forward)

    def _stops(self) -> list[Stop]:
        return [
            (place.y, stop)
            for place in self._placed
            for stop in tab_stops(self._items[place.item].rows[place.row])
        ]
