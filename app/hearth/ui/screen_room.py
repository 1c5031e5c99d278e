"""How large a window may be on its screen."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QWidget

_TITLE_BAR = 36  # pixels, about; the system draws it


def within_screen(window: QWidget, size: QSize) -> QSize:
    """`size`, or less where the window with its title bar would not fit: at 200 %, a small screen has 683 x 384 pixels."""
    return size.boundedTo(window.screen().availableSize() - QSize(0, _TITLE_BAR))
