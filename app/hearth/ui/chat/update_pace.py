"""How often what streams is shown: at once, and after a costly update a little later."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from PySide6.QtCore import QObject, QTimer

_COSTLY = 0.006  # seconds; after a dearer update the next one waits
_PATIENCE = 3  # times what the update took


class UpdatePace:
    """Of one view.

    Args:
        view: whose updates they are.
        update: shows what has come and is not on view yet.
    """

    def __init__(self, view: QObject, update: Callable[[], None]) -> None:
        self._update = update
        self._not_before = 0.0
        self._later = QTimer(view)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self.update_now)

    def ask(self) -> None:
        """Something has come."""
        if self._later.isActive():
            return
        wait = self._not_before - perf_counter()
        if wait <= 0:
            self.update_now()
        else:
            self._later.start(int(wait * 1000) + 1)

    def update_now(self) -> None:
        """Show it without waiting."""
        self._later.stop()
        started = perf_counter()
        self._update()
        cost = perf_counter() - started
        self._not_before = started + cost * (1 + _PATIENCE) if cost > _COSTLY else 0.0
