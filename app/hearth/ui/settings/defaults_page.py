"""What a conversation uses where it sets nothing itself: model, system prompt and sampling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QTimer, Slot
from PySide6.QtGui import QShowEvent, QTextCursor
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QPushButton, QWidget

from hearth.config import Config, DefaultsSection
from hearth.i18n import tr
from hearth.ui.parameter_row import PARAMETERS, ParameterRow, text_field
from hearth.ui.settings.choice_box import ChoiceBox
from hearth.ui.settings.page import SettingsPage, add_field, field_grid, heading_label, hint_label
from hearth.ui.tasks import Tasks

if TYPE_CHECKING:
    from hearth.models.registry import ModelEntry

_SAVE_MILLISECONDS = 400
_TABLE = "defaults."
_MODEL = "defaults.model"
_PROMPT = "defaults.system_prompt"

Values = dict[str, Any]


class DefaultsPage(SettingsPage):
    """A change is asked for a moment after the last one, so that a text is not written letter by letter."""

    key = "defaults"

    def __init__(
        self, list_models: Callable[[], list[ModelEntry]], tasks: Tasks, parent: QWidget | None = None
    ) -> None:
        """`list_models` reads which models there are; it is called on a worker thread."""
        super().__init__(parent)
        self._list_models = list_models
        self._tasks = tasks
        self._names: list[str] | None = None
        self._told: Values = {}
        self._former: Values | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SAVE_MILLISECONDS)
        self._timer.timeout.connect(self.flush)
        self.column.addLayout(self._build_fields())
        self.column.addWidget(heading_label(tr("Choice of words (sampling)"), self))
        self.column.addWidget(
            hint_label(
                tr("Where a value is left at its default, what the maker of a model recommends comes first."),
                self,
            )
        )
        self.rows: dict[str, ParameterRow] = {}
        standard = DefaultsSection()
        for parameter in PARAMETERS:
            row = ParameterRow(parameter, self)
            row.set_default(getattr(standard, parameter.name))
            row.edited.connect(self._on_edited)
            self.rows[parameter.name] = row
            self.column.addWidget(row)
        self.column.addLayout(self._build_buttons())
        self.column.addStretch(1)

    def show_config(self, config: Config) -> None:
        values = _values(config.defaults)
        if values == self._told:
            return
        self._timer.stop()
        self._former = None
        self._show(values)
        if not self._told:  # nothing was typed yet that Undo could bring back
            self.prompt.document().clearUndoRedoStacks()
        self._told = values

    def is_waiting(self) -> bool:
        return self._timer.isActive()

    @Slot()
    def flush(self) -> None:
        self._timer.stop()
        values = self._values()
        changes = {key: value for key, value in values.items() if value != self._told.get(key)}
        if changes:
            self._told = values
            self.change_wanted.emit(changes)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._tasks.run(self._list_models, owner=self, view="settings.models").success(
            self._on_models
        ).failure(self.failed.emit)

    def _build_fields(self) -> QGridLayout:
        self.model = ChoiceBox(self)
        self.model.setObjectName("defaultModel")
        self.model.activated.connect(self._on_edited)
        self.prompt = text_field(88, self)
        self.prompt.setObjectName("defaultSystemPrompt")
        self.prompt.setPlaceholderText(tr("How the assistant should behave. Optional."))
        self.prompt.textChanged.connect(self._on_edited)
        grid = field_grid(stretched=1)
        add_field(grid, self, tr("Default &model"), self.model, tr("New conversations begin with it."))
        add_field(
            grid, self, tr("&System prompt"), self.prompt, tr("Told to the model before every conversation.")
        )
        return grid

    def _build_buttons(self) -> QHBoxLayout:
        self.restore_button = QPushButton(tr("&Restore Defaults"), self)
        self.restore_button.setObjectName("restoreDefaults")
        self.restore_button.clicked.connect(self._on_restore)
        self.undo_button = QPushButton(tr("&Undo"), self)
        self.undo_button.setObjectName("undoRestore")
        self.undo_button.setToolTip(tr("Bring back what was set before"))
        self.undo_button.clicked.connect(self._on_undo)
        self.undo_button.hide()
        row = QHBoxLayout()
        row.addWidget(self.restore_button)
        row.addWidget(self.undo_button)
        row.addStretch(1)
        return row

    @Slot()
    def _on_edited(self) -> None:
        self._former = None
        self._show_buttons()
        self._timer.start()

    @Slot()
    def _on_restore(self) -> None:
        former = self._values()
        self._show(dict.fromkeys(former))
        self.flush()
        self._former = former
        self._show_buttons()
        self.undo_button.setFocus()

    @Slot()
    def _on_undo(self) -> None:
        former, self._former = self._former, None
        if former is not None:
            self._show(former)
            self.flush()
            self.restore_button.setFocus()
            self._show_buttons()

    def _on_models(self, entries: list[ModelEntry]) -> None:
        self._names = [entry.name for entry in entries]
        self._show_model(self.model.currentData())

    def _show(self, values: Mapping[str, Any]) -> None:
        """Show `values`, by their keys in the settings file; None is the default."""
        self._show_model(values[_MODEL] or "")
        self._show_prompt(str(values[_PROMPT] or ""))
        for name, row in self.rows.items():
            row.set_value(values[_TABLE + name])
        self._show_buttons()

    def _show_model(self, chosen: str) -> None:
        self.model.clear()
        self.model.addItem(tr("The last one used"), "")
        for name in self._names or ():
            self.model.addItem(name, name)
        known = self._names is None or chosen in self._names
        self.model.show_choice(chosen, chosen if known else tr("{name} (not here)", name=chosen))

    def _show_prompt(self, text: str) -> None:
        if text == self.prompt.toPlainText():
            return
        self.prompt.blockSignals(True)
        cursor = QTextCursor(self.prompt.document())
        cursor.select(QTextCursor.SelectionType.Document)
        cursor.insertText(text)  # so that Undo brings back what was typed, also where it could not be kept
        self.prompt.blockSignals(False)

    def _show_buttons(self) -> None:
        self.restore_button.setEnabled(any(value is not None for value in self._values().values()))
        self.undo_button.setVisible(self._former is not None)

    def _values(self) -> Values:
        """What the controls say, by the keys of the settings file; None is the default."""
        values: Values = {
            _MODEL: self.model.currentData() or None,
            _PROMPT: self.prompt.toPlainText() or None,
        }
        return values | {_TABLE + name: row.value() for name, row in self.rows.items()}


def _values(defaults: DefaultsSection) -> Values:
    """The settings of this page as its controls say them."""
    standard = DefaultsSection()
    values: Values = {}
    for name in ("model", "system_prompt", *(parameter.name for parameter in PARAMETERS)):
        value = getattr(defaults, name)
        values[_TABLE + name] = None if value == getattr(standard, name) else value
    return values
