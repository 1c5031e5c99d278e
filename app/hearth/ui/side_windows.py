"""The windows beside the main one, each opened once: settings, help and about."""

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
    from hearth.ui.help_window import HelpWindow
    from hearth.ui.settings.settings_dialog import SettingsDialog
    from hearth.ui.tasks import Tasks


class SideWindows(QObject):
    """Asked again, it brings the open one to the front. Their code is read when they are first asked for.

    Attributes:
        settings, about, help: those that are open; None for one that is not. The help is kept once it was opened.

    Signals:
        help_wanted: F1 was pressed in a dialog, which keeps keys from the menu of the main window.
        text_size_chosen: one of FONT_SCALES.
        link_activated: the address of a link that leads out of Hearth.
    """

    help_wanted = Signal()
    text_size_chosen = Signal(float)
    link_activated = Signal(str)

    def __init__(self, tasks: Tasks, window: QWidget) -> None:
        super().__init__(window)
        self._tasks = tasks
        self._window = window
        self.settings: SettingsDialog | None = None
        self.about: AboutDialog | None = None
        self.help: HelpWindow | None = None

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

    def set_text_size(self, text_size: float) -> None:
        """The size of the text in the main window has changed."""
        if self.help is not None:
            self.help.set_font_scale(text_size)

    def close(self) -> None:
        """Close all; the main window closes."""
        for dialog in (self.settings, self.about):
            if dialog is not None:
                dialog.close()
        if self.help is not None:
            self.help.close()
            shiboken6.delete(self.help)  # has no parent that would do it
            self.help = None

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
