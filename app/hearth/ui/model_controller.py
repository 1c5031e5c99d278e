"""The models of this machine, as the window shows and chooses them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal, Slot
from PySide6.QtWidgets import QWidget

from hearth.errors import HearthError
from hearth.i18n import tr
from hearth.services.events import ModelState, ModelStatus
from hearth.services.remembered import LAST_MODEL
from hearth.ui.folder_chooser import choose_folder, choose_model_file
from hearth.ui.import_dialog import ImportDialog
from hearth.ui.model_picker import ModelPicker

if TYPE_CHECKING:
    from hearth.models.registry import ModelEntry
    from hearth.services.hearth import Hearth
    from hearth.ui.bridge import UiBridge
    from hearth.ui.tasks import Tasks

# By then the window is there, and the rest of the start is done.
_OPENING_MILLISECONDS = 1000


class ModelController(QObject):
    """Knows which models there are and which one answers; loads, unloads and imports.

    Attributes:
        entries: the models on this machine; None until they have been read.
        current: the model that answers in the conversation on view.
        last: the model that the user last chose.

    Signals:
        entries_changed: models came or went.
        chosen: the user chose this model, by the list or by importing it.
        status_changed: ModelStatus of any model.
    """

    entries_changed = Signal()
    chosen = Signal(str)
    status_changed = Signal(object)

    def __init__(
        self,
        hearth: Hearth,
        bridge: UiBridge,
        tasks: Tasks,
        picker: ModelPicker,
        window: QWidget,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._hearth = hearth
        self._tasks = tasks
        self._picker = picker
        self._window = window
        self.last: str | None = None
        self.entries: list[ModelEntry] | None = None
        self.current: str | None = None
        self.dialog: ImportDialog | None = None
        bridge.model_changed.connect(self._on_status)
        picker.chosen.connect(self.choose)
        picker.load_requested.connect(self.load)
        picker.unload_requested.connect(self.unload)
        picker.import_requested.connect(self.ask_for_folder)
        picker.file_requested.connect(self.ask_for_file)
        picker.opened.connect(self.refresh)
        picker.opened.connect(self.expect_load)

    def start(self, last_model: str | None) -> None:
        """Read the models; `last_model` is the one that the user last chose."""
        self.last = last_model
        self.refresh()
        QTimer.singleShot(_OPENING_MILLISECONDS, self, self.expect_answer)

    @Slot()
    def expect_load(self) -> None:
        """The user may choose a model in a moment."""
        self._hearth.pool.prepare()

    @Slot()
    def expect_answer(self) -> None:
        """The user may want an answer in a moment, which loads the model."""
        status = self.status()
        if status is not None and status.state is ModelState.UNLOADED:
            self.expect_load()

    @Slot()
    def refresh(self) -> None:
        """Read which models there are."""
        models = self._hearth.models
        self._tasks.run(models.list, owner=self, view="models").success(self._on_entries)

    def show_for(self, wanted: str | None) -> str | None:
        """Make the model `wanted` the current one, or the one last chosen where it is gone; the current one.

        Hearth's own starter comes last: who has brought a model wants that one.
        """
        entries = sorted(self.entries or (), key=lambda entry: entry.built_in)
        # One that was renamed is found by its old name, which has become an alias.
        names = {name: entry.name for entry in entries for name in (*entry.aliases, entry.name)}
        default, first = self._hearth.config.defaults.model, entries[0].name if entries else None
        found = (names[name] for name in (wanted, default, self.last, first) if name in names)
        self.current = next(found, None)
        self._picker.set_current(self.current)
        if self.current:
            self._picker.set_status(self._hearth.pool.status(self.current))
        return self.current

    def entry(self) -> ModelEntry | None:
        """The current model."""
        return next((entry for entry in self.entries or () if entry.name == self.current), None)

    def status(self) -> ModelStatus | None:
        """Where the current model stands."""
        return self._picker.status(self.current) if self.current else None

    @Slot(str)
    def choose(self, name: str) -> None:
        """Answer with this model from now on, and load it; one that came a moment ago is looked for first."""
        if any(entry.name == name for entry in self.entries or ()):
            self._choose(name)
            return

        def found(entries: list[ModelEntry]) -> None:
            self._on_entries(entries)
            self._choose(name)

        self._tasks.run(self._hearth.models.list, owner=self).success(found)

    def _choose(self, name: str) -> None:
        store = self._hearth.conversations
        self.last = name
        self._tasks.run(lambda: store.set_setting(LAST_MODEL, name))
        self.show_for(name)
        self.chosen.emit(name)
        self.load(name)

    @Slot(str)
    def load(self, name: str) -> None:
        try:
            self._hearth.pool.load(name)
        except HearthError as error:
            self._tasks.failed.emit(error)

    @Slot(str)
    def unload(self, name: str) -> None:
        pool = self._hearth.pool
        self._tasks.run(lambda: pool.unload(name))

    @Slot()
    def ask_for_folder(self) -> None:
        """Let the user choose a folder to import."""
        choose_folder(self._window, tr("Choose a model folder"), self.import_folder)

    @Slot()
    def ask_for_file(self) -> None:
        """Let the user choose a model file to import."""
        choose_model_file(self._window, tr("Choose a GGUF file"), self.import_folder)

    def import_folder(self, path: Path) -> None:
        """Open the import dialog for this folder or file."""
        if self.dialog is not None:
            return
        dialog = ImportDialog(self._hearth.models, self._tasks, path, self._window)
        dialog.imported.connect(self._on_imported)
        dialog.another_wanted.connect(self.ask_for_folder)
        dialog.finished.connect(self._on_dialog_finished)
        self.dialog = dialog
        dialog.open()

    def take_in(self, entry: ModelEntry) -> None:
        """A model is new; it need not wait until all are read again."""
        others = [known for known in self.entries or () if known.name != entry.name]
        self.entries = [*others, entry]
        self._picker.set_entries(self.entries)
        self.refresh()

    def _on_entries(self, entries: list[ModelEntry]) -> None:
        self.entries = entries
        for status in self._hearth.pool.statuses():
            self._picker.set_status(status)
        self._picker.set_entries(entries)
        self.entries_changed.emit()

    @Slot(object)
    def _on_imported(self, entry: ModelEntry) -> None:
        self.take_in(entry)
        self.choose(entry.name)

    @Slot()
    def _on_dialog_finished(self) -> None:
        if self.dialog:
            self.dialog.deleteLater()
            self.dialog = None

    @Slot(object)
    def _on_status(self, status: ModelStatus) -> None:
        self._picker.set_status(status)
        self.status_changed.emit(status)
