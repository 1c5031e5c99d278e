"""What one model uses of its own: system prompt, sampling, and how it runs; each change acts at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from PySide6.QtCore import QTimer, Signal, Slot
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from hearth.config import EngineSection
from hearth.engine.providers.trial import AUTO
from hearth.i18n import mark, tr
from hearth.model_folder.manifest import GENAI
from hearth.services.devices import DeviceReport
from hearth.services.events import ModelState
from hearth.services.model_overview import ModelOverview
from hearth.ui.models.facts_card import quiet_label
from hearth.ui.parameter_row import PARAMETERS, Parameter, ParameterRow, reset_button, text_field
from hearth.ui.settings.choice_box import ChoiceBox
from hearth.ui.settings.page import heading_label
from hearth.ui.theme import Space

_SAVE_MILLISECONDS = 400
_LEAST_DEVICE_LETTERS = 8

_CONTEXT = Parameter(
    "max_context",
    mark("Longest conversation"),
    mark("How many tokens (pieces of words) the model holds at once. More takes more memory; “Full” is as many as it can."),
    0, 10_000_000, 1024, 0, 0, mark("Full"),
)  # fmt: skip
_REST = Parameter(
    "unload_minutes",
    mark("Unload after minutes of rest"),
    mark("The model's memory comes back when nobody has used it for so long. “Never” keeps it loaded."),
    0, 100_000, 5, 0, 0, mark("Never"),
)  # fmt: skip


class ModelSettingsTab(QWidget):
    """Shows the settings of one model.

    Attributes:
        rows: a row per number, by its key in `ModelSettings`.

    Signals:
        changed: a model's name, and changes as `ModelManager.change_settings` takes them.
        load_again_wanted: so that what counts from the next load does.
        devices_wanted: somebody looks at the devices, which are not known yet.
    """

    changed = Signal(str, object)
    load_again_wanted = Signal()
    devices_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = ""
        self._told: dict[str, Any] = {}
        self._devices: DeviceReport | None = None
        self._default_device = ""
        self._defaults: dict[str, float] = {}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SAVE_MILLISECONDS)
        self._timer.timeout.connect(self.flush)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, Space.L, 0, Space.L)
        column.setSpacing(Space.S)
        column.addWidget(
            quiet_label(tr("These hold for this model alone, where a conversation sets nothing else."), self)
        )
        self._build_prompt(column)
        column.addSpacing(Space.S)
        column.addWidget(heading_label(tr("Choice of words (sampling)"), self))
        self.rows: dict[str, ParameterRow] = {}
        sampling = _card(self)
        for parameter in PARAMETERS:
            self._add_row(parameter, sampling)
        column.addWidget(sampling)
        column.addSpacing(Space.S)
        column.addWidget(self._build_running())
        column.addStretch(1)

    def _build_prompt(self, column: QVBoxLayout) -> None:
        heading = heading_label(tr("System prompt"), self)
        self.prompt = text_field(88, self)
        self.prompt.setObjectName("modelSystemPrompt")
        self.prompt.setAccessibleName(tr("System prompt"))
        self.prompt.setAccessibleDescription(tr("Told to the model before every conversation."))
        self.prompt.textChanged.connect(self._on_edited)
        heading.setBuddy(self.prompt)
        self.prompt_reset = reset_button(tr("System prompt"), self)
        self.prompt_reset.clicked.connect(self.prompt.clear)
        row = QHBoxLayout()
        row.addWidget(heading, 1)
        row.addWidget(self.prompt_reset)
        column.addLayout(row)
        column.addWidget(self.prompt)

    def _build_running(self) -> QWidget:
        """What has no meaning for a model that runs elsewhere."""
        self.running = QWidget(self)
        column = QVBoxLayout(self.running)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Space.S)
        column.addWidget(heading_label(tr("How it runs"), self.running))
        card = _card(self.running)
        self._add_row(_CONTEXT, card)
        self.device_row = self._build_device(card)
        self._layout_of(card).addWidget(self.device_row)
        self._add_row(_REST, card)
        self.again_note = quiet_label(
            tr("Longest conversation and device count from the next time that the model is loaded."), card
        )
        self.again_button = QPushButton(tr("Load Again"), card)
        self.again_button.clicked.connect(self._on_load_again)
        foot = QHBoxLayout()
        foot.addWidget(self.again_note, 1)
        foot.addWidget(self.again_button)
        self._layout_of(card).addLayout(foot)
        column.addWidget(card)
        return self.running

    def _build_device(self, card: QFrame) -> QWidget:
        row = QWidget(card)
        label = QLabel(tr("Run it on"), row)
        label.setWordWrap(True)
        self.device = ChoiceBox(row)
        self.device.setSizeAdjustPolicy(ChoiceBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.device.setMinimumContentsLength(_LEAST_DEVICE_LETTERS)
        self.device.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.device.setObjectName("modelDevice")
        self.device.setAccessibleName(tr("Run it on"))
        self.device.activated.connect(self._on_edited)
        label.setBuddy(self.device)
        self.device_reset = reset_button(tr("Run it on"), row)
        self.device_reset.clicked.connect(self._on_device_reset)
        grid = QGridLayout(row)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(label, 0, 0)
        grid.addWidget(self.device_reset, 0, 1)
        grid.addWidget(self.device, 0, 2)
        grid.setColumnStretch(0, 2)
        grid.setColumnStretch(2, 3)
        return row

    def _add_row(self, parameter: Parameter, card: QFrame) -> None:
        row = ParameterRow(parameter, card)
        row.edited.connect(self._on_edited)
        self.rows[parameter.name] = row
        self._layout_of(card).addWidget(row)

    @staticmethod
    def _layout_of(card: QFrame) -> QVBoxLayout:
        layout = card.layout()
        assert isinstance(layout, QVBoxLayout)  # noqa: S101 (made by `_card`)
        return layout

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._devices is None and not self.running.isHidden():
            self.devices_wanted.emit()

    # What is on view

    def show_model(self, model: ModelOverview, engine: EngineSection, state: ModelState) -> None:
        """Show what is set for this model, and what the settings of all say for the rest."""
        if model.name != self._name:
            self.flush()
            self._name = model.name
            self._told = {}
        self.running.setVisible(model.remote is None)
        self.device_row.setVisible(model.format == GENAI)
        is_loaded = state is ModelState.READY
        self.again_button.setVisible(is_loaded)
        self.again_button.setEnabled(not model.is_answering)
        self._show_defaults(model, engine)
        values = {
            key: value for key, value in msgspec.structs.asdict(model.settings).items() if key in self._keys()
        }
        if values != self._told and not self._timer.isActive():
            self._told = values
            self._show(values)

    def show_devices(self, report: DeviceReport) -> None:
        """What models can run on here."""
        self._devices = report
        self._fill_devices(self.device.currentData())

    def flush(self) -> None:
        """Tell now what waits to be told."""
        self._timer.stop()
        if not self._name:
            return
        values = self._values()
        changes = {key: value for key, value in values.items() if value != self._told.get(key)}
        if changes:
            self._told = values
            self.changed.emit(self._name, changes)

    def _keys(self) -> set[str]:
        return {"system_prompt", "device", *self.rows}

    def _show_defaults(self, model: ModelOverview, engine: EngineSection) -> None:
        prompt = model.defaults.system_prompt or tr("How the assistant should behave. Optional.")
        self.prompt.setPlaceholderText(prompt)
        for key, row in self.rows.items():
            section = engine if key in (_CONTEXT.name, _REST.name) else model.defaults
            default = float(getattr(section, key))
            if self._defaults.get(key) != default:  # else what is being typed stays as it is
                self._defaults[key] = default
                row.set_default(default)
        if self._default_device != engine.device:
            self._default_device = engine.device
            self._fill_devices(self.device.currentData())

    def _show(self, values: Mapping[str, Any]) -> None:
        prompt = values["system_prompt"] or ""
        if prompt != self.prompt.toPlainText():
            self.prompt.blockSignals(True)
            self.prompt.setPlainText(prompt)
            self.prompt.blockSignals(False)
        for key, row in self.rows.items():
            row.set_value(values[key])
        self._fill_devices(values["device"])
        self._show_resets()

    def _fill_devices(self, chosen: str | None) -> None:
        """The devices that can be used; nothing chosen is what the settings of all say."""
        fastest = tr("What is fastest")
        titles = {AUTO: fastest}
        for device in self._devices.devices if self._devices else ():
            if device.is_usable or device.id == chosen:
                titles[device.id] = device.title
        self.device.clear()
        default = titles.get(self._default_device, self._default_device)
        self.device.addItem(tr("As for all models ({name})", name=default), None)
        for id_, title in titles.items():
            self.device.addItem(title, id_)
        if chosen is None:
            self.device.setCurrentIndex(0)
        else:
            self.device.show_choice(chosen, chosen)

    def _show_resets(self) -> None:
        self.prompt_reset.setVisible(bool(self.prompt.toPlainText()))
        self.device_reset.setVisible(self.device.currentData() is not None)

    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = {key: row.value() for key, row in self.rows.items()}
        return values | {
            "system_prompt": self.prompt.toPlainText() or None,
            "device": self.device.currentData(),
        }

    @Slot()
    def _on_edited(self) -> None:
        self._show_resets()
        self._timer.start()

    @Slot()
    def _on_device_reset(self) -> None:
        self.device.setCurrentIndex(0)
        self.device.setFocus()
        self._on_edited()

    @Slot()
    def _on_load_again(self) -> None:
        self.flush()
        self.load_again_wanted.emit()


def _card(parent: QWidget) -> QFrame:
    card = QFrame(parent)
    card.setProperty("kind", "card")
    column = QVBoxLayout(card)
    column.setContentsMargins(Space.L, Space.M, Space.L, Space.M)
    column.setSpacing(Space.M)
    return card
