"""What a recipe costs in speed: the same checkpoint in several forms, measured by turns in one process.

    python tests/benchmarks/recipe_speed.py MODEL_FOLDER ... [--prompt-tokens 512] [--streams 1 4 8] [--runs 7]

Each model is loaded as the app loads it, but without its packed form. Medians over --runs of reading a prompt and of
writing one token in each stream; below each, its ratio to the first model's.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from hearth.cli.output import size_text, write_table
from hearth.engine.ort_runner import OrtRunner
from hearth.hardware.machine import read_machine
from hearth.model_folder.folder import ModelFolder

TOKEN = 5
# Decoding is short: this often, for each run.
STEPS = 4


def seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def read(runner: OrtRunner, tokens: int) -> float:
    """Tokens per second."""
    runner.truncate(0, 0)
    return tokens / seconds(lambda: runner.prefill(0, [TOKEN] * tokens))


def written(runner: OrtRunner, streams: int) -> float:
    """Tokens per second of all streams together."""
    for slot in range(streams):
        runner.truncate(slot, 0)
    return streams * STEPS / seconds(lambda: [runner.decode(0, [TOKEN] * streams) for _ in range(STEPS)])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folders", nargs="+", type=Path)
    arguments.add_argument("--prompt-tokens", type=int, default=512)
    arguments.add_argument("--streams", type=int, nargs="*", default=[1, 4, 8])
    arguments.add_argument("--runs", type=int, default=7)
    options = arguments.parse_args()
    folders = [ModelFolder.open(folder) for folder in options.folders]
    most, threads = max(options.streams, default=1), read_machine().usable_cores
    runners = [
        OrtRunner(folder, folder.path.name, threads=threads, max_slots=most, kv_cache_bytes=4 << 30)
        for folder in folders
    ]
    acts: dict[str, Callable[[OrtRunner], float]] = {
        f"READ {options.prompt_tokens}": partial(read, tokens=options.prompt_tokens),
        **{f"WRITE x{streams}": partial(written, streams=streams) for streams in options.streams},
    }
    found: dict[tuple[int, str], list[float]] = defaultdict(list)
    for runner in runners:
        runner.reserve(most, options.prompt_tokens)
        for act in acts.values():
            act(runner)  # the first run allocates
    for _ in range(options.runs):
        for name, act in acts.items():
            for place, runner in enumerate(runners):
                found[place, name].append(act(runner))
    rows = []
    for place, folder in enumerate(folders):
        figures = [(median(found[place, name]), median(found[0, name])) for name in acts]
        rows.append(
            [
                folder.path.name,
                size_text(folder.bytes),
                *(f"{figure:.1f} ({figure / first:.2f})" for figure, first in figures),
            ]
        )
    write_table(["MODEL", "SIZE", *acts], rows)


if __name__ == "__main__":
    main()
