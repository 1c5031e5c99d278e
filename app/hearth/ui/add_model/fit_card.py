"""How a model would do on this machine: the verdict and its reason, memory and speed by length, room and time it takes."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QLocale, QSignalBlocker, Qt, Signal, Slot
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from hearth.i18n import tr
from hearth.models.fit import CONTEXTS, Advice, Estimate, Fit, ModelFit, advise, contexts_up_to
from hearth.services.model_forms import CONTEXT, Form, ModelForms
from hearth.ui.add_model.form_choices import recipe_text
from hearth.ui.add_model.listed_model import (
    VERDICT_COLOURS,
    VERDICT_ICONS,
    VERDICTS,
    verdict_of,
    verdict_text,
)
from hearth.ui.add_model.page import card
from hearth.ui.settings.choice_box import ChoiceBox
from hearth.ui.text_scale import text_label
from hearth.ui.theme import FontSize, Space, icon, theme
from hearth.ui.wording import about_text, memory_text, size_text, speed_text

_COLUMNS = 5


class FitCard(QWidget):
    """Shows one form at a time.

    Signals:
        recipe_wanted: the recipe that would fit better shall be used.
    """

    recipe_wanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._fit: ModelFit | None = None
        self._bytes = 0
        self._is_measured = True
        self._wanted: int | None = None  # tokens that the user has chosen
        self._verdict: Fit | None = None
        self._advice: Advice | None = None
        self._has_room = True
        frame, column = card(self)
        self._icon = QLabel(frame)
        self.verdict = text_label(frame, weight=QFont.Weight.DemiBold)
        head = QHBoxLayout()
        head.setSpacing(Space.S)
        head.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self.verdict, 1)
        column.addLayout(head)
        self.advice = text_label(frame, kind="secondary")
        self.advice_button = QPushButton(frame)
        self.advice_button.clicked.connect(self._on_advice)
        advice = QHBoxLayout()
        advice.setSpacing(Space.M)
        advice.addWidget(self.advice, 1)
        advice.addWidget(self.advice_button)
        column.addLayout(advice)
        column.addLayout(self._build_context(frame))
        column.addSpacing(Space.S)
        self.caption = text_label(
            frame,
            tr("By the length of a conversation, in tokens; a token is about three quarters of a word:"),
            kind="secondary",
            size=FontSize.SMALL,
        )
        column.addWidget(self.caption)
        column.addLayout(self._build_table(frame))
        self.measuring = text_label(
            frame, tr("Measuring this machine…"), kind="secondary", size=FontSize.SMALL
        )
        column.addWidget(self.measuring)
        column.addSpacing(Space.S)
        self.disk = text_label(frame, kind="secondary")
        column.addWidget(self.disk)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(frame)
        theme().changed.connect(self._restyle)

    def show_form(self, form: Form, recipe: str, forms: ModelForms) -> None:
        """How this form would do, which is one of `forms`."""
        self._wanted = None
        self.show_judged(form, recipe, forms)

    def show_judged(self, form: Form, recipe: str, forms: ModelForms) -> None:
        """The same, judged anew: the length of conversations that was chosen stays."""
        fit = form.fits.get(recipe)
        contexts = [] if fit is None else contexts_up_to(fit.shape.context)
        estimates = [] if fit is None else [fit.at(context) for context in contexts]
        self._fit = fit
        self._is_measured = forms.is_measured
        self.measuring.setVisible(fit is not None and not forms.is_measured)
        self._bytes = form.choice.bytes
        self._advice = None if fit is None else advise(form.fits, recipe, CONTEXT)
        if self._advice is not None and self._advice.recipe == recipe:
            self._advice = None  # a shorter conversation alone, which can be chosen
        self._show_contexts(estimates)
        self._show_verdict()
        self._show_advice()
        self._show_table(estimates)
        self._show_disk(form, fit, forms.disk_free_bytes)

    def context(self) -> int | None:
        """Tokens that a conversation shall have at most; None where that makes no difference."""
        return None if self.context_box.isHidden() else int(self.context_box.currentData())

    def has_room(self) -> bool:
        """Whether the disk can take the form on view."""
        return self._has_room

    def _build_context(self, frame: QWidget) -> QHBoxLayout:
        self.context_box = ChoiceBox(frame)
        self._context_label = text_label(frame, tr("Conversations of up to"))
        self.context_box.setAccessibleName(self._context_label.text())
        self.context_box.activated.connect(self._on_context)
        row = QHBoxLayout()
        row.setSpacing(Space.M)
        row.addWidget(self._context_label, 1)
        row.addWidget(self.context_box)
        return row

    def _build_table(self, frame: QWidget) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(Space.L)
        grid.setVerticalSpacing(Space.XS)
        self.cells: list[list[QLabel]] = []
        self._headers: list[QLabel] = []
        headers = (tr("Tokens"), tr("Memory"), tr("Reads a second"), tr("Writes a second"), "")
        for place, header in enumerate(headers):
            label = text_label(frame, header, kind="faint", size=FontSize.SMALL)
            label.setWordWrap(False)
            grid.addWidget(label, 0, place)
            self._headers.append(label)
        for row in range(1, len(CONTEXTS) + 1):
            cells = [text_label(frame) for _ in range(_COLUMNS)]
            for place, cell in enumerate(cells):
                cell.setWordWrap(False)
                grid.addWidget(cell, row, place)
            self.cells.append(cells)
        grid.setColumnStretch(_COLUMNS, 1)
        return grid

    def _show_contexts(self, estimates: list[Estimate]) -> None:
        """A choice of length, where the length decides how well the model runs."""
        verdicts = [estimate.fit for estimate in estimates]
        matters = len(set(verdicts)) > 1
        with QSignalBlocker(self.context_box):
            self.context_box.clear()
            for estimate in estimates:
                text = tr("{n} tokens", n=QLocale().toString(estimate.context))
                self.context_box.addItem(
                    tr("{text} ({detail})", text=text, detail=self._verdict_text(estimate)), estimate.context
                )
            best = min(verdicts, key=list(VERDICTS).index, default=None)
            for place, verdict in enumerate(verdicts):  # the longest of those that fit best
                if verdict is best:
                    self.context_box.setCurrentIndex(place)
            wanted = self.context_box.findData(self._wanted)
            if wanted >= 0:
                self.context_box.setCurrentIndex(wanted)
        self.context_box.setVisible(matters)
        self._context_label.setVisible(matters)

    def _show_verdict(self) -> None:
        fit = self._fit
        estimate = None if fit is None else fit.at(self.context() or CONTEXT)
        self._verdict = None if estimate is None else verdict_of(estimate, is_measured=self._is_measured)
        self._icon.setVisible(self._verdict is not None)
        if estimate is None:
            size = memory_text(self._bytes)
            self.verdict.setText(
                tr("It takes at least {size} of memory. How well it runs is told when it is here.", size=size)
            )
        else:
            verdict, reason = verdict_text(self._verdict), estimate.reason
            values = {**reason.values, "n": speed_text(estimate.write_speed)}  # as in the table below
            reason = replace(reason, values=values)
            self.verdict.setText(tr("{verdict}: {reason}.", verdict=verdict, reason=reason))
        self._restyle()

    def _show_advice(self) -> None:
        advice = self._advice
        self.advice.setVisible(advice is not None)
        self.advice_button.setVisible(advice is not None)
        if advice is None:
            return
        recipe, verdict = recipe_text(advice.recipe), self._verdict_text(advice.estimate)
        if advice.context < CONTEXT:
            text = tr(
                "“{recipe}” with conversations of {n} tokens: {verdict}.",
                recipe=recipe,
                n=QLocale().toString(advice.context),
                verdict=verdict,
            )
        else:
            text = tr("“{recipe}”: {verdict}.", recipe=recipe, verdict=verdict)
        self.advice.setText(text)
        self.advice_button.setText(tr("Use “{recipe}”", recipe=recipe))

    def _show_table(self, estimates: list[Estimate]) -> None:
        for header in self._headers:
            header.setVisible(bool(estimates))
        self.caption.setVisible(bool(estimates))
        differ = len({estimate.fit for estimate in estimates}) > 1
        for row, cells in enumerate(self.cells):
            for cell in cells:
                cell.setVisible(row < len(estimates) and (differ or cell is not cells[-1]))
            if row < len(estimates):
                for cell, text in zip(cells, self._row_texts(estimates[row]), strict=True):
                    cell.setText(text)

    def _show_disk(self, form: Form, fit: ModelFit | None, free: int) -> None:
        parts = [tr("{size} to fetch", size=size_text(form.choice.bytes))]
        needed = form.choice.bytes
        if fit is not None:
            kept = fit.disk.model + fit.disk.packed
            needed = max(needed, fit.disk.most)
            if kept != form.choice.bytes:
                parts.append(tr("{size} on the disk", size=size_text(kept)))
            if needed > kept:
                parts.append(tr("{size} meanwhile", size=size_text(needed)))
        if free:
            parts.append(tr("{size} are free", size=size_text(free)))
        if fit is not None and fit.quantizing_seconds:
            parts.append(tr("{time} to compress it", time=about_text(fit.quantizing_seconds)))
        self._has_room = not free or needed <= free
        text = " · ".join(parts)
        if not self._has_room:
            text = tr(
                "{text}. The disk has not enough room for it: make room, or choose something smaller.",
                text=text,
            )
        self.disk.setText(text)
        self.disk.setProperty("kind", "secondary" if self._has_room else "danger")
        self.disk.style().polish(self.disk)

    def _row_texts(self, estimate: Estimate) -> tuple[str, ...]:
        return (
            QLocale().toString(estimate.context),
            memory_text(estimate.memory.model),
            speed_text(estimate.read_speed) if estimate.read_speed else "–",
            speed_text(estimate.write_speed) if estimate.write_speed else "–",
            self._verdict_text(estimate),
        )

    def _verdict_text(self, estimate: Estimate) -> str:
        return verdict_text(verdict_of(estimate, is_measured=self._is_measured))

    @Slot()
    def _on_context(self) -> None:
        self._wanted = self.context()
        self._show_verdict()

    @Slot()
    def _on_advice(self) -> None:
        if self._advice is not None:
            self.recipe_wanted.emit(self._advice.recipe)

    @Slot()
    def _restyle(self) -> None:
        fit = self._verdict
        if fit is not None:
            self._icon.setPixmap(
                icon(VERDICT_ICONS[fit], VERDICT_COLOURS[fit]).pixmap(Space.ICON, Space.ICON)
            )
