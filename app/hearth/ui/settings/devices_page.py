"""What models can run on here, and what was measured for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QPushButton, QWidget

from hearth.config import Config
from hearth.engine.providers.trial import AUTO
from hearth.hardware.machine import read_machine
from hearth.i18n import ntr, tr
from hearth.services.devices import (
    DeviceReport,
    DeviceRow,
    ModelDevices,
    TrialRow,
    examine_devices,
    measure_again,
    use_text,
)
from hearth.ui.first_line import stand_on_one_line
from hearth.ui.settings.choice_box import ChoiceBox
from hearth.ui.settings.page import SettingsPage, add_field, field_grid, heading_label, hint_label
from hearth.ui.tasks import Lane, Tasks
from hearth.ui.theme import Space
from hearth.ui.wording import measured_speed_text

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth


class DevicesPage(SettingsPage):
    """Asks what there is each time that it comes on view; that takes a second.

    Attributes:
        device: what models shall run on.
        states: per device, what is said of it.
        measured: per model, what was measured.
        again_buttons: per model, the button that measures it again.
    """

    key = "devices"

    def __init__(self, hearth: Hearth, tasks: Tasks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._hearth = hearth
        self._tasks = tasks
        self._is_measuring = False
        self.states: dict[str, QLabel] = {}
        self.measured: dict[str, QLabel] = {}
        self.again_buttons: dict[str, QPushButton] = {}
        self.device = ChoiceBox(self)
        self.device.setObjectName("device")
        self.device.activated.connect(self._on_device)
        grid = field_grid(stretched=2)
        add_field(
            grid,
            self,
            tr("Run models &on"),
            self.device,
            tr("Models that are loaded from now on; a device that gives wrong results is never used."),
        )
        self.column.addLayout(grid)
        self._devices = _Card(self)
        self._measured_heading = heading_label(tr("What was measured"), self)
        self._measured = _Card(self)
        for part in (self._devices, self._measured_heading, self._measured):
            self.column.addWidget(part)
        self.column.addStretch(1)
        self._show_measured(())

    def show_config(self, config: Config) -> None:
        if self.device.count() == 0:
            self.device.addItem(tr("What is fastest"), AUTO)
        self.device.show_choice(config.engine.device, config.engine.device)
        if self.isVisible():
            self._examine()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self.states:
            self._devices.clear()
            self._devices.add(hint_label(tr("Measuring…"), self))
        self._examine()

    def _examine(self) -> None:
        settings = self._hearth.config.engine
        self._tasks.run(
            lambda: examine_devices(settings.device, settings.threads, read_machine()),
            owner=self,
            view="settings.devices",
            lane=Lane.FILES,
        ).success(self._on_examined).failure(self.failed.emit)

    def _on_examined(self, report: DeviceReport) -> None:
        if self._is_measuring:
            return
        self._show_devices(report.devices, report.problem)
        self._show_measured(report.models)
        wanted = self.device.currentData()
        self.device.clear()
        self.device.addItem(tr("What is fastest"), AUTO)
        for device in report.devices:
            # One that cannot be used is shown where the settings file wants it.
            if device.is_usable or device.id == wanted:
                self.device.addItem(device.title, device.id)
        self.device.show_choice(wanted, str(wanted))

    def _show_devices(self, devices: tuple[DeviceRow, ...], problem: str) -> None:
        self._devices.clear()
        self.states = {}
        for device in devices:
            self.states[device.id] = self._devices.add_pair(device.title, _state_text(device))
        if problem:
            self._devices.add(hint_label(tr("The devices cannot be listed: {reason}", reason=problem), self))

    def _show_measured(self, models: tuple[ModelDevices, ...]) -> None:
        self._measured.clear()
        self.measured, self.again_buttons = {}, {}
        for model in models:
            text = "\n".join(_trial_text(trial) for trial in model.trials)
            button = QPushButton(tr("Measure Again"), self._measured)
            button.setAutoDefault(False)
            button.setAccessibleName(f"{button.text()}: {model.model}")
            button.clicked.connect(lambda _checked=False, name=model.model: self._on_again(name))
            self.measured[model.model] = self._measured.add_pair(model.model, text, button)
            self.again_buttons[model.model] = button
        self._measured.setVisible(bool(models))
        self._measured_heading.setVisible(bool(models))

    @Slot()
    def _on_device(self) -> None:
        device = self.device.currentData()
        self.change_wanted.emit({"engine.device": None if device == AUTO else device})

    def _on_again(self, name: str) -> None:
        hearth = self._hearth
        self._is_measuring = True
        for button in self.again_buttons.values():
            button.setEnabled(False)
        self.measured[name].setText(tr("Measuring…"))
        self._tasks.run(lambda: measure_again(hearth, name), owner=self, lane=Lane.FILES).success(
            self._on_measured
        ).failure(self._on_failed)

    def _on_measured(self, _measured: object) -> None:
        self._is_measuring = False
        self._examine()

    def _on_failed(self, error: Exception) -> None:
        self.failed.emit(error)
        self._on_measured(None)


class _Card(QFrame):
    """Names, with texts beside them."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("kind", "card")
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(Space.L, Space.M, Space.L, Space.M)
        self._grid.setHorizontalSpacing(Space.L)
        self._grid.setVerticalSpacing(Space.S)
        self._grid.setColumnStretch(1, 1)

    def clear(self) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()

    def add(self, widget: QWidget) -> None:
        """A row of its own."""
        self._grid.addWidget(widget, self._grid.rowCount(), 0, 1, 3)

    def add_pair(self, name: str, text: str, button: QPushButton | None = None) -> QLabel:
        """A name with a text beside it; the label of the text."""
        row = self._grid.rowCount()
        value = QLabel(text, self)
        value.setTextFormat(Qt.TextFormat.PlainText)
        value.setWordWrap(True)
        value.setProperty("kind", "secondary")
        value.setAccessibleName(f"{name}: {text}")
        value.setAlignment(Qt.AlignmentFlag.AlignTop)
        title = QLabel(name, self)
        title.setAlignment(Qt.AlignmentFlag.AlignTop)
        stand_on_one_line(title, value)
        self._grid.addWidget(title, row, 0)
        self._grid.addWidget(value, row, 1)
        if button is not None:
            self._grid.addWidget(button, row, 2, Qt.AlignmentFlag.AlignTop)
        return value


def _state_text(device: DeviceRow) -> str:
    """Such as “used (nothing else can be used here) · AMD EPYC · version 1.32.0”."""
    parts = [
        use_text(device),
        device.hardware,
        tr("version {version}", version=device.version) if device.version else "",
        "" if device.is_tried else tr("not tried by anybody yet"),
    ]
    return " · ".join(part for part in parts if part)


def _trial_text(trial: TrialRow) -> str:
    """Such as “CPU, 8 threads: reads 130, writes 32 tokens a second · chosen”."""
    where = ntr("{title}, {n} thread", "{title}, {n} threads", trial.threads, title=trial.title)
    if trial.refusal:
        return tr("{where}: not used, since {reason}", where=where, reason=trial.refusal)
    speeds = tr(
        "{where}: reads {read}, writes {written} tokens a second",
        where=where,
        read=measured_speed_text(trial.read_speed),
        written=measured_speed_text(trial.write_speed),
    )
    return f"{speeds} · {tr('chosen')}" if trial.is_chosen else speeds
