"""A peer's side of a benchmark: another engine in an environment of its own, asked in lines of JSON.

The program is `packaging/peer/llama_cpp_peer.py`; `make bench-peer` sets its environment up.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import hearth
from hearth.child_process import end_child
from hearth.engine.relative_error import relative_error
from hearth.errors import HearthError
from hearth.i18n import mark, tr
from hearth.services.benchmark.side import Forced, Loading

_SOURCE_TREE = Path(hearth.__file__).parents[2]
PROGRAM = _SOURCE_TREE / "packaging" / "peer" / "llama_cpp_peer.py"
PYTHON = _SOURCE_TREE.joinpath(
    ".venv-peer", *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python"))
)
"""Where `make bench-peer` puts it."""


class PeerMissing(HearthError):
    code = "peer_missing"
    what = mark("llama.cpp cannot be measured beside this model: {path} is not there.")
    remedy = mark("Run “make bench-peer” in Hearth's source tree, or name its Python with --peer-python.")


class PeerFailed(HearthError):
    code = "peer_failed"
    what = mark("llama.cpp failed: {reason}.")
    remedy = mark("Check the model file that --peer-model names, and that Python has llama-cpp-python.")


@dataclass(frozen=True, slots=True)
class PeerOptions:
    """Which peer to measure.

    Attributes:
        model: a GGUF of the same weights.
        reference: the same with the weights in float32, for the noise; None leaves that out.
        python: the interpreter of its environment.
    """

    model: Path
    reference: Path | None = None
    python: Path = PYTHON


class PeerSide:
    """llama.cpp; see `Side`.

    Attributes:
        version: of llama-cpp-python, once it has loaded.
    """

    def __init__(self, options: PeerOptions, threads: int) -> None:
        """Start nothing yet.

        Raises:
            PeerMissing: its Python or its program is not there.
            PeerFailed: a model file is not there.
        """
        for path in (options.python, PROGRAM):
            if not path.is_file():
                raise PeerMissing(path=str(path))
        for model in filter(None, (options.model, options.reference)):
            if not model.is_file():
                raise PeerFailed(reason=tr("{path} does not exist", path=str(model)))
        self.version = ""
        self._options = options
        self._threads = threads
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def files(self) -> Sequence[Path]:
        return [self._options.model]

    def load(self) -> Loading:
        return self._load(self._options.model)

    def unload(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        end_child(process)  # it holds nothing that could be lost

    def pid(self) -> int:
        return self._pid

    def prefill(self, tokens: int, seed: int) -> float:
        return float(self._ask("prefill", tokens=tokens, seed=seed)["seconds"])

    def decode(self, streams: int, context: int, tokens: int) -> float:
        reply = self._ask("decode", streams=streams, context=context, tokens=tokens)
        return float(reply["tokens_per_second"])

    def noise(self, forced: Forced) -> float | None:
        reference = self._options.reference
        if reference is None:
            return None
        with tempfile.TemporaryDirectory() as place:
            return relative_error(
                *(
                    self.logits(file, forced, Path(place, name))
                    for name, file in (("rounded.npy", self._options.model), ("exact.npy", reference))
                )
            )

    def logits(self, model: Path, forced: Forced, out: Path) -> np.ndarray:
        """Those after given tokens, float32 [rows, vocab]: a row after each prompt and each token of its answer."""
        self._load(model)
        self._ask("logits", prompts=forced.prompts, answers=forced.answers, out=str(out))
        rows: np.ndarray = np.load(out)
        return rows

    def _load(self, model: Path) -> Loading:
        self.unload()
        started = time.monotonic()
        try:
            self._process = subprocess.Popen(
                [str(self._options.python), str(PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=os.name == "posix",  # Ctrl+C is for the program that measures
            )
        except OSError as error:
            raise PeerFailed(reason=error.strerror or str(error)) from error
        self._pid = self._process.pid
        reply = self._ask("load", model=str(model), threads=self._threads)
        # Not always the process that was started: on Windows an environment's Python starts another one.
        self._pid, self.version = int(reply["pid"]), str(reply["version"])
        return Loading(time.monotonic() - started, float(reply["seconds"]))

    def _ask(self, what: str, **values: Any) -> dict[str, Any]:
        """One line to the peer, and the one that comes back."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise PeerFailed(reason=tr("it does not run"))
        line = b""
        with suppress(BrokenPipeError):
            process.stdin.write(msgspec.json.encode({"do": what, **values}) + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        if not line:
            raise PeerFailed(reason=tr("exit code {code}", code=process.wait()))
        reply = msgspec.json.decode(line, type=dict[str, Any])
        if "error" in reply:
            raise PeerFailed(reason=str(reply["error"]).rstrip("."))
        return reply
