"""How the window lay on the screen when it was last closed.

This is kept in a small file beside the database, because the window is on the screen before the database is open.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QByteArray, QSettings
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMainWindow, QSplitter

from hearth import paths

FONT_SCALES = (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0)
_DEFAULT_SIZE = (1180, 780)


@dataclass(slots=True)
class WindowState:
    """What is remembered beside geometry.

    Attributes:
        sidebar, panel: whether they are shown.
        font_scale: one of FONT_SCALES.
    """

    sidebar: bool = True
    panel: bool = False
    font_scale: float = 1.0


def restore(window: QMainWindow, splitter: QSplitter) -> WindowState:
    """Put the window where it was; Qt moves it onto a screen where its own is gone."""
    settings = window_file()
    window.resize(*_fitting(*_DEFAULT_SIZE))
    geometry = settings.value("geometry")
    if isinstance(geometry, QByteArray):
        window.restoreGeometry(geometry)
    sizes = settings.value("splitter")
    if isinstance(sizes, QByteArray):
        splitter.restoreState(sizes)
    scale = _number(settings.value("font_scale"), 1.0)
    return WindowState(
        sidebar=settings.value("sidebar", "true") == "true",
        panel=settings.value("panel", "false") == "true",
        font_scale=min(FONT_SCALES, key=lambda known: abs(known - scale)),
    )


def save(window: QMainWindow, splitter: QSplitter, state: WindowState) -> None:
    """Remember all that `restore` restores; a home that cannot be written to is reported elsewhere."""
    settings = window_file()
    settings.setValue("geometry", window.saveGeometry())
    settings.setValue("splitter", splitter.saveState())
    settings.setValue("sidebar", "true" if state.sidebar else "false")
    settings.setValue("panel", "true" if state.panel else "false")
    settings.setValue("font_scale", str(state.font_scale))
    settings.sync()


def window_file() -> QSettings:
    """The small file; each window has keys of its own in it."""
    return QSettings(str(paths.home() / "window.ini"), QSettings.Format.IniFormat)


def _fitting(width: int, height: int) -> tuple[int, int]:
    screen = QGuiApplication.primaryScreen().availableGeometry()
    return min(width, screen.width() - 40), min(height, screen.height() - 60)


def _number(value: object, default: float) -> float:
    try:
        return float(str(value))
    except ValueError:
        return default
