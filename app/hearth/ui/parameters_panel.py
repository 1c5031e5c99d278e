"""System prompt and sampling of the conversation on view."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec
from PySide6.QtCore import QRegularExpression, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QRegularExpressionValidator, QWheelEvent
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from hearth.conversations.message import ConversationSettings
from hearth.i18n import mark, tr

_SAVE_MILLISECONDS = 400


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that the panel offers.

    Attributes:
        name: the field of ConversationSettings.
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
    """A number field that leaves the wheel to the panel unless it has the focus."""

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
        self.reset_button = _reset_button(label, self)
        self.reset_button.clicked.connect(self._on_reset)
        self.field = _SpinBox(self)
        self.field.setAccessibleName(label)
        self.field.setAccessibleDescription(tip)
        self.field.lineEdit().setTextMargins(7, 0, 7, 0)
        self.field.setDecimals(parameter.decimals)
        self.field.setRange(parameter.low, parameter.high)
        self.field.setSingleStep(parameter.step)
        self.field.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.field.setFixedWidth(84)
        self.field.setGroupSeparatorShown(False)
        if parameter.nothing:
            self.field.setSpecialValueText(tr(parameter.nothing))
        self.field.valueChanged.connect(self._on_field)
        self.field.setObjectName(parameter.name)
        self._label.setBuddy(self.field)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
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
            self.slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the field beside it takes the same keys
            self.slider.valueChanged.connect(lambda at: self.field.setValue(at * parameter.step))
            layout.addWidget(self.slider, 1, 0, 1, 3)

    def set_default(self, default: float) -> None:
        """What holds while the conversation sets nothing."""
        self._default = default
        if self._value is None:
            self._show(default)

    def set_value(self, value: float | None) -> None:
        """Show the conversation's value; None shows the default."""
        self._value = value
        self._show(self._default if value is None else value)

    def value(self) -> float | None:
        """The conversation's value; None where the default holds."""
        return self._value

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


