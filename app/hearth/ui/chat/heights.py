"""Heights of many things below each other: where each starts, and which is at a place."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class Heights:
    """A list of heights in pixels that knows its sums.

    Starts are worked out when asked for and kept; a change forgets only those after it. While the last one grows,
    every question is answered at once.
    """

    def __init__(self, heights: Iterable[int] = ()) -> None:
        self._heights = list(heights)
        self._starts = [0]  # of the first len(_starts) entries
        self.total = sum(self._heights)

    def __len__(self) -> int:
        return len(self._heights)

    def __getitem__(self, index: int) -> int:
        return self._heights[index]

    def __setitem__(self, index: int, height: int) -> None:
        self.total += height - self._heights[index]
        self._heights[index] = height
        del self._starts[index + 1 :]

    def append(self, height: int) -> None:
        self._heights.append(height)
        self.total += height

    def truncate(self, length: int) -> None:
        """Drop all but the first `length`."""
        self.total -= sum(self._heights[length:])
        del self._heights[length:]
        del self._starts[length + 1 :]

    def start(self, index: int) -> int:
        """The sum of the heights before `index`; `index` may be the length."""
        while len(self._starts) <= index:
            self._starts.append(self._starts[-1] + self._heights[len(self._starts) - 1])
        return self._starts[index]

    def at(self, place: int) -> int:
        """The index of the entry that covers `place`; the first or last one beyond the ends."""
        while self._starts[-1] <= place and len(self._starts) < len(self._heights):
            self.start(len(self._starts))
        return max(0, min(bisect_right(self._starts, place) - 1, len(self._heights) - 1))
