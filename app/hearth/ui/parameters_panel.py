"""System prompt and sampling of the conversation on view."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from PySide6.QtCore import QRegularExpression, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QRegularExpressionValidator
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from hearth.conversations.message import ConversationSettings
from hearth.i18n import tr
from hearth.ui.parameter_row import PARAMETERS, Parameter, ParameterRow, text_field
from hearth.ui.vertical_scroll import vertical_scroll

_SAVE_MILLISECONDS = 400


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
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(vertical_scroll(content, self))

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
        values: dict[str, Any] = {name: row.value() for name, row in self.rows.items()}
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
        self.prompt = text_field(88, self)
        self.prompt.setObjectName("systemPrompt")
        self.prompt.textChanged.connect(self._on_edited)
        tip = tr("Told to the model before the conversation.")
        self._add_field(tr("System prompt"), tip, self.prompt)
        heading = QLabel(tr("Choice of words (sampling)"), self)
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
        self.stop = text_field(58, self)
        self.stop.setObjectName("stopStrings")
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


def _unescaped(line: str) -> str:
    escapes = {r"\n": "\n", r"\t": "\t", r"\\": "\\"}
    return re.sub(r"\\[nt\\]", lambda found: escapes[found.group()], line)
