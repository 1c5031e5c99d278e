"""The second page of the wizard: what the model is, its licence, in which form it comes, how it will do here, its name."""

from __future__ import annotations

from PySide6.QtCore import QLocale, Qt, Signal, Slot
from PySide6.QtWidgets import QGridLayout, QLineEdit, QStackedWidget, QVBoxLayout, QWidget

from hearth.errors import RepositoryNotFound, RepositoryUnfit
from hearth.i18n import tr
from hearth.models.hub.address import host, page
from hearth.models.hub.choices import Format
from hearth.services.model_forms import ModelForms
from hearth.ui.add_model.fit_card import FitCard
from hearth.ui.add_model.form_choices import FormChoices
from hearth.ui.add_model.gate_card import GateCard
from hearth.ui.add_model.listed_model import parameters_text
from hearth.ui.add_model.page import AddModelPage, LinkButton, section_label
from hearth.ui.add_model.waiting import Waiting
from hearth.ui.import_dialog import name_problem
from hearth.ui.text_scale import text_label
from hearth.ui.theme import Space
from hearth.ui.vertical_scroll import vertical_scroll
from hearth.ui.wording import error_text


class DetailsPage(AddModelPage):
    """Shows that it waits, what went wrong, or one model.

    Attributes:
        forms: what is on view; None while nothing is.

    Signals:
        again_wanted: the hub shall be asked again.
        link_activated: an address to be opened in the browser.
    """

    again_wanted = Signal()
    link_activated = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", "", parent)
        self.forms: ModelForms | None = None
        self._adding = False
        self._failure = ""  # to put it into the queue
        self.waiting = Waiting(self)
        self.waiting.pressed.connect(self.again_wanted)
        content = QWidget(self)
        content.setObjectName("addModelContent")
        self._build(content)
        self.body = QStackedWidget(self)
        self.body.addWidget(self.waiting)
        self.area = vertical_scroll(content, self)
        self.body.addWidget(self.area)
        self.column.addWidget(self.body, 1)

    # What others tell

    def show_looking(self, title: str) -> None:
        """The hub is asked for the model of that title."""
        self.forms = None
        self._adding = False
        self._failure = ""
        self.gate.say("")
        self.say(title, "")
        self.waiting.show_busy(tr("Asking {host} what there is…", host=host()))
        self.body.setCurrentWidget(self.waiting)
        self._update()

    def show_failure(self, error: Exception) -> None:
        """The hub could not be asked, or the model could not be had."""
        text = error_text(error)
        if isinstance(error, RepositoryUnfit | RepositoryNotFound):
            text = tr("{text} Go back and choose another one.", text=error.what_text())
        self.waiting.show_words(text, tr("Try Again"))
        self.body.setCurrentWidget(self.waiting)
        self.waiting.button.setFocus()
        self._update()

    def show_forms(self, forms: ModelForms) -> None:
        """The model is known."""
        is_new = self.forms is None
        self.forms = forms
        self._adding = False
        entry = forms.entry
        self.say(forms.title, "" if entry is None else entry.good_at_text)
        facts = [] if entry is None else [parameters_text(entry.parameters)]
        shape = next((fit.shape for form in forms.forms for fit in form.fits.values()), None)
        if shape is not None and entry is None:
            facts.append(parameters_text(shape.parameters))
        if shape is not None:
            facts.append(tr("up to {n} tokens", n=QLocale().toString(shape.context)))
        self.facts.setText(" · ".join(facts))
        for part in (self.facts, self._facts_label):
            part.setVisible(bool(facts))
        self.source.setText(forms.page.partition("://")[2])
        self.source.setToolTip(forms.page)
        self.licence.setText(forms.licence.replace("&", "&&") or tr("not named; see its page"))
        self.licence.setToolTip(forms.licence_url or forms.page)
        self.choices.show_forms(forms)
        self._show_reason(forms)
        self.name.setText(forms.name)
        self.body.setCurrentIndex(1)
        self._on_form()
        if is_new:  # not where the model before was left
            self.area.verticalScrollBar().setValue(0)

    def show_judged(self, forms: ModelForms) -> None:
        """The model on view, judged anew: what was chosen and typed stays."""
        self.forms = forms
        self.choices.show_judged(forms)
        self._show_reason(forms)
        self.fit.show_judged(self.choices.form(), self.choices.recipe(), forms)
        self._update()

    def show_problem(self, error: Exception) -> None:
        """It could not be put into the queue."""
        self._adding = False
        self._failure = error_text(error)
        self._update()
        self._reveal_problem()

    def show_adding(self) -> None:
        """It is being put into the queue."""
        self._adding = True
        self._failure = ""
        self._update()

    def focus(self) -> QWidget | None:
        return None if self.can_go_on else self.gate.token if self.gate.isVisible() else self.name

    # Building

    def _build(self, content: QWidget) -> None:
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, Space.M, 0)
        column.setSpacing(Space.M)
        column.addLayout(self._build_facts(content))
        self.gate = GateCard(content)
        self.gate.link_activated.connect(self.link_activated)
        column.addWidget(self.gate)
        self.choices = FormChoices(content)
        self.choices.chosen.connect(self._on_form)
        column.addSpacing(Space.S)
        column.addWidget(section_label(content, tr("How it comes")))
        self.reason = text_label(content, kind="secondary")
        column.addWidget(self.choices)
        column.addWidget(self.reason)
        self.fit = FitCard(content)
        self.fit.recipe_wanted.connect(self._on_recipe_wanted)
        column.addSpacing(Space.S)
        column.addWidget(section_label(content, tr("On this machine")))
        column.addWidget(self.fit)
        self.name = QLineEdit(content)
        self.name.setObjectName("addModelName")
        self.name.setAccessibleName(tr("Name of the model in Hearth"))
        self.name.textChanged.connect(self._on_name)
        self.problem = text_label(content, kind="danger")
        column.addSpacing(Space.S)
        column.addWidget(section_label(content, tr("Name in Hearth")))
        column.addWidget(self.name)
        column.addWidget(self.problem)
        column.addStretch(1)

    def _build_facts(self, content: QWidget) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(Space.L)
        grid.setVerticalSpacing(Space.XS)
        grid.setColumnStretch(1, 1)
        self.facts = text_label(content)
        self.licence, self.source = LinkButton(content), LinkButton(content)
        self.licence.clicked.connect(self._on_licence)
        self.source.clicked.connect(lambda: self.link_activated.emit(self.source.toolTip()))
        rows = ((tr("Size"), self.facts), (tr("Licence"), self.licence), (tr("From"), self.source))
        for row, (name, part) in enumerate(rows):
            label = text_label(content, name, kind="secondary")
            label.setWordWrap(False)
            part.setAccessibleDescription(name)
            grid.addWidget(label, row, 0)
            if part is self.facts:
                grid.addWidget(part, row, 1)
            else:
                grid.addWidget(part, row, 1, Qt.AlignmentFlag.AlignLeft)
            if row == 0:
                self._facts_label = label
        return grid

    def _show_reason(self, forms: ModelForms) -> None:
        self.reason.setText("" if forms.reason is None else str(forms.reason))
        self.reason.setVisible(forms.reason is not None)

    # What the user does

    @Slot()
    def _on_form(self) -> None:
        forms = self.forms
        if forms is None:
            return
        self._failure = ""
        form, recipe = self.choices.form(), self.choices.recipe()
        self.fit.show_form(form, recipe, forms)
        self.gate.set_busy(False)
        if form.refusal is not None:
            self.gate.show_gate(page(form.repository.name))
        else:
            self.gate.hide()
        self._update()

    @Slot(str)
    def _on_recipe_wanted(self, recipe: str) -> None:
        self.choices.choose(self.choices.form(), recipe)
        self._on_form()

    @Slot(str)
    def _on_name(self, _name: str) -> None:
        self._failure = ""
        self._update()
        self._reveal_problem()

    def _reveal_problem(self) -> None:
        if self.problem.isVisible():
            self.reveal(self.problem)

    @Slot()
    def _on_licence(self) -> None:
        self.link_activated.emit(self.licence.toolTip())

    def _update(self) -> None:
        forms = self.forms
        if forms is None:
            self.show_buttons("", back=tr("Back"), enabled=False)
            return
        form = self.choices.form()
        problem = name_problem(self.name.text(), forms.taken)
        self.problem.setText(problem or self._failure)
        self.problem.setVisible(bool(problem or self._failure))
        text = tr("Download and Compress") if form.choice.format is Format.CHECKPOINT else tr("Download")
        allowed = not problem and form.refusal is None and self.fit.has_room() and not self._adding
        self.show_buttons(text, back=tr("Back"), enabled=allowed)
