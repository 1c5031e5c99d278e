"""Mouse and keys on one window, as a person uses them."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

PATIENCE = 30_000  # milliseconds; only a hang lasts that long


class Hands:
    """What every window is used with."""

    window: QWidget
    qtbot: QtBot

    def wait(self, condition: Callable[[], object]) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=PATIENCE)

    def activate(self) -> None:
        """Bring the window to the front; the offscreen platform does not do it when what lay over it closes."""
        self.window.activateWindow()
        self.wait(self.window.isActiveWindow)

    def click(self, button: QWidget) -> None:
        assert button.isVisible(), f"{button.objectName() or button} cannot be seen"
        assert button.isEnabled(), f"{button.objectName() or button} cannot be pressed"
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def key(
        self,
        key: Qt.Key,
        modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
        widget: QWidget | None = None,
    ) -> None:
        """Press a key in `widget`, or else in whatever has the keyboard."""
        self.qtbot.keyClick(widget or QApplication.focusWidget() or self.window, key, modifier)

    def type(self, text: str) -> None:
        """Type into whatever has the keyboard."""
        widget = QApplication.focusWidget()
        assert widget is not None, "nothing has the keyboard"
        self.qtbot.keyClicks(widget, text)
