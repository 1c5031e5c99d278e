"""The keys that scroll a view of rows."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QScrollBar


def scrolled_to(key: int, bar: QScrollBar) -> int | None:
    """Where the scroll bar goes for `key`; None for a key that does not scroll. The end is not a place: it grows."""
    page, line = bar.pageStep() - 2 * bar.singleStep(), 2 * bar.singleStep()
    match key:
        case Qt.Key.Key_Home:
            return bar.minimum()
        case Qt.Key.Key_PageUp:
            return bar.value() - page
        case Qt.Key.Key_PageDown:
            return bar.value() + page
        case Qt.Key.Key_Up:
            return bar.value() - line
        case Qt.Key.Key_Down:
            return bar.value() + line
    return None
