"""A window, and pictures of it, named after what they show, the language, the colours and the scale."""

from __future__ import annotations

import os
from pathlib import Path

import shiboken6
from PySide6.QtCore import QRect
from PySide6.QtGui import QPainter, QPixmap
from PySide6.QtWidgets import QWidget

from hearth import i18n
from hearth.services.hearth import Hearth
from hearth.ui import theme
from hearth.ui.main_window import MainWindow
from hearth.ui.worker_thread import qt_thread
from window_life import live, until

SIZE = (1180, 780)


class Camera:
    """A window, and pictures of it."""

    def __init__(self, folder: Path, mode: str) -> None:
        self._folder = folder
        scale = os.environ.get("QT_SCALE_FACTOR", "1")
        language = "" if i18n.language() == "en" else f"-{i18n.language()}"
        self._suffix = f"{language}-{mode}" + ("" if float(scale) == 1 else f"@{scale}x")
        self.window = MainWindow(lambda: Hearth.open(thread_factory=qt_thread))
        self.window.resize(*SIZE)
        self.window.show()
        self.window.start()

    def take(self, name: str, over: QWidget | None = None) -> None:
        """A picture of the window, with a dialog or list that lies over it."""
        live(250)
        picture: QPixmap = self.window.grab()
        if over is not None:
            painter = QPainter(picture)
            place = over.mapToGlobal(over.rect().topLeft()) - self.window.mapToGlobal(
                self.window.rect().topLeft()
            )
            painter.drawPixmap(place, over.grab())
            painter.setPen(theme.colour("field_border"))  # stands for the frame that the system draws
            painter.drawRect(QRect(place, over.size()).adjusted(-1, -1, 0, 0))
            painter.end()
        self.save(name, picture)

    def save(self, name: str, picture: QPixmap) -> None:
        file = self._folder / f"{name}{self._suffix}.png"
        if not picture.save(str(file)):
            raise OSError(f"{file} cannot be written")
        print(file)

    def close(self) -> None:
        self.window.close()
        until(self.window.is_closed)
        shiboken6.delete(self.window)  # before the application