class ParametersPanel(QWidget):
    """What the conversation on view sets for its answers.

    Signals:
        settings_changed: ConversationSettings, a moment after the last change.
    """

    settings_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("parametersPanel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._saved = ConversationSettings()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SAVE_MILLISECONDS)
        self._timer.timeout.connect(self.flush)
        content = QWidget(self)
        content.setObjectName("parametersContent")
        self._column = QVBoxLayout(content)
        self._column.setContentsMargins(18, 16, 18, 18)
        self._column.setSpacing(10)
        self._build_prompt()
        self.rows = {parameter.name: self._add_row(parameter) for parameter in PARAMETERS}
        self._build_seed()
        self._build_stop()
        self.reset_button = QPushButton(tr("Reset all to the defaults"), self)
        self.reset_button.clicked.connect(self._on_reset_all)
        self._column.addWidget(self.reset_button)
        self._column.addStretch(1)
        area = QScrollArea(self)
        area.setWidget(content)
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)

    def set_defaults(self, defaults: dict[str, Any]) -> None:
        """The settings file's defaults, by the names of ConversationSettings."""
        self.prompt.setPlaceholderText(
            defaults.get("system_prompt") or tr("How the assistant should behave. Optional.")
        )
        for name, row in self.rows.items():
            row.set_default(float(defaults[name] or 0))

    def show_settings(self, settings: ConversationSettings) -> None:
        """Show what a conversation sets."""
        self._timer.stop()
        self._saved = settings
        for widget in (self.prompt, self.seed, self.stop):
            widget.blockSignals(True)
        self.prompt.setPlainText(settings.system_prompt)
        self.seed.setText("" if settings.seed is None else str(settings.seed))
        self.stop.setPlainText(
            "\n".join(text.replace("\\", "\\\\").replace("\n", "\\n") for text in settings.stop)
        )
        for widget in (self.prompt, self.seed, self.stop):
            widget.blockSignals(False)
        for name, row in self.rows.items():
            row.set_value(getattr(settings, name))

    def settings(self) -> ConversationSettings:
        """What the controls say now."""
        values: dict[str, Any] = {}
        for name, row in self.rows.items():
            value = row.value()
            whole = value is not None and row.parameter.decimals == 0
            values[name] = int(value or 0) if whole else value
        lines = self.stop.toPlainText().split("\n")
        stop = tuple(_unescaped(line) for line in lines if line)
        return msgspec.structs.replace(
            ConversationSettings(),
            system_prompt=self.prompt.toPlainText(),
            seed=int(self.seed.text()) if self.seed.text() else None,
            stop=stop,
            **values,
        )

    @Slot()
    def flush(self) -> None:
        """Report a change that still waits."""
        self._timer.stop()
        settings = self.settings()
        if settings != self._saved:
            self._saved = settings
            self.settings_changed.emit(settings)

    def _build_prompt(self) -> None:
        self.prompt = QPlainTextEdit(self)
        self.prompt.setObjectName("systemPrompt")
        self.prompt.setTabChangesFocus(True)
        self.prompt.setFixedHeight(88)
        self.prompt.setProperty("kind", "field")
        self.prompt.textChanged.connect(self._on_edited)
        tip = tr("Told to the model before the conversation.")
        self._add_field(tr("System prompt"), tip, self.prompt)
        heading = QLabel(tr("Sampling"), self)
        heading.setObjectName("sectionHeading")
        self._column.addSpacing(4)
        self._column.addWidget(heading)

    def _build_seed(self) -> None:
        self.seed = QLineEdit(self)
        self.seed.setObjectName("seed")
        self.seed.setPlaceholderText(tr("Random"))
        self.seed.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.seed.setFixedWidth(84)
        self.seed.setValidator(QRegularExpressionValidator(QRegularExpression(r"\d{0,18}"), self.seed))
        self.seed.textChanged.connect(self._on_edited)
        tip = tr("With the same seed the same question gives the same answer.")
        row = QHBoxLayout()
        label = QLabel(tr("Seed"), self)
        label.setBuddy(self.seed)
        for widget in (label, self.seed):
            widget.setToolTip(tip)
        self.seed.setAccessibleName(tr("Seed"))
        self.seed.setAccessibleDescription(tip)
        row.addWidget(label, 1)
        row.addWidget(self.seed)
        self._column.addLayout(row)

    def _build_stop(self) -> None:
        self.stop = QPlainTextEdit(self)
        self.stop.setObjectName("stopStrings")
        self.stop.setTabChangesFocus(True)
        self.stop.setFixedHeight(58)
        self.stop.setProperty("kind", "field")
        self.stop.textChanged.connect(self._on_edited)
        tip = tr(
            "The answer ends before the first of these texts. One per line; \\n stands for a line break."
        )
        self._add_field(tr("Stop texts"), tip, self.stop)

    def _add_field(self, name: str, tip: str, field: QPlainTextEdit) -> None:
        label = QLabel(name, self)
        label.setBuddy(field)
        label.setToolTip(tip)
        field.setToolTip(tip)
        field.setAccessibleName(name)
        field.setAccessibleDescription(tip)
        self._column.addWidget(label)
        self._column.addWidget(field)

    def _add_row(self, parameter: Parameter) -> ParameterRow:
        row = ParameterRow(parameter, self)
        row.edited.connect(self._on_edited)
        self._column.addWidget(row)
        return row

    @Slot()
    def _on_edited(self) -> None:
        self._timer.start()

    @Slot()
    def _on_reset_all(self) -> None:
        saved = self._saved
        self.show_settings(ConversationSettings())
        self._saved = saved
        self.flush()


def _reset_button(label: str, parent: QWidget) -> QToolButton:
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


def _unescaped(line: str) -> str:
    escapes = {r"\n": "\n", r"\t": "\t", r"\\": "\\"}
    return re.sub(r"\\[nt\\]", lambda found: escapes[found.group()], line)
