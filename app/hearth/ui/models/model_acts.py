"""What the user does with one model of the list: by its menu, its page or the keyboard, where it may be done."""

from __future__ import annotations

from PySide6.QtCore import QObject, QPoint, Qt, Signal, Slot
from PySide6.QtWidgets import QInputDialog, QLineEdit, QMenu, QWidget

from hearth.i18n import tr
from hearth.services.events import ModelState
from hearth.services.model_overview import ModelOverview
from hearth.ui.models.models_controller import ModelsController


class ModelActs(QObject):
    """Belongs to the window, over which it opens menus and questions.

    Signals:
        chat_wanted: a model's name.
        rename_begun: the name of a model that may be edited.
        refused: why something cannot be done now, in a sentence.
    """

    chat_wanted = Signal(str)
    rename_begun = Signal(str)
    refused = Signal(str)

    def __init__(self, controller: ModelsController, window: QWidget) -> None:
        super().__init__(window)
        self._controller = controller
        self._window = window

    def rename(self, name: str | None) -> None:
        """Have its name edited, where it may be another."""
        model = self._controller.model(name)
        if model is None:
            return
        if model.built_in:
            self.refused.emit(tr("A model that is part of Hearth keeps its name."))
        elif self._is_free(model):
            self.rename_begun.emit(model.name)

    def remove(self, name: str) -> None:
        """Take it out of the list, where it may be."""
        model = self._controller.model(name)
        if model is None:
            return
        if model.built_in:
            self.refused.emit(tr("A model that is part of Hearth cannot be removed."))
        elif self._is_free(model):
            self._controller.remove(name)

    def _is_free(self, model: ModelOverview) -> bool:
        """Whether nothing is done with the model or to it; else that is said."""
        if model.is_answering:
            self.refused.emit(tr("It is answering: wait until it has finished, or stop the answer."))
        elif model.name in self._controller.jobs:
            self.refused.emit(tr("Wait until “{name}” is done, or cancel that first.", name=model.name))
        else:
            return True
        return False

    @Slot(str, QPoint)
    def open_menu(self, name: str, place: QPoint) -> None:
        """What can be done with it, at that place of the screen."""
        controller, model = self._controller, self._controller.model(name)
        if model is None:
            return
        free = not (model.built_in or model.is_answering or name in controller.jobs)
        ready = controller.status(name).state is ModelState.READY
        can_use = not controller.is_measuring()
        menu = QMenu(self._window)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(tr("Chat"), lambda: self.chat_wanted.emit(name)).setEnabled(can_use)
        if ready:
            menu.addAction(tr("Unload"), lambda: controller.unload(name)).setEnabled(not model.is_answering)
        else:
            menu.addAction(tr("Load"), lambda: controller.load(name)).setEnabled(can_use)
        menu.addSeparator()
        menu.addAction(tr("Rename"), lambda: self.rename(name)).setEnabled(free)
        if not model.remote:
            menu.addAction(tr("Show Files"), lambda: controller.reveal(name))
        menu.addSeparator()
        menu.addAction(tr("Remove"), lambda: self.remove(name)).setEnabled(free)
        menu.popup(place)

    @Slot(str)
    def ask_key(self, name: str) -> None:
        """Another key for a model on a server."""
        dialog = QInputDialog(self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(tr("Change Key"))
        dialog.setLabelText(tr("Key for {name} (empty for none): ", name=name).strip())
        dialog.setTextEchoMode(QLineEdit.EchoMode.Password)
        dialog.setOkButtonText(tr("Change Key"))
        dialog.setCancelButtonText(tr("Cancel"))
        dialog.textValueSelected.connect(lambda key: self._controller.set_key(name, key.strip()))
        dialog.open()
