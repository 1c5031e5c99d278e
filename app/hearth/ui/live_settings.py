"""Changed settings take effect in the window: theme, language, defaults of the parameters, models."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QApplication

from hearth import i18n
from hearth.config import Config
from hearth.ui import theme
from hearth.ui.qt_language import use_qt_language

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth
    from hearth.ui.bridge import UiBridge
    from hearth.ui.chat_controller import ChatController
    from hearth.ui.tasks import Tasks
    from hearth.ui.window_frame import WindowFrame


class LiveSettings(QObject):
    """Hears of every change, whoever made it.

    Args:
        chat: the columns at work, which are others after `rebuild`.
        rebuild: makes the window anew, in the language in force.
    """

    def __init__(
        self,
        hearth: Hearth,
        bridge: UiBridge,
        tasks: Tasks,
        window: WindowFrame,
        *,
        chat: Callable[[], ChatController],
        rebuild: Callable[[], None],
    ) -> None:
        super().__init__(window)
        self._hearth = hearth
        self._tasks = tasks
        self._window = window
        self._chat = chat
        self._rebuild = rebuild
        self._config = hearth.config
        self._error = _error(hearth)
        bridge.settings_changed.connect(self._on_changed)

    @Slot(object)
    def _on_changed(self, config: Config) -> None:
        chat, old, self._config = self._chat(), self._config, config
        if config.theme != theme.theme().mode:
            theme.theme().apply(config.theme)
        if config.defaults.model != old.defaults.model:
            chat.use_default_model()
        if config.folders != old.folders:
            chat.models.refresh()
        chat.show_defaults()
        if _error(self._hearth) != self._error:  # one that was put away stays away
            self._error = _error(self._hearth)
            chat.show_config_error()
        if i18n.language() != self._window.language:
            # What the old widgets have asked for comes first.
            self._tasks.run(lambda: None, owner=self).success(lambda _: self._speak())

    def _speak(self) -> None:
        if i18n.language() == self._window.language:  # a second change was faster
            return
        app = QApplication.instance()
        if isinstance(app, QApplication):
            use_qt_language(app)
        self._rebuild()


def _error(hearth: Hearth) -> object:
    """What tells one error of the settings from another: code and parameters."""
    return hearth.config_error and hearth.config_error.args
