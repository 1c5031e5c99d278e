"""Changed settings take effect in the window: theme, language, defaults of the parameters, models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QApplication

from hearth import i18n
from hearth.config import Config
from hearth.ui import theme
from hearth.ui.qt_language import use_qt_language

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth
    from hearth.ui.main_window import MainWindow


class LiveSettings(QObject):
    """Hears of every change, whoever made it."""

    def __init__(self, hearth: Hearth, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._hearth = hearth
        self._config = hearth.config
        self._error = _error(hearth)
        window.bridge.settings_changed.connect(self._on_changed)

    @Slot(object)
    def _on_changed(self, config: Config) -> None:
        window, old, self._config = self._window, self._config, config
        if config.theme != theme.theme().mode:
            theme.theme().apply(config.theme)
        if config.defaults.model != old.defaults.model:
            window.chat.use_default_model()
        if config.folders != old.folders:
            window.models.refresh()
        window.chat.show_defaults()
        if _error(self._hearth) != self._error:  # one that was put away stays away
            self._error = _error(self._hearth)
            window.chat.show_config_error()
        if i18n.language() != window.language:
            # What the old widgets have asked for comes first.
            window.tasks.run(lambda: None, owner=self).success(lambda _: self._speak())

    def _speak(self) -> None:
        if i18n.language() == self._window.language:  # a second change was faster
            return
        app = QApplication.instance()
        if isinstance(app, QApplication):
            use_qt_language(app)
        self._window.rebuild()


def _error(hearth: Hearth) -> object:
    """What tells one error of the settings from another: code and parameters."""
    return hearth.config_error and hearth.config_error.args
