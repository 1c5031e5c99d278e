"""Memory of the whole app, window and engine host together: idle, with the starter loaded, and at its peak.

`python tests/benchmarks/memory.py`, under a display or under Xvfb: xvfb-run -a python ... A new user's way: welcome,
starter loaded, a question asked and answered; then the model is unloaded. Figures are proportional set sizes, in which
a page that two processes share counts once; the peak is the largest sum seen in samples ten times a second.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from window_life import live, until

APP = Path(__file__).parents[2] / "app"
MB = 1e6


def main() -> None:
    if "--inside" in sys.argv:
        print(json.dumps(_inside()))
        return
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "HEARTH_HOME": home, "PYTHONPATH": str(APP)}
        command = [sys.executable, __file__, "--inside"]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    print(f"{'':<44}{'app':>8}{'host':>8}{'sum':>8}  MB")
    for name, (app, host) in json.loads(done.stdout.splitlines()[-1]).items():
        print(f"{name:<44}{app / MB:>8.0f}{host / MB:>8.0f}{(app + host) / MB:>8.0f}")


def sizes() -> tuple[int, int]:
    """Proportional set sizes of this process and of its engine hosts, in bytes."""
    here = psutil.Process()
    hosts = 0
    for process in here.children(recursive=True):
        try:
            hosts += process.memory_full_info().pss
        except psutil.Error:  # it ended while it was looked at
            continue
    return here.memory_full_info().pss, hosts


class Peak(threading.Thread):
    """The largest sum since it was started, and of what it was made."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.largest = (0, 0)
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.1):
            self.largest = max(self.largest, sizes(), key=sum)

    def end(self) -> tuple[int, int]:
        self._ended.set()
        self.join()
        return self.largest


def _inside() -> dict[str, tuple[int, int]]:
    from PySide6.QtCore import QTimer

    from hearth.ui import app as application

    figures: dict[str, tuple[int, int]] = {}

    class Watched(application.MainWindow):
        def start(self) -> None:
            super().start()
            QTimer.singleShot(0, lambda: _use(self, figures))

    application.MainWindow = Watched  # type: ignore[misc]
    application.run_window()
    return figures


def _use(window, figures: dict[str, tuple[int, int]]) -> None:  # type: ignore[no-untyped-def]
    peak = Peak()
    peak.start()
    window.welcome.widget.next.click()
    window.welcome.widget.next.click()
    until(lambda: window.hearth is not None and window.models.entries is not None)
    until(lambda: window.models.status() is not None and window.models.status().state == "ready")
    live(2000)
    figures["starter loaded"] = sizes()
    window.empty.suggestions[0].click()
    until(window.session.is_busy)
    until(lambda: not window.session.is_busy())
    live(2000)
    figures["after an answer"] = sizes()
    window.hearth.pool.unload(window.models.current)
    until(lambda: window.models.status().state == "unloaded")
    live(3000)
    figures["idle, no model loaded"] = sizes()
    figures["peak since the start"] = peak.end()
    window.close()


if __name__ == "__main__":
    main()
