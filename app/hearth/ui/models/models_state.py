"""Where the window Models lay when it was last closed, and how its list was sorted; kept beside the main window's state."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QSettings
from PySide6.QtWidgets import QSplitter, QWidget

from hearth import paths

_DEFAULT_SIZE = (1020, 740)


def restore(window: QWidget, splitter: QSplitter) -> str:
    """Put the window where it was; how the list was sorted, empty where nobody has chosen."""
    settings = _settings()
    screen = window.screen().availableGeometry()
    window.resize(min(_DEFAULT_SIZE[0], screen.width() - 40), min(_DEFAULT_SIZE[1], screen.height() - 60))
    geometry = settings.value("models/geometry")
    if isinstance(geometry, QByteArray):
        window.restoreGeometry(geometry)
    restore_splitter(splitter)
    return str(settings.value("models/order", ""))


def restore_splitter(splitter: QSplitter) -> None:
    """Give the columns the widths that they had."""
    sizes = _settings().value("models/splitter")
    if isinstance(sizes, QByteArray):
        splitter.restoreState(sizes)


def save(window: QWidget, splitter: QSplitter, order: str) -> None:
    """Remember all that `restore` restores."""
    settings = _settings()
    settings.setValue("models/geometry", window.saveGeometry())
    settings.setValue("models/splitter", splitter.saveState())
    settings.setValue("models/order", order)
    settings.sync()


def _settings() -> QSettings:
    return QSettings(str(paths.home() / "window.ini"), QSettings.Format.IniFormat)
