"""Which rows lie in and around the viewport, and where: measured from the row that the reader looks at, or from the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hearth.ui.chat.message_item import MessageItem
from hearth.ui.theme import Space

TOP = Space.XL  # pixels above the first message
BETWEEN = Space.M  # pixels under each message
AROUND = 160  # pixels beyond the viewport for which there are widgets

Anchor = tuple[int, int, int]
"""Item, row, and y of its upper edge in the viewport."""


class Placed(NamedTuple):
    """A row and where it is: `y` is its upper edge in the viewport, with its gap."""

    item: int
    row: int
    y: int
    height: int


class RowPlaces:
    """Finds the places of rows, and has only those measured.

    Args:
        items: the messages, as they are at each call.
        open_item: gives a message its rows.
        measure: the exact height of a row, by item and row.
    """

    def __init__(
        self,
        items: list[MessageItem],
        open_item: Callable[[int], None],
        measure: Callable[[int, int], int],
    ) -> None:
        self._items = items
        self._open = open_item
        self._measure = measure

    def find(self, height: int, anchor: Anchor | None) -> list[Placed]:
        """The rows in and around a viewport of `height`, first to last; at the end where nothing is looked at."""
        if not self._items:
            return []
        last = len(self._items) - 1
        if anchor is not None:
            item, row, y = anchor
            item = min(item, last)
            self._open(item)
            row = min(row, len(self._items[item].rows) - 1)
            places = self._up(item, row, y) + self._down(item, row, y, height)
            if (places[0].item, places[0].row) == (0, 0) and places[0].y > TOP:
                return self._down(0, 0, TOP, height)
            end = places[-1]
            if (end.item, end.row) != (last, len(self._items[last].rows) - 1) or (
                end.y + end.height + BETWEEN >= height
            ):
                return places
        self._open(last)
        places = self._up(last, len(self._items[last].rows), height - BETWEEN)
        if (places[0].item, places[0].row) == (0, 0) and places[0].y > TOP:
            return self._down(0, 0, TOP, height)
        return places

    def _down(self, item: int, row: int, y: int, viewport: int) -> list[Placed]:
        """The rows from `row` at `y` on."""
        limit = viewport + AROUND
        places: list[Placed] = []
        while item < len(self._items) and (y < limit or not places):
            self._open(item)
            while row < len(self._items[item].rows) and (y < limit or not places):
                height = self._measure(item, row)
                places.append(Placed(item, row, y, height))
                y += height
                row += 1
            if row < len(self._items[item].rows):
                break
            y += BETWEEN
            item, row = item + 1, 0
        return places

    def _up(self, item: int, row: int, y: int) -> list[Placed]:
        """The rows before `row`, whose upper edge is at `y`; first to last."""
        places: list[Placed] = []
        while y > -AROUND or not places:
            if row == 0:
                if item == 0:
                    break
                item -= 1
                y -= BETWEEN
                self._open(item)
                row = len(self._items[item].rows)
                continue
            row -= 1
            height = self._measure(item, row)
            y -= height
            places.append(Placed(item, row, y, height))
        places.reverse()
        return places
