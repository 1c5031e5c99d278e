"""A newcomer with a long prompt while three answers stream: does it wait, and does it stall them?

    python tests/benchmarks/stalls.py MODEL_FOLDER [--prompt 2000] [--runs 3]

Prints, as medians over the runs: the longest gap between two tokens of a stream while the prompt is read, the
prompt's speed meanwhile against reading it alone and whole, and the steps until the newcomer's first chunk.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median

import numpy as np

from hearth.config import EngineSection
from hearth.engine.engine import Engine
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.request import Request
from hearth.engine.sampling_params import SamplingParams
from hearth.hardware.machine import read_machine
from hearth.model_folder.folder import ModelFolder
from hearth.services.engine_options import engine_options

STREAMS = 3


def whole_seconds(runner: OrtRunner, prompt: list[int]) -> float:
    """Seconds to read the prompt in one run with nothing else to do."""
    runner.reserve(1, len(prompt) + 1)
    started = time.perf_counter()
    runner.prefill(0, prompt)
    seconds = time.perf_counter() - started
    runner.release()
    return seconds


def one_run(runner: OrtRunner, prompt: list[int], step_seconds: float) -> dict[str, float]:
    """Three streams decode; the newcomer arrives; measure until its first token."""
    engine = Engine(runner, step_seconds=step_seconds)
    # Another prompt is read before, so that the pace is known as it is in a program that has been in use.
    engine.submit(Request("warm", tuple(reversed(prompt[:256])), SamplingParams(temperature=0, max_tokens=1)))
    while engine.has_work:
        engine.step()
    endless = SamplingParams(temperature=0, ignore_eos=True)
    for number in range(STREAMS):
        engine.submit(Request(f"stream {number}", tuple(prompt[number * 16 : number * 16 + 16]), endless))
    for _ in range(20):
        engine.step()
    quiet = []
    for _ in range(10):
        started = time.perf_counter()
        engine.step()
        quiet.append(time.perf_counter() - started)

    engine.submit(Request("newcomer", tuple(prompt), SamplingParams(temperature=0, max_tokens=1)))
    arrived = last = time.perf_counter()
    gaps, steps, first_chunk = [], 0, 0
    done = False
    while not done:
        outputs = engine.step()
        steps += 1
        now = time.perf_counter()
        if any(output.request_id.startswith("stream") and output.token_ids for output in outputs):
            gaps.append(now - last)
            last = now
        mine = [output for output in outputs if output.request_id == "newcomer"]
        if mine and not first_chunk:
            first_chunk = steps
        done = any(output.finish_reason for output in mine)
    seconds = time.perf_counter() - arrived
    for number in range(STREAMS):
        engine.abort(f"stream {number}")
    engine.step()
    return {
        "longest_gap_ms": max(gaps) * 1000,
        "median_gap_ms": median(gaps) * 1000,
        "step_without_newcomer_ms": median(quiet) * 1000,
        "prefill_tokens_per_second": len(prompt) / seconds,
        "steps_to_first_chunk": first_chunk,
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--prompt", type=int, default=2000)
    arguments.add_argument("--runs", type=int, default=3)
    options = arguments.parse_args()
    defaults = engine_options(EngineSection(), read_machine())
    runner = OrtRunner(
        ModelFolder.open(options.folder),
        options.folder.name,
        threads=defaults.threads,
        max_slots=defaults.max_slots,
        kv_cache_bytes=defaults.kv_cache_bytes,
    )
    prompt = np.random.default_rng(0).integers(0, runner.vocab_size, options.prompt).tolist()
    runs = []
    for _ in range(options.runs):
        whole = whole_seconds(runner, prompt)
        run = one_run(runner, prompt, defaults.step_milliseconds / 1000)
        run["whole_tokens_per_second"] = len(prompt) / whole
        run["ratio_to_whole"] = run["prefill_tokens_per_second"] / run["whole_tokens_per_second"]
        runs.append(run)
    print(json.dumps({key: round(median(run[key] for run in runs), 3) for key in runs[0]}, indent=1))
    print("longest gap of all runs, ms:", round(max(run["longest_gap_ms"] for run in runs), 1))


if __name__ == "__main__":
    main()
