"""The conversation on view: messages that stream, and what can be done with them."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QFocusEvent, QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QWidget

from hearth.conversations.message import Message
from hearth.i18n import tr
from hearth.ui.chat.bubble import Bubble
from hearth.ui.chat.code_block import CodeBlock
from hearth.ui.chat.drag_selection import drag_selection
from hearth.ui.chat.footer import Footer
from hearth.ui.chat.lines import FailedLine
from hearth.ui.chat.message_editor import MessageEditor
from hearth.ui.chat.message_item import MessageItem, Row, RowKind
from hearth.ui.chat.message_menu import message_menu
from hearth.ui.chat.row_area import RowArea
from hearth.ui.chat.row_places import BETWEEN
from hearth.ui.chat.row_widgets import RowWidget, tab_stops
from hearth.ui.chat.scroll_keys import scrolled_to
from hearth.ui.chat.selection import Selection
from hearth.ui.chat.tab_order import Stop, TabOrder
from hearth.ui.chat.text_block import TextBlock
from hearth.ui.chat.update_pace import UpdatePace


class ChatView(RowArea):
    """Shows a branch of a conversation and lets its end follow the stream.

    Signals:
        regenerate_requested, retry_requested: id of the answer.
        edit_requested: id of the user's message, and its new text.
        edit_closed: an editor was sent or cancelled.
        version_requested: id of the message, -1 or 1.
        copy_requested: Markdown that was put on the clipboard.
        link_activated: address of the link that was clicked.
    """

    regenerate_requested = Signal(str)
    retry_requested = Signal(str)
    edit_requested = Signal(str, str)
    edit_closed = Signal()
    version_requested = Signal(str, int)
    copy_requested = Signal(str)
    link_activated = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._selection = Selection()
        self._tab_order = TabOrder(self, self._stops)
        self._hovered: MessageItem | None = None
        self._dirty: set[str] = set()  # messages with text that is not on view yet
        self._pace = UpdatePace(self, self._show_streamed)
        self.setAccessibleName(tr("Conversation"))

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
        self._pace.ask()

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

    def message_ids(self) -> list[str]:
        """The messages on view, first to last."""
        return [item.message.id for item in self._items]

    def _item(self, message_id: str) -> MessageItem | None:
        index = self._by_id.get(message_id)
        return self._items[index] if index is not None else None

    def flush(self) -> None:
        """Show what streamed and is not on view yet."""
        self._pace.update_now()

    def _show_streamed(self) -> None:
        for message_id in self._dirty:
            item = self._item(message_id)
            if item is not None:
                self._refresh(item)
        self._dirty.clear()
        self._layout()

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
            self.edit_closed.emit()

    def _on_bound(self, item: MessageItem, row: Row) -> None:
        if isinstance(row.widget, Footer):
            row.widget.set_shown(self._wants_actions(item))
        if self._selection.item is item:
            self._selection.show_in(item.rows.index(row), row)

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
        if item is not None:
            index = self._by_id[item.message.id]
            drag_selection(self._selection, point, self, [row for row in self._placed if row.item == index])

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
        if event.matches(QKeySequence.StandardKey.Copy):
            text = self._selection.text()
            if text:
                self._copy(text)
        elif event.matches(QKeySequence.StandardKey.SelectAll):
            item = self._selection.item or self._hovered or (self._items[-1] if self._items else None)
            if item is not None:
                self._selection.select_all(item)
        elif event.key() == Qt.Key.Key_End:
            self.scroll_to_end()
        elif (place := scrolled_to(event.key(), self.verticalScrollBar())) is not None:
            self.verticalScrollBar().setValue(place)
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
