"""The widgets of rows: made, handed out, taken back and used again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtWidgets import QWidget

from hearth.ui.chat.bubble import Bubble
from hearth.ui.chat.chat_style import ChatStyle
from hearth.ui.chat.code_block import CodeBlock
from hearth.ui.chat.footer import Footer
from hearth.ui.chat.lines import FailedLine, QuietLine, Rule
from hearth.ui.chat.message_editor import MessageEditor
from hearth.ui.chat.message_item import MessageItem, Row, RowKind
from hearth.ui.chat.text_block import TextBlock

RowWidget = TextBlock | CodeBlock | Bubble | Footer | QuietLine | FailedLine | Rule | MessageEditor

_CLASSES: Final[dict[RowKind, type[RowWidget]]] = {
    RowKind.NOTICE: QuietLine,
    RowKind.PROGRESS: QuietLine,
    RowKind.BUBBLE: Bubble,
    RowKind.EDITOR: MessageEditor,
    RowKind.TEXT: TextBlock,
    RowKind.CODE: CodeBlock,
    RowKind.RULE: Rule,
    RowKind.FAILED: FailedLine,
    RowKind.FOOTER: Footer,
}
_IDLE: Final = 48  # widgets of a kind that are kept for use again


class RowWidgets:
    """Hands out the widget for a row.

    `connect` is called once for each widget that is made.
    """

    def __init__(self, parent: QWidget, connect: Callable[[RowWidget], None]) -> None:
        self._parent = parent
        self._connect = connect
        self._idle: dict[type[RowWidget], list[RowWidget]] = {}

    def take(self, row: Row, style: ChatStyle) -> RowWidget:
        """A widget for `row`; what it shows is set by `bind_row`."""
        cls = _CLASSES[row.kind]
        idle = self._idle.get(cls)
        widget = idle.pop() if idle else self._make(cls, style)
        row.widget = widget
        row.changed = True
        return widget

    def _make(self, cls: type[RowWidget], style: ChatStyle) -> RowWidget:
        widget = cls(style, self._parent)
        self._connect(widget)
        return widget

    def give_back(self, row: Row) -> None:
        """Take the widget of `row` out of view."""
        widget = row.widget
        row.widget = None
        if not isinstance(widget, RowWidget):
            return
        widget.hide()
        idle = self._idle.setdefault(type(widget), [])
        if isinstance(widget, MessageEditor) or len(idle) >= _IDLE:
            widget.deleteLater()
            return
        if isinstance(widget, CodeBlock):
            widget.clear()
        idle.append(widget)

    def drop_idle(self) -> None:
        """Delete the widgets that wait: the style changed."""
        for idle in self._idle.values():
            for widget in idle:
                widget.deleteLater()
        self._idle = {}


def bind_row(item: MessageItem, row: Row) -> None:
    """Let the widget of `row` show what the row says now."""
    widget = row.widget
    row.changed = False
    if isinstance(widget, TextBlock) and row.block is not None:
        widget.show_html(row.block.html)
    elif isinstance(widget, CodeBlock) and row.block is not None:
        widget.bind(row.block)
    elif isinstance(widget, Bubble):
        widget.bind(row.text, first=row.first, last=row.last)
    elif isinstance(widget, Footer):
        widget.bind(item.message)
    elif isinstance(widget, (QuietLine, FailedLine, MessageEditor)):
        widget.bind(row.text)


def tab_stops(row: Row) -> list[QWidget]:
    """The widgets of a row that Tab leads to, in their order."""
    widget = row.widget
    stops: list[QWidget] = []
    if isinstance(widget, TextBlock) and widget.has_links:
        stops = [widget]
    elif isinstance(widget, CodeBlock):
        stops = [widget.copy_button]
    elif isinstance(widget, Footer):
        stops = list(widget.buttons())
    elif isinstance(widget, FailedLine):
        stops = [widget.retry_button]
    elif isinstance(widget, MessageEditor):
        stops = [widget.edit, widget.cancel_button, widget.send_button]
    return [stop for stop in stops if stop.isEnabled() and not stop.isHidden()]
