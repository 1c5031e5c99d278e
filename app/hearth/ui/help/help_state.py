"""Where the help window lay when it was last closed, and which page it showed; kept beside the main window's state."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QSettings
from PySide6.QtWidgets import QSplitter, QWidget

from hearth import paths

_DEFAULT_SIZE = (1000, 720)


def restore(window: QWidget, splitter: QSplitter) -> str:
    """Put the window where it was; the page that it showed, empty where there was none."""
    settings = _settings()
    screen = window.screen().availableGeometry()
    window.resize(min(_DEFAULT_SIZE[0], screen.width() - 40), min(_DEFAULT_SIZE[1], screen.height() - 60))
    geometry, sizes = settings.value("help/geometry"), settings.value("help/splitter")
    if isinstance(geometry, QByteArray):
        window.restoreGeometry(geometry)
    if isinstance(sizes, QByteArray):
        splitter.restoreState(sizes)
    return str(settings.value("help/page", ""))


def save(window: QWidget, splitter: QSplitter, page_id: str) -> None:
    """Remember all that `restore` restores."""
    settings = _settings()
    settings.setValue("help/geometry", window.saveGeometry())
    settings.setValue("help/splitter", splitter.saveState())
    settings.setValue("help/page", page_id)
    settings.sync()


def _settings() -> QSettings:
    return QSettings(str(paths.home() / "window.ini"), QSettings.Format.IniFormat)
