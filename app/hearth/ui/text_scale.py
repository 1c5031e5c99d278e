"""Text in a window at a multiple of its usual size, as the user has chosen it for the chat."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QLabel, QWidget

from hearth.ui.theme import FontSize, font

_SIZE = "textSize"


def text_label(
    parent: QWidget,
    text: str = "",
    *,
    kind: str = "",
    size: float = FontSize.BODY,
    weight: QFont.Weight = QFont.Weight.Normal,
) -> QLabel:
    """Plain words that wrap and can be selected, in the look that `kind` names; `scale_text` knows their size."""
    label = QLabel(text, parent)
    label.setProperty("kind", kind)
    label.setProperty(_SIZE, size)
    label.setFont(font(size, weight=weight))
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def scale_text(root: QWidget, scale: float) -> None:
    """Show all text in `root` at `scale` times its usual size."""
    for widget in (root, *root.findChildren(QWidget)):
        size = widget.property(_SIZE) or FontSize.BODY
        widget.setFont(font(size, scale=scale, weight=widget.font().weight()))
