"""Python's garbage is collected on the main thread alone.

Whichever thread makes the most objects would do it otherwise: a worker would take apart a dialog that the main thread
has dropped, and Qt's objects die on their own thread or bring the program down.
"""

from __future__ import annotations

import gc
from typing import Final

from PySide6.QtCore import QObject, QTimer

_EVERY_MS: Final = 1000


class MainThreadGarbage(QObject):
    """Collects as often as Python would, when the event loop is free for it; while it is there, nobody else does."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        gc.disable()
        self.destroyed.connect(gc.enable)
        timer = QTimer(self)
        timer.timeout.connect(self.collect)
        timer.start(_EVERY_MS)

    def collect(self) -> None:
        """Collect the oldest generation that is due, and the younger ones with it."""
        for generation in (2, 1, 0):
            if gc.get_count()[generation] > gc.get_threshold()[generation]:
                gc.collect(generation)
                return
