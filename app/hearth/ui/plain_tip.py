"""The text of a tooltip that others may have written: never taken for HTML, which could fetch what it names."""

from __future__ import annotations

from PySide6.QtGui import Qt


def plain_tip(text: str) -> str:
    """`text` so that a tooltip shows it as it stands."""
    return Qt.convertFromPlainText(text) if Qt.mightBeRichText(text) else text
