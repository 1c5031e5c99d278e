"""From starting the program to a painted window, and from Enter to the first token.

`python tests/benchmarks/startup.py [MODEL_FOLDER]`, under a display or under Xvfb: xvfb-run -a python ... Each start is
a new process on one home. The first is that of a new user: three clicks lead through the welcome to an answer of the
starter. Later ones ask the model of that folder, which the second one imports.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from window_life import until

STORIES = Path(__file__).parents[3] / "shared" / "data" / "models" / "stories260k-onnx" / "float32"
APP = Path(__file__).parents[2] / "app"


def main() -> None:
    arguments = argparse.ArgumentParser(description="Seconds to the window, and to the first token.")
    arguments.add_argument("model", type=Path, nargs="?", default=STORIES, help="a model folder")
    arguments.add_argument("--runs", type=int, default=7)
    arguments.add_argument("--inside", type=float, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.inside is not None:
        print(json.dumps(_inside(chosen.inside, chosen.model)))
        return
    with tempfile.TemporaryDirectory() as home:
        first = _run(home, chosen.model)
        runs = [_run(home, chosen.model) for _ in range(chosen.runs)]
    print("The first start, on an empty home (ms)")
    for name, seconds in first.items():
        print(f"{name:<34}{seconds * 1000:>9.0f}")
    print(f"{'Later starts (ms, of ' + str(chosen.runs) + ')':<34}{'median':>9}{'worst':>9}")
    for name in runs[0]:
        values = [run[name] * 1000 for run in runs]
        print(f"{name:<34}{statistics.median(values):>9.0f}{max(values):>9.0f}")


def _run(home: str, model: Path) -> dict[str, float]:
    environment = {**os.environ, "HEARTH_HOME": home, "PYTHONPATH": str(APP)}
    command = [sys.executable, __file__, str(model), "--inside", repr(time.time())]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _inside(started: float, model: Path) -> dict[str, float]:
    """The program itself, with a hand that presses Enter."""
    from hearth.ui import app as application

    figures: dict[str, float] = {}

    class Watched(application.MainWindow):
        def paintEvent(self, event: object) -> None:
            super().paintEvent(event)  # type: ignore[arg-type]
            figures.setdefault("window painted", time.time() - started)

        def start(self) -> None:
            self.ready.connect(lambda: figures.setdefault("conversations on view", time.time() - started))
            super().start()
            from PySide6.QtCore import QTimer

            QTimer.singleShot(0, lambda: _use(self, model, figures, started))

    application.MainWindow = Watched  # type: ignore[misc]
    application.run_window()
    return figures


def _use(window, model: Path, figures: dict[str, float], started: float) -> None:  # type: ignore[no-untyped-def]
    welcome = window.welcome.widget
    if welcome is not None:
        _three_clicks(window, welcome, figures, started)
    else:
        _press_enter(window, model, figures)
    window.close()


def _three_clicks(window, welcome, figures: dict[str, float], started: float) -> None:  # type: ignore[no-untyped-def]
    """What a new user does, as fast as the window lets them."""
    welcome.next.click()
    welcome.next.click()
    until(lambda: window.hearth is not None and window.models.entries is not None)
    if not window.empty.suggestions:  # the starter is not among the resources
        return
    until(lambda: window.models.status().state == "ready")
    figures["starter loaded"] = time.time() - started
    grown: list[float] = []
    window.bridge.answer_grew.connect(lambda _: grown.append(time.time()))
    clicked = time.time()
    window.empty.suggestions[0].click()
    until(lambda: grown)
    figures["third click to the first token"] = grown[0] - clicked
    figures["start to the first token"] = grown[0] - started
    until(lambda: not window.session.is_busy())


def _press_enter(window, model: Path, figures: dict[str, float]) -> None:  # type: ignore[no-untyped-def]
    from hearth.services.events import AnswerGrew

    until(lambda: window.hearth is not None and window.models.entries is not None)
    if all(entry.built_in for entry in window.models.entries):
        window.models.import_folder(model)
        until(lambda: window.models.dialog is not None and window.models.dialog.import_button.isEnabled())
        window.models.dialog.import_button.click()
        until(lambda: any(not entry.built_in for entry in window.models.entries))
    for name in ("Enter, model not loaded", "Enter, model loaded"):
        grown: list[float] = []

        def note(_: AnswerGrew, grown: list[float] = grown) -> None:
            grown.append(time.perf_counter())

        if name.endswith("not loaded"):
            window.hearth.pool.unload(window.models.current)
            until(lambda: window.models.status().state == "unloaded")
        window.bridge.answer_grew.connect(note)
        window.session.new_chat()
        window.composer.set_text("Once upon a time")
        pressed = time.perf_counter()
        window.composer.button.click()
        until(lambda grown=grown: grown)
        figures[name] = grown[0] - pressed
        window.bridge.answer_grew.disconnect(note)
        until(lambda: not window.session.is_busy())


if __name__ == "__main__":
    main()
