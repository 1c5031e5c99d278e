"""The last page of the wizard: how good the new model is, how fast, and the way to a chat with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QWidget

from hearth.i18n import tr
from hearth.services.quality_words import judgement, plain_text
from hearth.ui.add_model.layer_chart import LayerChart
from hearth.ui.add_model.page import AddModelPage, LinkButton, card, section_label
from hearth.ui.add_model.quality_figures import figures_text, size_words
from hearth.ui.add_model.speed_card import SpeedCard
from hearth.ui.text_scale import text_label
from hearth.ui.theme import FontSize
from hearth.ui.wording import size_text

if TYPE_CHECKING:
    from hearth.models.registry import ModelEntry


class ReadyPage(AddModelPage):
    """Shows one model.

    Attributes:
        entry: the model; None while none is on view.
        speed: measures it.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", "", parent)
        self.entry: ModelEntry | None = None
        content, column = self.add_scrolled()
        frame, inner = card(content)
        inner.addWidget(section_label(frame, tr("Quality")))
        self.quality = text_label(frame, size=FontSize.CHAT, weight=QFont.Weight.DemiBold)
        self.judgement = text_label(frame, kind="secondary")
        self.sizes = text_label(frame)
        self.more_button = LinkButton(frame)
        self.more_button.clicked.connect(self._on_more)
        self.figures = text_label(frame, kind="secondary")
        self.chart = LayerChart(frame)
        for part in (self.quality, self.judgement, self.sizes):
            inner.addWidget(part)
        inner.addWidget(self.more_button)
        inner.addWidget(self.figures)
        inner.addWidget(self.chart)
        column.addWidget(frame)
        self.speed = SpeedCard(content)
        column.addWidget(self.speed)
        column.addStretch(1)

    def show_entry(self, entry: ModelEntry) -> None:
        """The model is there."""
        self.entry = entry
        self.say(tr("{name} is ready", name=entry.name), tr("It runs on this machine, without a network."))
        report = entry.manifest.quality
        if report is None:
            self.quality.setText(tr("How near it is to the original was not measured."))
            self.judgement.setText(
                tr("Only what is compressed here is compared with the original.")
                if entry.manifest.quantization is None
                else ""
            )
            self.sizes.setText(tr("Size: {text}", text=size_text(entry.bytes)))
        else:
            self.quality.setText(plain_text(report))
            self.judgement.setText(judgement(report))
            self.sizes.setText(tr("Size: {text}", text=size_words(report)))
            self.figures.setText(figures_text(report))
            self.chart.show_errors(report.layers)
        self.judgement.setVisible(bool(self.judgement.text()))
        self.more_button.setVisible(report is not None)
        self._show_more(False)
        self.show_expected(0.0)
        self.update_buttons()

    def show_expected(self, speed: float) -> None:
        """So many tokens a second it should write; 0 where that is not known."""
        self.speed.show_expected(speed)
        if self.entry is not None and self.entry.manifest.speed is not None:
            self.speed.show_report(self.entry.manifest.speed)

    def update_buttons(self) -> None:
        """What the foot offers; not the chat while the model is measured."""
        self.show_buttons(tr("Chat Now"), back=tr("Add Another"), enabled=not self.speed.is_running())

    @Slot()
    def _on_more(self) -> None:
        self._show_more(self.figures.isHidden())

    def _show_more(self, shown: bool) -> None:
        self.more_button.setText(tr("Hide the Figures") if shown else tr("Show the Figures"))
        self.figures.setVisible(shown)
        self.chart.setVisible(shown and self.chart.has_errors())
