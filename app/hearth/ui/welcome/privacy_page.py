"""The first page of the welcome: the language, and what stays on this machine."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QRadioButton, QWidget

from hearth import i18n, paths
from hearth.i18n import tr
from hearth.ui import theme
from hearth.ui.text_scale import text_label
from hearth.ui.theme import Space
from hearth.ui.welcome.page import WelcomePage


class PrivacyPage(WelcomePage):
    """The language acts at once.

    Attributes:
        languages: the buttons to choose one, by its code.

    Signals:
        language_chosen: the code of another language than the one in force.
    """

    language_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(
            tr("Welcome to Hearth"),
            tr("A private assistant that runs on this machine, with language models that you choose."),
            parent,
        )
        self.languages: dict[str, QRadioButton] = {}
        self._ticks: list[QLabel] = []
        self.add(text_label(self, tr("Language"), weight=QFont.Weight.DemiBold), Space.L)
        self.add(self._build_languages())
        self.add(text_label(self, tr("What stays on this machine"), weight=QFont.Weight.DemiBold), Space.L)
        for text in (
            tr("Everything you write and every answer: models run here, and they work without a network."),
            tr("All files, in one folder of yours: {path}", path=str(paths.home())),
            tr("Nothing is sent anywhere: no account, no telemetry. A link is opened only when you say so."),
        ):
            self.add(self._build_point(text))
        self.end()
        self.show_language()
        theme.theme().changed.connect(self._restyle)
        self._restyle()

    def show_language(self) -> None:
        """Mark the language in force."""
        self.languages[i18n.language()].setChecked(True)

    def _build_languages(self) -> QWidget:
        row = QWidget(self)
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Space.XL)
        group = QButtonGroup(row)
        for code, name in i18n.LANGUAGES.items():
            button = QRadioButton(name, row)
            button.setObjectName(f"language-{code}")
            button.clicked.connect(lambda _, code=code: self._on_chosen(code))
            group.addButton(button)
            layout.addWidget(button)
            self.languages[code] = button
        layout.addStretch(1)
        return row

    def _build_point(self, text: str) -> QWidget:
        row = QWidget(self)
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Space.M)
        tick = QLabel(row)
        layout.addWidget(tick, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(text_label(row, text), 1)
        self._ticks.append(tick)
        return row

    def _on_chosen(self, code: str) -> None:
        if code != i18n.language():
            self.language_chosen.emit(code)

    def _restyle(self) -> None:
        for tick in self._ticks:
            tick.setPixmap(theme.icon("check", "success").pixmap(Space.ICON, Space.ICON))
