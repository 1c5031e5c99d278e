"""A selection drawn with the mouse over the rows of one message; beyond the edge of the view it scrolls."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QAbstractScrollArea

from hearth.ui.chat.bubble import Bubble
from hearth.ui.chat.code_block import CodeBlock
from hearth.ui.chat.row_places import Placed
from hearth.ui.chat.selection import SELECTABLE, Selection
from hearth.ui.chat.text_block import TextBlock


def drag_selection(
    selection: Selection, point: QPoint, area: QAbstractScrollArea, placed: Sequence[Placed]
) -> None:
    """The mouse was dragged to `point`, a place on the screen.

    Args:
        placed: the rows of the message that the selection lies in, as far as they are near; first to last.
    """
    item = selection.item
    if item is None:
        return
    local = area.viewport().mapFromGlobal(point)
    texts = [place for place in placed if item.rows[place.row].kind in SELECTABLE]
    if not texts:
        return
    target = next((place for place in texts if local.y() < place.y + place.height), texts[-1])
    widget = item.rows[target.row].widget
    if isinstance(widget, (TextBlock, CodeBlock, Bubble)):
        selection.extend(target.row, widget.position_at(widget.mapFromGlobal(point)))
    beyond = min(0, local.y()) + max(0, local.y() - area.viewport().height())
    bar = area.verticalScrollBar()
    bar.setValue(bar.value() + beyond // 2)
