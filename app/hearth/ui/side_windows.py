"""The windows beside the main one, each opened once: models, settings, help and about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import shiboken6
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog, QWidget

from hearth.ui.to_front import bring_to_front

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth
    from hearth.ui.about_dialog import AboutDialog
    from hearth.ui.bridge import UiBridge
    from hearth.ui.help_window import HelpWindow
    from hearth.ui.models.models_controller import ModelsController
    from hearth.ui.models.models_window import ModelsWindow
    from hearth.ui.settings.settings_dialog import SettingsDialog
    from hearth.ui.tasks import Tasks


class SideWindows(QObject):
    """Asked again, it brings the open one to the front. Their code is read when they are first asked for.

    Attributes:
        settings, about, help, models: those that are open; None for one that is not. Help and models are kept once they
            were opened.

    Signals:
        help_wanted: F1 was pressed in a dialog, which keeps keys from the menu of the main window.
        text_size_chosen: one of FONT_SCALES.
        link_activated: the address of a link that leads out of Hearth.
        chat_wanted: the name of a model to chat with.
        add_model_wanted: the user wants to find and fetch a model.
        import_wanted, file_wanted: the user wants to import a model's folder or file.
        models_changed: models came, went or changed, as their window has seen.
    """

    help_wanted = Signal()
    text_size_chosen = Signal(float)
    link_activated = Signal(str)
    chat_wanted = Signal(str)
    add_model_wanted = Signal()
    import_wanted = Signal()
    file_wanted = Signal()
    models_changed = Signal()

    def __init__(self, tasks: Tasks, window: QWidget) -> None:
        super().__init__(window)
        self._tasks = tasks
        self._window = window
        self.settings: SettingsDialog | None = None
        self.about: AboutDialog | None = None
        self.help: HelpWindow | None = None
        self.models: ModelsWindow | None = None
        self._controller: ModelsController | None = None

    def open_settings(self, hearth: Hearth, text_size: float) -> None:
        if self.settings is None:
            from hearth.ui.settings.settings_dialog import SettingsDialog

            self.settings = SettingsDialog(hearth, self._tasks, text_size, self._window)
            self.settings.text_size_chosen.connect(self.text_size_chosen)
            self.settings.finished.connect(self._on_settings_closed)
            self._lead_to_help(self.settings)
        bring_to_front(self.settings)

    def open_about(self, hearth: Hearth | None) -> None:
        """`hearth`: None while it is not open."""
        if self.about is None:
            from hearth.ui.about_dialog import AboutDialog

            self.about = AboutDialog(hearth, self._tasks, self._window)
            self.about.finished.connect(self._on_about_closed)
            self._lead_to_help(self.about)
        bring_to_front(self.about)

    def open_help(self, text_size: float, page: str | None = None) -> None:
        """`page`: which to show; None for the one that was read last."""
        if self.help is None:
            from hearth.ui.help_window import HelpWindow

            # Without a parent: it may lie behind the main window, and stays open beside it.
            self.help = HelpWindow()
            self.help.link_activated.connect(self.link_activated)
        self.help.set_font_scale(text_size)
        self.help.show_page(page)

    def open_models(
        self, hearth: Hearth, bridge: UiBridge, text_size: float, name: str | None = None
    ) -> None:
        """`name`: the model to show when the window is first opened."""
        if self.models is None:
            from hearth.ui.models.models_controller import ModelsController
            from hearth.ui.models.models_window import ModelsWindow

            self._controller = ModelsController(hearth, bridge, self._tasks, self)
            self._controller.models_changed.connect(self.models_changed)
            self.models = ModelsWindow(self._controller)
            self.models.chat_wanted.connect(self.chat_wanted)
            self.models.add_wanted.connect(self.add_model_wanted)
            self.models.import_wanted.connect(self.import_wanted)
            self.models.file_wanted.connect(self.file_wanted)
            QShortcut(QKeySequence("F1"), self.models, self.help_wanted.emit)
        self.models.set_font_scale(text_size)
        self.models.open(name)

    def set_text_size(self, text_size: float) -> None:
        """The size of the text in the main window has changed."""
        if self.help is not None:
            self.help.set_font_scale(text_size)
        if self.models is not None:
            self.models.set_font_scale(text_size)

    def close(self) -> None:
        """Close all; the main window closes."""
        for dialog in (self.settings, self.about):
            if dialog is not None:
                dialog.close()
        if self._controller is not None:
            self._controller.close()
        for window in (self.help, self.models):
            if window is not None:
                window.close()
                shiboken6.delete(window)  # has no parent that would do it
        self.help = self.models = None

    def _lead_to_help(self, dialog: QDialog) -> None:
        QShortcut(QKeySequence("F1"), dialog, self.help_wanted.emit)

    def _on_settings_closed(self) -> None:
        if self.settings is not None:
            self.settings.deleteLater()
            self.settings = None

    def _on_about_closed(self) -> None:
        if self.about is not None:
            self.about.deleteLater()
            self.about = None
