"""Tab through the controls of the messages in their order, also of those that have no widgets before they are near."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QWidget

from hearth.ui.chat.text_block import TextBlock
from hearth.ui.theme import Space

Stop = tuple[int, QWidget]
"""The upper edge of its row in the viewport, and what takes the focus."""

# Of a high control, what is brought into view; and how many half screens are looked through for the next one.
_SHOWN_HEIGHT, _MOST_STEPS = 60, 8


class TabOrder:
    """Of one scroll area.

    Args:
        stops: those that there are now, in their order.
    """

    def __init__(self, area: QAbstractScrollArea, stops: Callable[[], list[Stop]]) -> None:
        self._area = area
        self._stops = stops

    def focus_last(self) -> None:
        """Somebody came from behind the area."""
        if stops := self._stops():
            self._focus(stops[-1][1], forward=False)

    def focus_next(self, *, forward: bool) -> bool:
        """Go on to the next stop; whether there is one. The first in view follows the area itself."""
        current, stops = QApplication.focusWidget(), self._stops()
        index = _place(stops, current)
        if index is None:
            if current is not self._area or not forward or not stops:
                return False
            height = self._area.viewport().height()
            seen = next((stop for y, stop in stops if 0 <= y < height), stops[0][1])
            self._focus(seen, forward=True)
            return True
        following = index + (1 if forward else -1)
        if not 0 <= following < len(stops):
            self._scroll(forward)
            stops = self._stops()
            index = _place(stops, current)
            following = -1 if index is None else index + (1 if forward else -1)
        if not 0 <= following < len(stops):
            self._area.setFocus(Qt.FocusReason.OtherFocusReason)
            return not forward
        self._focus(stops[following][1], forward=forward)
        return True

    def _scroll(self, forward: bool) -> None:
        """Bring the next rows near, so that they have widgets."""
        bar = self._area.verticalScrollBar()
        step = self._area.viewport().height() // 2
        for _ in range(_MOST_STEPS):
            before, known = bar.value(), len(self._stops())
            bar.setValue(bar.value() + (step if forward else -step))
            if bar.value() == before or len(self._stops()) > known:
                return

    def _focus(self, stop: QWidget, *, forward: bool) -> None:
        if isinstance(stop, TextBlock):
            stop.focus_link(forward)
        else:
            stop.setFocus(Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason)
        viewport, bar = self._area.viewport(), self._area.verticalScrollBar()
        top = stop.mapTo(viewport, QPoint(0, 0)).y()
        bottom = top + min(stop.height(), _SHOWN_HEIGHT)
        if top < Space.S:
            bar.setValue(bar.value() + top - Space.XXL)
        elif bottom > viewport.height():
            bar.setValue(bar.value() + bottom - viewport.height() + Space.XXL)


def _place(stops: list[Stop], current: QWidget | None) -> int | None:
    return next((place for place, (_, stop) in enumerate(stops) if stop is current), None)
