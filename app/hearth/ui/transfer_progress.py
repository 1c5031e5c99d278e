"""How far a long copy is: a bar, the bytes, and the time that it will still take."""

from __future__ import annotations

import time

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QLabel, QProgressBar, QVBoxLayout, QWidget

from hearth.i18n import tr
from hearth.ui.theme import Space
from hearth.ui.wording import size_text, time_left_text

_STEPS = 1000
_SECONDS_BETWEEN = 0.1


class TransferProgress(QWidget):
    """`tell` may be called on any thread, as often as one likes."""

    _moved = Signal(float, float)  # a Qt int has 32 bits

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        """`name` tells screen readers what the bar is of."""
        super().__init__(parent)
        self._told = 0.0
        self._says = False
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.setRange(0, _STEPS)
        self.bar.setFixedHeight(6)
        self.bar.setAccessibleName(name)
        self.words = QLabel(self)
        self.words.setProperty("kind", "secondary")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Space.S)
        layout.addWidget(self.bar)
        layout.addWidget(self.words)
        self._moved.connect(self._on_moved)
        self.begin()

    def begin(self) -> None:
        """A copy begins now."""
        self._says = False
        self._began = time.monotonic()
        self.bar.setValue(0)
        self.words.clear()

    def tell(self, done: int, total: int) -> None:
        """`done` of `total` bytes are copied."""
        now = time.monotonic()
        if now - self._told >= _SECONDS_BETWEEN or done == total:
            self._told = now
            self._moved.emit(float(done), float(total))

    def say(self, text: str) -> None:
        """Show `text` from now on, whatever is told, until another copy begins."""
        self._says = True
        self.words.setText(text)

    @Slot(float, float)
    def _on_moved(self, done: float, total: float) -> None:
        if total <= 0 or self._says:
            return
        self.bar.setValue(round(_STEPS * done / total))
        text = tr("{done} of {total}", done=size_text(int(done)), total=size_text(int(total)))
        passed = time.monotonic() - self._began
        if 0 < done < total and passed > 1:
            text += " · " + time_left_text(passed * (total - done) / done)
        self.words.setText(text)
