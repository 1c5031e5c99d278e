"""One number that says how a model answers, with its slider and its reset, and which numbers there are."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QEvent, Qt, Signal, Slot
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QGridLayout,
    QLabel,
    QPlainTextEdit,
    QSlider,
    QToolButton,
    QWidget,
)

from hearth.i18n import mark, tr

_FIELD_WIDTH = 84
_FIELD_MARGINS = 34
_WIDEST = "0.0000"
_HANDLE_HEIGHT = 18  # with its border, which the style sheet does not count


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that can be set for a conversation and, as its default, for all.

    Attributes:
        name: the field of ConversationSettings and of the settings file's defaults.
        slide: highest value of the slider; 0 for no slider. Higher values can still be typed.
        nothing: what the lowest value is called where it means “none”.
    """

    name: str
    label: str
    tip: str
    low: float
    high: float
    step: float
    decimals: int
    slide: float = 0.0
    nothing: str = ""


PARAMETERS = (
    Parameter(
        "temperature",
        mark("Temperature"),
        mark("How freely words are chosen. 0 always takes the most likely one; higher is livelier and less exact."),
        0.0, 100.0, 0.05, 2, 2.0,
    ),
    Parameter(
        "top_p",
        mark("Top-p"),
        mark("Only the likeliest words that together make up this share of the probability are considered."),
        0.0, 1.0, 0.01, 2, 1.0,
    ),
    Parameter(
        "top_k",
        mark("Top-k"),
        mark("Only this many of the likeliest words are considered. 0 considers all."),
        0, 1_000_000, 1, 0, 200, mark("All"),
    ),
    Parameter(
        "min_p",
        mark("Min-p"),
        mark("Leaves out words less likely than this share of the likeliest one. 0 leaves none out."),
        0.0, 1.0, 0.01, 2, 1.0,
    ),
    Parameter(
        "repetition_penalty",
        mark("Repetition penalty"),
        mark("Makes words less likely that are already in the prompt or the answer. 1 does nothing."),
        0.01, 100.0, 0.01, 2, 2.0,
    ),
    Parameter(
        "presence_penalty",
        mark("Presence penalty"),
        mark("Makes each word less likely once it is in the answer: more new topics. 0 does nothing."),
        -100.0, 100.0, 0.05, 2, 2.0,
    ),
    Parameter(
        "frequency_penalty",
        mark("Frequency penalty"),
        mark("Makes a word less likely each time it is used in the answer: less repetition. 0 does nothing."),
        -100.0, 100.0, 0.05, 2, 2.0,
    ),
    Parameter(
        "max_tokens",
        mark("Longest answer"),
        mark("The answer ends after this many tokens (pieces of words)."),
        0, 10_000_000, 16, 0, 0, mark("No limit"),
    ),
)  # fmt: skip


class _SpinBox(QDoubleSpinBox):
    """A number field that leaves the wheel to what scrolls it, unless it has the focus."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class _Slider(QSlider):
    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class ParameterRow(QWidget):
    """One parameter: name, value, slider, and a button back to the default.

    Signals:
        edited: the user chose another value.
    """

    edited = Signal()

    def __init__(self, parameter: Parameter, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.parameter = parameter
        self._default = parameter.low
        self._value: float | None = None
        label, tip = tr(parameter.label), tr(parameter.tip)
        self.setToolTip(tip)
        self._label = QLabel(label, self)
        self._label.setWordWrap(True)
        self.reset_button = reset_button(label, self)
        self.reset_button.clicked.connect(self._on_reset)
        self.field = _SpinBox(self)
        self.field.setAccessibleName(label)
        self.field.setAccessibleDescription(tip)
        self.field.lineEdit().setTextMargins(7, 0, 7, 0)
        self.field.setDecimals(parameter.decimals)
        self.field.setRange(parameter.low, parameter.high)
        self.field.setSingleStep(parameter.step)
        self.field.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._fit_field()
        self.field.setGroupSeparatorShown(False)
        if parameter.nothing:
            self.field.setSpecialValueText(tr(parameter.nothing))
        self.field.valueChanged.connect(self._on_field)
        self.field.setObjectName(parameter.name)
        self._label.setBuddy(self.field)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(2)  # the button between them has room of its own
        layout.setVerticalSpacing(2)
        layout.addWidget(self._label, 0, 0)
        layout.addWidget(self.reset_button, 0, 1)
        layout.addWidget(self.field, 0, 2)
        layout.setColumnStretch(0, 1)
        self.slider: _Slider | None = None
        if parameter.slide:
            self.slider = _Slider(Qt.Orientation.Horizontal, self)
            self.slider.setAccessibleName(label)
            low = max(parameter.low, -parameter.slide) if parameter.low < 0 else parameter.low
            self.slider.setRange(round(low / parameter.step), round(parameter.slide / parameter.step))
            self.slider.setMinimumHeight(_HANDLE_HEIGHT)
            self.slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the field beside it takes the same keys
            self.slider.valueChanged.connect(lambda at: self.field.setValue(at * parameter.step))
            layout.addWidget(self.slider, 1, 0, 1, 3)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit_field()

    def _fit_field(self) -> None:
        """Room for the longest of its texts, at any size of them."""
        texts = (_WIDEST, tr(self.parameter.nothing) if self.parameter.nothing else "")
        width = max(map(self.fontMetrics().horizontalAdvance, texts))
        self.field.setFixedWidth(max(_FIELD_WIDTH, width + _FIELD_MARGINS))

    def set_default(self, default: float) -> None:
        """What holds while nothing is set."""
        self._default = default
        if self._value is None:
            self._show(default)

    def set_value(self, value: float | None) -> None:
        """Show what is set; None shows the default."""
        self._value = value
        self._show(self._default if value is None else value)

    def value(self) -> float | int | None:
        """What is set, an int where the parameter has no decimals; None where the default holds."""
        whole = self._value is not None and self.parameter.decimals == 0
        return int(self._value or 0) if whole else self._value

    def _show(self, value: float) -> None:
        self.field.blockSignals(True)
        self.field.setValue(value)
        self.field.blockSignals(False)
        self._mark()

    def _mark(self) -> None:
        if self.slider:
            self.slider.blockSignals(True)
            self.slider.setValue(round(self.field.value() / self.parameter.step))
            self.slider.blockSignals(False)
        self.reset_button.setVisible(self._value is not None)

    @Slot(float)
    def _on_field(self, value: float) -> None:
        self._value = None if abs(value - self._default) < 1e-9 else value
        self._mark()
        self.edited.emit()

    @Slot()
    def _on_reset(self) -> None:
        self.field.setFocus()
        self.field.setValue(self._default)


def text_field(height: int, parent: QWidget) -> QPlainTextEdit:
    """A field for a few lines of text; the tabulator leaves it."""
    field = QPlainTextEdit(parent)
    field.setProperty("kind", "field")
    field.setTabChangesFocus(True)
    field.setFixedHeight(height)
    return field


def reset_button(label: str, parent: QWidget) -> QToolButton:
    """Takes the setting `label` back to its default; hidden while there is nothing to take back."""
    button = QToolButton(parent)
    button.setObjectName("resetParameter")
    button.setText("↺")
    button.setAccessibleName(tr("Reset {name} to its default", name=label))
    button.setToolTip(tr("Back to the default"))
    policy = button.sizePolicy()
    policy.setRetainSizeWhenHidden(True)
    button.setSizePolicy(policy)
    button.hide()
    return button
