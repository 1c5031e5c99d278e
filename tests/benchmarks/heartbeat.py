"""Is the window's main thread always there? `python tests/benchmarks/heartbeat.py [MODEL_FOLDER]`

A timer of 10 ms beats on the main thread of the real window, by turns while it is idle and while an answer streams at
the model's full speed (one answer after the other). Printed: the time from beat to beat, in milliseconds. Run it under
a display, or under Xvfb: xvfb-run -a python tests/benchmarks/heartbeat.py
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import shiboken6
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication

from hearth.conversations.message import Role
from hearth.services.hearth import Hearth
from hearth.ui import theme
from hearth.ui.app import settle_memory
from hearth.ui.main_window import MainWindow
from hearth.ui.worker_thread import qt_thread
from window_life import live, until

STORIES = Path(__file__).parents[3] / "shared" / "data" / "models" / "stories260k-onnx" / "float32"
ROUNDS = 3


def main() -> None:
    arguments = argparse.ArgumentParser(description="The heartbeat of the window's main thread.")
    arguments.add_argument("model", type=Path, nargs="?", default=STORIES, help="a model folder")
    arguments.add_argument("--seconds", type=float, default=10, help="of each phase of a round")
    chosen = arguments.parse_args()
    app = QApplication([])
    app.setQuitOnLastWindowClosed(False)
    theme.theme().apply("light")
    with tempfile.TemporaryDirectory() as home:
        os.environ["HEARTH_HOME"] = home
        _measure(app, chosen.model, chosen.seconds)


def _measure(app: QApplication, folder: Path, seconds: float) -> None:
    window = MainWindow(lambda: Hearth.open(thread_factory=qt_thread))
    window.ready.connect(settle_memory)
    window.show()
    window.start()
    until(lambda: window.hearth is not None and window.models.entries is not None)
    window.models.import_folder(folder)
    until(lambda: window.models.dialog is not None and window.models.dialog.import_button.isEnabled())
    window.models.dialog.import_button.click()
    until(lambda: any(not entry.built_in for entry in window.models.entries))
    until(lambda: (window.models.status() or window).state == "ready")
    _ask(window, "Once upon a time")
    until(lambda: not window.session.is_busy())
    live(1000)
    gaps: dict[str, list[float]] = {"idle": [], "streaming": []}
    tokens, streamed = 0, 0.0
    for _ in range(ROUNDS):
        gaps["idle"] += _beats(seconds, lambda: None)
        started = time.perf_counter()

        def again() -> None:
            nonlocal tokens
            if not window.session.is_busy():
                answer = window.session.last(Role.ASSISTANT)
                tokens += answer.usage.generated_tokens if answer.usage else 0
                window.actions_.regenerate.trigger()

        gaps["streaming"] += _beats(seconds, again)
        streamed += time.perf_counter() - started
        window.session.stop()
        until(lambda: not window.session.is_busy())
        live(500)
    print(
        f"platform {app.platformName()}, {ROUNDS} rounds of {seconds:g} s; {tokens / streamed:.0f} tokens/s streamed"
    )
    for name, found in gaps.items():
        ordered = sorted(found)
        print(
            f"{name:<10} {len(ordered)} beats: median {ordered[len(ordered) // 2]:.1f} ms,"
            f" 99.9th percentile {ordered[int(len(ordered) * 0.999)]:.1f} ms, worst {ordered[-1]:.1f} ms"
        )
    window.close()
    until(window.is_closed)
    shiboken6.delete(window)  # before the application


def _beats(seconds: float, between: Callable[[], None]) -> list[float]:
    """Milliseconds from beat to beat; `between` is called every 50 ms."""
    beats: list[float] = []
    heart, other = QTimer(), QTimer()
    heart.setTimerType(Qt.TimerType.PreciseTimer)
    heart.timeout.connect(lambda: beats.append(time.perf_counter()))
    other.timeout.connect(between)
    heart.start(10)
    other.start(50)
    live(int(seconds * 1000))
    heart.stop()
    other.stop()
    return [1000 * (after - before) for before, after in pairwise(beats)]


def _ask(window: MainWindow, text: str) -> None:
    window.composer.set_text(text)
    window.composer.button.click()
    until(window.session.is_busy)


if __name__ == "__main__":
    main()
