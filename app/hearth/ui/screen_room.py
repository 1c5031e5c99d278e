"""How large a window may be on its screen."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

_TITLE_BAR = 36  # pixels, about; the system draws it


def within_screen(window: QWidget, size: QSize) -> QSize:
    """`size`, or less where the window with its title bar would not fit: at 200 %, a small screen has 683 x 384 pixels.

    A window that is put back where it was is put there first: before it is shown, only its place tells its screen.
    """
    screen = window.screen()
    if window.isHidden() and window.parentWidget() is None:
        screen = QGuiApplication.screenAt(window.geometry().center()) or screen
    return size.boundedTo(screen.availableSize() - QSize(0, _TITLE_BAR))
