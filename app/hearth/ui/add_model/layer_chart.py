"""The error that quantizing has left in each layer, as bars."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QLocale, QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from hearth.i18n import tr
from hearth.ui.text_scale import text_label
from hearth.ui.theme import FontSize, Space, colour

_HEIGHT = 72
_GAP = 2
_WIDEST_BAR = 24.0


class LayerChart(QWidget):
    """One bar for each layer, the first at the left, over a line that says what they are."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._errors: Sequence[float] = ()
        self.caption = text_label(self, kind="secondary", size=FontSize.SMALL)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, _HEIGHT + Space.XS, 0, 0)
        layout.addWidget(self.caption)

    def show_errors(self, errors: Sequence[float]) -> None:
        """Errors as parts of what each layer adds."""
        self._errors = errors
        if errors:
            worst = QLocale().toString(100 * max(errors), "f", 1)
            text = tr("Error of each layer, the first at the left; at most {percent} %", percent=worst)
            self.setAccessibleName(text)
            self.caption.setText(text)
        self.update()

    def has_errors(self) -> bool:
        return bool(self._errors)

    def paintEvent(self, _event: QPaintEvent) -> None:
        if not self._errors:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour("accent"))
        worst = max(*self._errors, 1e-9)
        step = min(self.width() / len(self._errors), _WIDEST_BAR)
        for place, error in enumerate(self._errors):
            height = max(1.0, _HEIGHT * error / worst)
            painter.drawRect(QRectF(place * step, _HEIGHT - height, max(1.0, step - _GAP), height))
        painter.end()
