"""In which form a model shall come: quantized here with a recipe, as a GGUF file, or as a folder for ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Signal, Slot
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QRadioButton, QVBoxLayout, QWidget

from hearth.i18n import mark, tr
from hearth.models.hub.choices import Format
from hearth.services.model_forms import AS_IT_IS, OFFERED_RECIPES, Form, ModelForms
from hearth.ui.settings.choice_box import ChoiceBox
from hearth.ui.text_scale import text_label
from hearth.ui.theme import FontSize, Space
from hearth.ui.wording import size_text

_TITLES = {
    Format.CHECKPOINT: mark("The original, compressed here (quantized)"),
    Format.GGUF: mark("A ready-made file (GGUF)"),
    Format.GENAI: mark("A ready-made folder (ONNX)"),
}
_ABOUT = {
    Format.CHECKPOINT: mark(
        "Fetches the weights as their authors published them, makes them small, and measures what that costs in quality."
    ),
    Format.GGUF: mark("Compressed by others and ready to run with llama.cpp."),
    Format.GENAI: mark("Compressed by others and ready to run."),
}
_RECIPES = {
    "balanced": mark("Balanced"),
    "small": mark("Small"),
    "quality": mark("Quality"),
    "int8": mark("8 bits"),
}
_RECIPES_ABOUT = {
    "balanced": mark("a third of the size"),
    "small": mark("least memory"),
    "quality": mark("more exact"),
    "int8": mark("nearly as the original"),
}

_INDENT = 24  # under the text of a radio button


def recipe_text(recipe: str) -> str:
    """What the recipe is called in the window."""
    return tr(_RECIPES[recipe])


class FormChoices(QWidget):
    """A radio button for each format that there is, and what can be chosen within it.

    Signals:
        chosen: the user has chosen another form or recipe.
    """

    chosen = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._forms: dict[Format, list[Form]] = {}
        self._advised: Format | None = None
        self._group = QButtonGroup(self)
        self.buttons: dict[Format, QRadioButton] = {}
        self.boxes: dict[Format, ChoiceBox] = {}
        self._parts: dict[Format, QWidget] = {}
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(Space.M)
        for format_ in (Format.CHECKPOINT, Format.GGUF, Format.GENAI):
            title = tr(_TITLES[format_])
            part = QWidget(self)
            column = QVBoxLayout(part)
            column.setContentsMargins(0, 0, 0, 0)
            column.setSpacing(Space.XS)
            button = QRadioButton(title, part)
            button.clicked.connect(self._on_chosen)
            box = ChoiceBox(part)
            box.setAccessibleName(title)
            box.activated.connect(self._on_chosen)
            about = text_label(part, tr(_ABOUT[format_]), kind="secondary", size=FontSize.SMALL)
            about.setContentsMargins(_INDENT, 0, 0, 0)
            button.setAccessibleDescription(about.text())
            column.addWidget(button)
            column.addWidget(about)
            row = QHBoxLayout()
            row.setContentsMargins(_INDENT, 0, 0, 0)
            row.addWidget(box)
            row.addStretch(1)
            column.addLayout(row)
            whole.addWidget(part)
            self._parts[format_] = part
            self.buttons[format_], self.boxes[format_] = button, box

    def show_forms(self, forms: ModelForms) -> None:
        """Offer these, the advised one chosen."""
        self.show_judged(forms)
        for format_ in self.buttons:
            self._fill(format_, self._forms.get(format_, []))
        self.choose(forms.advised, forms.recipe)

    def show_judged(self, forms: ModelForms) -> None:
        """The same forms, judged anew: what is chosen stays."""
        self._forms = {}
        for form in forms.forms:
            self._forms.setdefault(form.choice.format, []).append(form)
        self._advised = forms.advised.choice.format
        for format_, button in self.buttons.items():
            there = self._forms.get(format_, [])
            self._parts[format_].setVisible(bool(there))
            if there:
                self._group.addButton(button)
            else:  # else arrows would choose it, hidden as it is
                self._group.removeButton(button)
                button.setChecked(False)  # which leaving the group does not do
            title = tr(_TITLES[format_])
            if format_ is self._advised and len(self._forms) > 1:
                title = tr("{text} ({detail})", text=title, detail=tr("advised"))
            button.setText(title)

    def choose(self, form: Form, recipe: str) -> None:
        """Show this one as the chosen one, without telling."""
        format_ = form.choice.format
        box = self.boxes[format_]
        with QSignalBlocker(box):
            box.setCurrentIndex(
                OFFERED_RECIPES.index(recipe)
                if format_ is Format.CHECKPOINT
                else self._forms[format_].index(form)
            )
        self.buttons[format_].setChecked(True)
        self._show_boxes()

    def form(self) -> Form:
        """The chosen form."""
        format_ = self._format()
        there = self._forms[format_]
        return there[0] if format_ is Format.CHECKPOINT else there[self.boxes[format_].currentIndex()]

    def recipe(self) -> str:
        """What it shall be quantized with; AS_IT_IS where that is done already."""
        format_ = self._format()
        return str(self.boxes[format_].currentData()) if format_ is Format.CHECKPOINT else AS_IT_IS

    def _format(self) -> Format:
        return next(format_ for format_, button in self.buttons.items() if button.isChecked())

    def _fill(self, format_: Format, forms: Sequence[Form]) -> None:
        box = self.boxes[format_]
        with QSignalBlocker(box):
            box.clear()
            if format_ is Format.CHECKPOINT:
                for recipe in OFFERED_RECIPES:
                    text = tr("{text}: {detail}", text=recipe_text(recipe), detail=tr(_RECIPES_ABOUT[recipe]))
                    box.addItem(text, recipe)
            else:
                for form in forms:
                    box.addItem(_variant_text(form), form.choice.name)

    def _show_boxes(self) -> None:
        """Only the chosen format has more to choose."""
        for format_, box in self.boxes.items():
            box.setVisible(self.buttons[format_].isChecked() and box.count() > 0)

    @Slot()
    def _on_chosen(self) -> None:
        self._show_boxes()
        self.chosen.emit()


def _variant_text(form: Form) -> str:
    name = form.choice.name.rpartition("/")[2].removesuffix(".gguf")
    return tr("{text} · {size}", text=name, size=size_text(form.choice.bytes))
