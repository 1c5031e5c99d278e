"""Settings of the window itself: language, theme and text size."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QWidget

from hearth.config import Config
from hearth.i18n import LANGUAGES, mark, tr
from hearth.ui.settings.choice_box import ChoiceBox
from hearth.ui.settings.page import SettingsPage, add_field, field_grid
from hearth.ui.window_state import FONT_SCALES

_THEMES = (("system", mark("Same as the system")), ("light", mark("Light")), ("dark", mark("Dark")))


class GeneralPage(SettingsPage):
    """Each choice acts at once.

    Signals:
        text_size_chosen: one of FONT_SCALES.
    """

    key = "general"
    text_size_chosen = Signal(float)

    def __init__(self, text_size: float, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.language = ChoiceBox(self)
        self.language.setObjectName("language")
        self.language.addItem(tr("Same as the system"), "system")
        for code, name in LANGUAGES.items():
            self.language.addItem(name, code)
        self.theme = ChoiceBox(self)
        self.theme.setObjectName("theme")
        for mode, name in _THEMES:
            self.theme.addItem(tr(name), mode)
        self.text_size = ChoiceBox(self)
        self.text_size.setObjectName("textSize")
        for scale in FONT_SCALES:
            self.text_size.addItem(tr("{percent}%", percent=round(scale * 100)), scale)
        self.text_size.setCurrentIndex(FONT_SCALES.index(text_size))
        self.language.activated.connect(self._on_language)
        self.theme.activated.connect(self._on_theme)
        self.text_size.activated.connect(self._on_text_size)
        grid = field_grid(stretched=2)
        add_field(grid, self, tr("&Language"), self.language)
        add_field(grid, self, tr("&Theme"), self.theme)
        add_field(
            grid,
            self,
            tr("Te&xt size"),
            self.text_size,
            tr("Of the conversation and of the field that you write in."),
        )
        self.column.addLayout(grid)
        self.column.addStretch(1)

    def show_config(self, config: Config) -> None:
        # A language or a theme that was written by hand into the file is shown as it stands there.
        self.language.show_choice(config.language, config.language)
        self.theme.show_choice(config.theme, config.theme)

    @Slot()
    def _on_language(self) -> None:
        self._want("language", self.language.currentData())

    @Slot()
    def _on_theme(self) -> None:
        self._want("theme", self.theme.currentData())

    @Slot()
    def _on_text_size(self) -> None:
        self.text_size_chosen.emit(self.text_size.currentData())

    def _want(self, setting: str, value: str) -> None:
        self.change_wanted.emit({setting: None if value == "system" else value})
