"""Letting a real window live in scripts that pytest-qt does not run. Imports Qt only when it is used."""

from __future__ import annotations

import time
from collections.abc import Callable


def live(milliseconds: int) -> None:
    """Let the window live for a while. QTest.qWait would keep the interpreter from all other threads."""
    from PySide6.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def until(condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Let the window live until `condition` holds. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the window did not come into the state that was waited for")
        live(10)
