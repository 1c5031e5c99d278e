"""Labels side by side whose first lines stand on one base line, in whatever scripts they are written."""

from __future__ import annotations

from PySide6.QtGui import QTextLayout
from PySide6.QtWidgets import QLabel


def stand_on_one_line(*labels: QLabel) -> None:
    """Lower those with lower letters; all are laid out from the top. Chinese letters are higher than Latin ones."""
    ascents = [_ascent(label) for label in labels]
    for label, ascent in zip(labels, ascents, strict=True):
        label.setContentsMargins(0, round(max(ascents) - ascent), 0, 0)


def _ascent(label: QLabel) -> float:
    layout = QTextLayout(label.text().partition("\n")[0], label.font())
    layout.beginLayout()
    line = layout.createLine()
    layout.endLayout()
    return line.ascent() if line.isValid() else 0.0
