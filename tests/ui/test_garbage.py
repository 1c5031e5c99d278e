"""Qt's objects die on the main thread, whichever thread makes the most garbage."""

from __future__ import annotations

import threading
import weakref

from PySide6.QtWidgets import QDialog
from pytestqt.qtbot import QtBot

from hearth.ui.tasks import Lane, Tasks


class Cyclic(QDialog):
    """A dialog that holds itself, as every dialog does whose button calls one of its methods."""

    def __init__(self) -> None:
        super().__init__()
        self.itself = self


def test_a_dropped_dialog_is_taken_apart_on_the_main_thread(qtbot: QtBot) -> None:
    where: list[threading.Thread] = []
    tasks = Tasks()
    weakref.finalize(Cyclic(), lambda: where.append(threading.current_thread()))
    kept: list[list[dict[str, int]]] = []
    for _ in range(20):
        # Each makes far more objects than any threshold of Python's collector, and keeps them.
        tasks.run(lambda: kept.append([{} for _ in range(20_000)]), lane=Lane.FILES)
    tasks.close()
    assert len(kept) == 20
    qtbot.waitUntil(lambda: bool(where), timeout=30_000)
    assert where == [threading.main_thread()]
