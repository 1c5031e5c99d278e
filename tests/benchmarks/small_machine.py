"""A large model on a small machine: the whole app, its window open, under a memory limit.

    python tests/benchmarks/small_machine.py MODEL_FOLDER --limit 8192 [--prompt-tokens 4096] [--tokens 128]
                                             [--set engine.kv_cache_type=int8] [--home FOLDER]

The program's own way, as root on Linux under a display or QT_QPA_PLATFORM=offscreen: Hearth's window is opened in a
control group whose limit counts cached files too, the model is loaded by it, reads a prompt of random tokens and writes
its answer. Files are out of the system's cache at the start. Prints what loading, reading and writing took, and the
most memory: private is what no file backs, of the app and of its engine hosts; total is what the group was charged
with, files that the system may drop among it. `--home` keeps the home folder, and with it what was packed or measured at
the first load, for a second run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from memory_limits import group

from hearth.model_folder.folder import ModelFolder
from hearth.services.benchmark.file_cache import evict
from hearth.services.benchmark.private_memory import private_bytes
from window_life import live, until

APP = Path(__file__).parents[2] / "app"
MB = 1 << 20
LOAD_SECONDS, ANSWER_SECONDS = 1800.0, 3600.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--limit", type=int, default=8192, help="in MB (2^20 bytes)")
    parser.add_argument("--prompt-tokens", type=int, default=4096)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a key of config.toml"
    )
    parser.add_argument("--home", type=Path)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        print(json.dumps(_inside(arguments)))
        return
    folder = ModelFolder.open(arguments.model)
    evict([folder.graph_file, *folder.data_files])
    with tempfile.TemporaryDirectory() as temporary, group(arguments.limit * MB) as place:
        home = arguments.home or Path(temporary)
        environment = {**os.environ, "HEARTH_HOME": str(home), "PYTHONPATH": str(APP)}
        process = subprocess.Popen(
            [sys.executable, __file__, *sys.argv[1:], "--inside"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: (place / "cgroup.procs").write_text(str(os.getpid())),  # noqa: PLW1509
        )
        peak = _Peak(process.pid, place)
        peak.start()
        output = process.communicate()[0].splitlines()
        peak.end()
    print(
        f"under {arguments.limit} MB: {output[-1] if output and process.returncode == 0 else 'it was ended'}"
    )
    print(f"most memory in MB: private {peak.app / MB:.0f} (app) + {peak.hosts / MB:.0f} (engine),")
    print(f"total {peak.charged / MB:.0f}, the system's cache of files among it")


class _Peak(threading.Thread):
    """The most memory while it looks: private of the app and of its children, and what the group is charged with."""

    def __init__(self, pid: int, place: Path) -> None:
        super().__init__(daemon=True)
        self.app = self.hosts = self.charged = 0
        self._pid = pid
        names = ("memory.usage_in_bytes", "memory.current")
        self._file = next(place / name for name in names if (place / name).exists())
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.1):
            try:
                children = psutil.Process(self._pid).children(recursive=True)
            except psutil.Error:
                continue
            self.app = max(self.app, private_bytes(self._pid))
            self.hosts = max(self.hosts, sum(private_bytes(child.pid) for child in children))
            self.charged = max(self.charged, int(self._file.read_text()))

    def end(self) -> None:
        self._ended.set()
        self.join()


def _inside(arguments: argparse.Namespace) -> dict[str, object]:
    from PySide6.QtCore import QTimer

    from hearth.home import ensure_home
    from hearth.models.registry import ModelRegistry
    from hearth.ui import app as application

    ensure_home()
    registry = ModelRegistry()
    if all(entry.name != "large" for entry in registry.list()):
        registry.import_folder(arguments.model, name="large", in_place=True)
    figures: dict[str, object] = {}

    class Watched(application.MainWindow):
        def start(self) -> None:
            super().start()
            QTimer.singleShot(0, self.be_used)

        def be_used(self) -> None:
            try:
                _use(self, arguments, figures)
            finally:
                self.close()

    application.MainWindow = Watched  # type: ignore[misc]
    application.run_window()
    return figures


def _use(window, arguments: argparse.Namespace, figures: dict[str, object]) -> None:  # type: ignore[no-untyped-def]
    from hearth.engine.sampling_params import SamplingParams
    from hearth.services.benchmark.side import random_tokens

    until(lambda: window.hearth is not None)
    settings = dict(pair.split("=", 1) for pair in arguments.set)
    window.hearth.change_settings({key: int(v) if v.isdigit() else v for key, v in settings.items()})
    started = time.monotonic()
    worker = window.hearth.pool.load("large")
    until(lambda: worker.status.state.value in ("ready", "failed"), LOAD_SECONDS)
    info = worker.info()
    figures["load_seconds"] = round(time.monotonic() - started, 1)
    figures["is_packed"], figures["kv_cache_type"] = info.is_packed, info.kv_cache_type
    prompt = random_tokens(arguments.prompt_tokens, info.vocab_size, "small machine")
    params = SamplingParams(temperature=0, max_tokens=arguments.tokens, ignore_eos=True)
    times: list[float] = []

    def ask() -> None:
        for output in worker.generate(params, token_ids=prompt):
            times.extend([time.monotonic()] * len(output.token_ids))

    asked = time.monotonic()
    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: not thread.is_alive(), ANSWER_SECONDS)
    if len(times) < 2:
        raise SystemExit("the model did not answer")
    figures["prompt_tokens"], figures["tokens"] = len(prompt), len(times)
    figures["prefill_tokens_per_second"] = round(len(prompt) / (times[0] - asked), 2)
    figures["decode_tokens_per_second"] = round((len(times) - 1) / (times[-1] - times[0]), 3)
    live(500)


if __name__ == "__main__":
    main()
