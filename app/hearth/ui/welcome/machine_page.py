"""The second page of the welcome: what this machine has, and which sizes of models it can run."""

from __future__ import annotations

from PySide6.QtCore import QLocale, Qt, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QPushButton, QWidget

from hearth.i18n import mark, ntr, tr
from hearth.models.fit import Fit
from hearth.services.model_sizes import ModelSizes
from hearth.ui import theme
from hearth.ui.first_line import stand_on_one_line
from hearth.ui.text_scale import text_label
from hearth.ui.theme import Space
from hearth.ui.welcome.page import WelcomePage
from hearth.ui.wording import memory_text, size_text

_FITS = (
    (Fit.WELL, mark("Run well"), "check", "success"),
    (Fit.SLOWLY, mark("Run slowly"), "warning", "accent"),
    (Fit.NOT, mark("Do not fit"), "close", "text_faint"),
)


class MachinePage(WelcomePage):
    """Says that it measures until `show_sizes` is called.

    Attributes:
        names, values: the words of each row, by a key: “processor”, “memory”, and each Fit.

    Signals:
        model_wanted: a model for this machine shall be found.
    """

    model_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(
            tr("What this machine can run"),
            tr(
                "A small starter model comes with Hearth and runs on any machine."
                " A bigger one knows more, and needs more memory:"
            ),
            parent,
        )
        self.names: dict[str, QLabel] = {}
        self.values: dict[str, QLabel] = {}
        self._icons: list[tuple[QLabel, str, str]] = []
        self._card = card = QFrame(self)
        card.setProperty("kind", "card")
        self._grid = QGridLayout(card)
        self._grid.setContentsMargins(Space.L, Space.L, Space.L, Space.L)
        self._grid.setHorizontalSpacing(Space.M)
        self._grid.setVerticalSpacing(Space.M)
        self._grid.setColumnStretch(2, 1)
        self._add_row("processor", tr("Processor"))
        self._add_row("memory", tr("Memory"))
        line = QFrame(card)
        line.setProperty("kind", "separator")
        line.setFixedHeight(1)
        self._grid.addWidget(line, self._grid.rowCount(), 0, 1, 3)
        for fit, name, icon, colour in _FITS:
            self._add_row(fit, tr(name), icon, colour)
        self.add(card, Space.M)
        self.add(
            text_label(
                self,
                tr(
                    "Sizes are in billions of parameters, at 4 bits each, with a conversation of 4,096 tokens."
                    " This is an estimate from the memory of this machine and its speed."
                ),
                kind="faint",
            ),
            Space.S,
        )
        self.find_button = QPushButton(tr("Find a Model for This Machine…"), self)
        self.find_button.clicked.connect(self.model_wanted)
        self.column.addSpacing(Space.S)
        self.column.addWidget(self.find_button, 0, Qt.AlignmentFlag.AlignLeft)
        self.end()
        self.values["processor"].setText(tr("Measuring this machine…"))
        self._align()
        theme.theme().changed.connect(self._restyle)
        self._restyle()

    def show_sizes(self, sizes: ModelSizes) -> None:
        """Say what was measured."""
        machine = sizes.machine
        cores = ntr("{n} core", "{n} cores", machine.usable_cores)
        memory = memory_text(machine.memory_bytes)
        if sizes.bandwidth:
            speed = size_text(round(sizes.bandwidth))
            memory = tr("{size}, read at {speed} a second", size=memory, speed=speed)
        self.values["processor"].setText(f"{machine.cpu} · {cores}")
        self.values["memory"].setText(memory)
        for fit in Fit:
            self.values[fit].setText(_sizes_text(sizes.those_that(fit)))
        self._align()

    def _add_row(self, key: str, name: str, icon: str = "", colour: str = "") -> None:
        card = self._card
        row = self._grid.rowCount()
        if icon:
            picture = QLabel(card)
            self._icons.append((picture, icon, colour))
            self._grid.addWidget(picture, row, 0, Qt.AlignmentFlag.AlignTop)
        words = text_label(card, name, weight=QFont.Weight.DemiBold if icon else QFont.Weight.Normal)
        words.setWordWrap(False)
        value = text_label(card, "–")
        value.setAlignment(Qt.AlignmentFlag.AlignTop)
        value.setAccessibleName(name)
        self.names[key], self.values[key] = words, value
        self._grid.addWidget(words, row, 1 if icon else 0, 1, 1 if icon else 2, Qt.AlignmentFlag.AlignTop)
        self._grid.addWidget(value, row, 2)

    def _align(self) -> None:
        for key, value in self.values.items():
            stand_on_one_line(self.names[key], value)

    def _restyle(self) -> None:
        for picture, icon, colour in self._icons:
            picture.setPixmap(theme.icon(icon, colour).pixmap(Space.ICON, Space.ICON))


def _sizes_text(sizes: list[float]) -> str:
    """Sizes in billions of parameters, such as “0.6, 1.7, 4 billion”."""
    if not sizes:
        return tr("none of the usual sizes")
    numbers = [QLocale().toString(size, "g", 3) for size in sizes]
    return tr("{sizes} billion", sizes=tr(", ").join(numbers))
