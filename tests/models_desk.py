"""The window Models on a real main window and real services, and the hand that uses it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from hands import Hands
from hearth.services.events import ModelState
from hearth.services.hearth import Hearth
from hearth.services.model_overview import ModelOverview
from hearth.ui.main_window import MainWindow
from hearth.ui.models.models_window import ModelsWindow


class ModelsDesk(Hands):
    """What a person does with the window, and what they see."""

    def __init__(self, main: MainWindow, qtbot: QtBot) -> None:
        self.main = main
        self.qtbot = qtbot
        main.actions_.manage_models.trigger()
        self.wait(lambda: self.window.isVisible() and self.known() is not None)
        self.activate()

    @property
    def window(self) -> ModelsWindow:
        window = self.main.side_windows.models
        assert window is not None
        return window

    @property
    def hearth(self) -> Hearth:
        assert self.main.hearth is not None
        return self.main.hearth

    def known(self) -> list[ModelOverview] | None:
        return self.window.controller.models

    def model(self, name: str) -> ModelOverview | None:
        return self.window.controller.model(name)

    def names(self) -> list[str]:
        return self.window.list.rows.names()

    def wait_state(self, name: str, state: ModelState) -> None:
        self.wait(lambda: self.window.list.rows.status(name).state is state)

    def show(self, name: str) -> None:
        """Click the model's row."""
        view = self.window.list.view
        self.wait(lambda: name in self.names())
        place = view.visualRect(self.window.list.rows.place(name)).center()
        self.qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
        self.wait(lambda: self.window.page.name == name)

    def click(self, button: QWidget) -> None:
        self.wait(button.isVisible)  # what has just been made is shown a moment later
        super().click(button)

    def wait_said(self, text: str) -> None:
        """Wait until the toast says that."""
        self.wait(lambda: self.window.toast.isVisible() and text in self.window.toast.text())
