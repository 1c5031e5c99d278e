"""What Hearth adds to a step around the model's run: schedule, bind, sample, detokenize, pipe.

    python tests/benchmarks/overhead.py MODEL_FOLDER [--tokens 60] [--runs 5] [--profile]

Prints, for one stream and for eight, greedy and sampled, the median step in milliseconds and the share of it that is not
`run_with_iobinding`; with `--profile`, where that share goes.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import subprocess
import time
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import numpy as np

from hearth.config import EngineSection
from hearth.engine.host.pipe import Pipe
from hearth.engine.host.protocol import HostRequest, Outputs, Submit
from hearth.engine.ort_backend import OrtBackend
from hearth.engine.sampling_params import SamplingParams
from hearth.hardware.machine import read_machine
from hearth.model_folder.folder import ModelFolder
from hearth.services.engine_options import engine_options

WARM_STEPS = 5
MODES = {
    "greedy": SamplingParams(temperature=0, ignore_eos=True),
    "sampled": SamplingParams(temperature=0.7, top_p=0.95, seed=1, ignore_eos=True),
}


class RunClock:
    """An onnxruntime session that notes how long its runs take."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.seconds = 0.0

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)

    def run_with_iobinding(self, binding: object) -> None:
        started = time.perf_counter()
        self._session.run_with_iobinding(binding)
        self.seconds += time.perf_counter() - started


def steps(
    backend: OrtBackend, pipe: Pipe, clock: RunClock, streams: int, params: SamplingParams, count: int
) -> list[tuple[float, float]]:
    """Seconds of each step with its pipe, and of the model's run in it."""
    rng = np.random.default_rng(streams)
    for number in range(streams):
        prompt = rng.integers(5, backend.info.vocab_size, 16).tolist()
        backend.submit(Submit(request_id=str(number), params=params, token_ids=prompt))
    while backend.stats()["running"] < streams:
        backend.step()
    measured = []
    for _ in range(WARM_STEPS + count):
        clock.seconds = 0.0
        started = time.perf_counter()
        pipe.send(Outputs(backend.step()))
        measured.append((time.perf_counter() - started, clock.seconds))
    for number in range(streams):
        backend.abort(str(number))
    return measured[WARM_STEPS:]


def main() -> None:
    arguments = argparse.ArgumentParser(description="Measure what is added to a step.")
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--tokens", type=int, default=60)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--profile", action="store_true")
    given = arguments.parse_args()
    settings = EngineSection(kept_context_mb=0, packed_weights="off")
    # Without drafts, so that a step is one token.
    options = msgspec.structs.replace(engine_options(settings, read_machine()), drafts=False)
    backend = OrtBackend(ModelFolder.open(given.folder), "model", options)
    runner = backend._runner
    clock = RunClock(runner._session)
    runner._session = clock  # type: ignore[assignment]  # it stands in for the session
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:
        pipe: Pipe = Pipe(reader.stdin, reader.stdin, HostRequest)
        for name, params in MODES.items():
            for streams in (1, 8):
                profile = cProfile.Profile() if given.profile else None
                shares, lengths = [], []
                for _ in range(given.runs):
                    if profile:
                        profile.enable()
                    measured = steps(backend, pipe, clock, streams, params, given.tokens)
                    if profile:
                        profile.disable()
                    lengths.append(median(whole for whole, _ in measured))
                    shares.append(median((whole - run) / whole for whole, run in measured))
                print(
                    f"{name}, {streams} streams: step {1000 * median(lengths):.2f} ms,"
                    f" of it around the run {median(shares):.2%}"
                )
                if profile:
                    pstats.Stats(profile).sort_stats("tottime").print_stats(12)


if __name__ == "__main__":
    main()
