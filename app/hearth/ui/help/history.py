"""Where the reader of the help has been, and the way back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A page, and what of it is at the top of the view, as `PageView.top` gives it."""

    page_id: str
    top: tuple[int, int]


class History:
    """Places behind and ahead of the one on view."""

    def __init__(self) -> None:
        self._back: list[Place] = []
        self._forward: list[Place] = []

    def leave(self, place: Place) -> None:
        """The reader goes from `place` to somewhere new."""
        self._back.append(place)
        self._forward.clear()

    def back(self, current: Place) -> Place | None:
        """The place before; None where there is none."""
        return _step(self._back, self._forward, current)

    def forward(self, current: Place) -> Place | None:
        """The place that `back` came from; None where there is none."""
        return _step(self._forward, self._back, current)

    def can_go_back(self) -> bool:
        return bool(self._back)

    def can_go_forward(self) -> bool:
        return bool(self._forward)


def _step(source: list[Place], other: list[Place], current: Place) -> Place | None:
    if not source:
        return None
    other.append(current)
    return source.pop()
