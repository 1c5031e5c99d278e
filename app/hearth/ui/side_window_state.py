"""Where a window beside the main one lay when it was last closed, and one thing more that it shows again."""

from __future__ import annotations

from PySide6.QtCore import QByteArray
from PySide6.QtWidgets import QSplitter, QWidget

from hearth.ui.window_state import window_file


class SideWindowState:
    """Of one window; kept beside the main window's state.

    Args:
        name: what the window is called in the file.
        choice: the key of what is kept beside its place, such as the page on view.
        size: of the window at its first start, in pixels.
    """

    def __init__(self, name: str, choice: str, size: tuple[int, int]) -> None:
        self._name = name
        self._choice = f"{name}/{choice}"
        self._size = size

    def restore(self, window: QWidget, splitter: QSplitter) -> str:
        """Put the window where it was; the choice, empty where there was none."""
        settings = window_file()
        screen = window.screen().availableGeometry()
        window.resize(min(self._size[0], screen.width() - 40), min(self._size[1], screen.height() - 60))
        geometry, sizes = settings.value(f"{self._name}/geometry"), settings.value(f"{self._name}/splitter")
        if isinstance(geometry, QByteArray):
            window.restoreGeometry(geometry)
        if isinstance(sizes, QByteArray):
            splitter.restoreState(sizes)
        return str(settings.value(self._choice, ""))

    def save(self, window: QWidget, splitter: QSplitter, choice: str) -> None:
        """Remember all that `restore` restores."""
        settings = window_file()
        settings.setValue(f"{self._name}/geometry", window.saveGeometry())
        settings.setValue(f"{self._name}/splitter", splitter.saveState())
        settings.setValue(self._choice, choice)
        settings.sync()
