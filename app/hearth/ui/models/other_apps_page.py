"""The models of other apps on this machine, each added with one click where it lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from hearth.i18n import tr
from hearth.models.other_apps.finder import app_title
from hearth.models.other_apps.found_model import Format, FoundModel
from hearth.services.other_apps import Finding
from hearth.ui.elided_label import ElidedLabel
from hearth.ui.models.facts import format_text
from hearth.ui.models.facts_card import quiet_label
from hearth.ui.models.model_job import JobCard, ModelJob
from hearth.ui.models.model_page import SCROLL_BAR
from hearth.ui.settings.page import heading_label
from hearth.ui.theme import Space
from hearth.ui.vertical_scroll import vertical_scroll
from hearth.ui.wording import size_text


class FoundRow(QFrame):
    """One model of another app.

    Signals:
        add_wanted: the FoundModel.
        quantize_wanted: the FoundModel, which is unquantized.
        show_wanted: the name of the model in Hearth that has these files.
    """

    add_wanted = Signal(object)
    quantize_wanted = Signal(object)
    show_wanted = Signal(str)

    def __init__(self, finding: Finding, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.finding = finding
        model = finding.model
        self.setProperty("kind", "card")
        name = ElidedLabel(self)
        name.setObjectName("foundName")
        name.show_text(model.name)
        self.button = QPushButton(self)
        self.button.setText(self._label())
        self.button.setAccessibleName(f"{self._label()}: {model.name}")
        self.button.clicked.connect(self._on_clicked)
        facts = QLabel(" · ".join(_facts(model)), self)
        facts.setProperty("kind", "secondary")
        facts.setTextFormat(Qt.TextFormat.PlainText)
        facts.setWordWrap(True)
        facts.setMinimumWidth(1)
        self.job = JobCard(self)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(name)
        words.addWidget(facts)
        top = QHBoxLayout()
        top.setSpacing(Space.L)
        top.addLayout(words, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Space.L, Space.S, Space.M, Space.S)
        layout.addLayout(top)
        top.addWidget(self.button, 0, Qt.AlignmentFlag.AlignVCenter)
        self.how = quiet_label(self._how(), self)
        self.how.setVisible(bool(self._how()))
        layout.addWidget(self.how)
        layout.addWidget(self.job)

    def show_job(self, job: ModelJob | None) -> None:
        self.job.show_job(job)
        self.button.setEnabled(job is None)

    def show_made(self, name: str) -> None:
        """A model of that name is being made of it."""
        self.button.setEnabled(False)
        self.how.setText(
            tr("“{name}” is being made of it: the main window shows how far that is.", name=name)
        )

    def _label(self) -> str:
        if self.finding.added_as:
            return tr("Show")
        return tr("Compress (quantize)") if self.is_unquantized() else tr("Add")

    def is_unquantized(self) -> bool:
        """Whether Hearth has to make a model of it first."""
        return self.finding.model.format is Format.CHECKPOINT

    def _how(self) -> str:
        if self.finding.added_as:
            return tr("In Hearth as “{name}”", name=self.finding.added_as)
        if self.is_unquantized():
            return tr(
                "The uncompressed original: Hearth makes a model of it that it can run, which takes a while."
            )
        return ""

    @Slot()
    def _on_clicked(self) -> None:
        if self.finding.added_as:
            self.show_wanted.emit(self.finding.added_as)
        else:
            (self.quantize_wanted if self.is_unquantized() else self.add_wanted).emit(self.finding.model)


class OtherAppsPage(QWidget):
    """What was found, by app.

    Attributes:
        rows: on view, by the models' references.

    Signals:
        add_wanted: a FoundModel.
        quantize_wanted: one that is unquantized.
        show_wanted: the name of a model in Hearth.
        look_wanted: look again.
    """

    add_wanted = Signal(object)
    quantize_wanted = Signal(object)
    show_wanted = Signal(str)
    look_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("modelPage")
        self.rows: dict[str, FoundRow] = {}
        self._findings: list[Finding] | None = None
        self._pressed = ""  # reference of the model whose button was pressed last
        self.title = QLabel(tr("From Other Apps"), self)
        self.title.setObjectName("pageTitle")
        self.title.setWordWrap(True)
        self.look_button = QPushButton(tr("Look Again"), self)
        self.look_button.clicked.connect(self.look_wanted)
        self.intro = QLabel(
            tr(
                "Models that other apps keep on this computer. Hearth uses their files where they are: nothing is copied,"
                " changed or deleted."
            ),
            self,
        )
        self.intro.setProperty("kind", "secondary")
        self.intro.setWordWrap(True)
        self.empty = QLabel(self)
        self.empty.setProperty("kind", "faint")
        self.empty.setWordWrap(True)
        self._content = QWidget(self)
        self._column = QVBoxLayout(self._content)
        self._column.setContentsMargins(0, Space.S, Space.XL - SCROLL_BAR, Space.L)
        self._column.setSpacing(Space.S)
        top = QHBoxLayout()
        top.addWidget(self.title, 1)
        top.addWidget(self.look_button)
        head = QVBoxLayout()
        head.setContentsMargins(0, 0, Space.XL, 0)
        head.setSpacing(Space.S)
        head.addLayout(top)
        head.addWidget(self.intro)
        head.addWidget(self.empty)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Space.XL, Space.L, 0, 0)
        layout.addLayout(head)
        area = vertical_scroll(self._content, self)
        area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)  # unseen where there is no need
        layout.addWidget(area, 1)
        self.show_looking()

    def show_looking(self) -> None:
        """It is being looked."""
        if not self._findings:
            self.empty.setText(tr("Looking…"))
            self.empty.show()

    def show_findings(
        self, findings: Sequence[Finding], jobs: Mapping[str, ModelJob], made: Mapping[str, str]
    ) -> None:
        """What was found, what is being added, and of what a model is being made, with its name."""
        if list(findings) != self._findings:
            self._findings = list(findings)
            focused = QApplication.focusWidget()
            has_focus = focused is not None and self._content.isAncestorOf(focused)
            self._fill(findings)
            if has_focus and self._pressed in self.rows:
                self.rows[self._pressed].button.setFocus()
        for reference, row in self.rows.items():
            row.show_job(jobs.get(reference))
            if reference in made:
                row.show_made(made[reference])
        self.empty.setText(tr("Nothing was found. Hearth looks for models of {apps}.", apps=_app_names()))
        self.empty.setVisible(not findings)

    def _on_pressed(self, reference: str) -> None:
        self._pressed = reference

    def _fill(self, findings: Sequence[Finding]) -> None:
        while item := self._column.takeAt(0):
            if widget := item.widget():
                widget.hide()
                widget.deleteLater()
        self.rows = {}
        for app, models in groupby(findings, key=lambda finding: finding.model.app):
            self._column.addWidget(heading_label(app_title(app), self._content))
            for finding in models:
                row = FoundRow(finding, self._content)
                row.button.clicked.connect(partial(self._on_pressed, finding.model.reference))
                row.add_wanted.connect(self.add_wanted)
                row.quantize_wanted.connect(self.quantize_wanted)
                row.show_wanted.connect(self.show_wanted)
                self.rows[finding.model.reference] = row
                self._column.addWidget(row)
            self._column.addSpacing(Space.S)
        self._column.addStretch(1)


def _facts(model: FoundModel) -> list[str]:
    format_ = tr("uncompressed original") if model.format is Format.CHECKPOINT else format_text(model.format)
    source = "" if model.source == model.name else model.source  # many apps name a model as its source does
    return [format_, size_text(model.bytes), *filter(None, (model.licence, source))]


def _app_names() -> str:
    from hearth.models.other_apps.finder import APPS

    return ", ".join(app.title for app in APPS)
