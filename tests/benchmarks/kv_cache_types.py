"""Int8 keys and values against float ones: what they cost in quality, and what they give in memory and speed.

    python tests/benchmarks/kv_cache_types.py MODEL_FOLDER [--text FILE] [--positions 300] [--lengths 0 2048 8192]

Quality is measured after each of so many tokens of the text, read one by one as an answer is: the relative RMS error of
the logits, the mean Kullback-Leibler divergence, and how often the likeliest token is the same. Speed is measured by
turns, as medians over --runs: reading 128 tokens more after each length, and writing one more.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from hearth.engine.kv_scales import int8_cache
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.tokenizer import Tokenizer
from hearth.hardware.machine import read_machine
from hearth.model_folder.folder import ModelFolder
from hearth.paths import resource

CHUNK = 128


def help_text() -> str:
    """Pages of the help that the scales are not measured on, which are the first ones."""
    pages = sorted(resource("help", "en").glob("*.md"))
    return "\n".join(page.read_text("utf-8") for page in pages[len(pages) // 2 :])


def read_one_by_one(runner: OrtRunner, ids: list[int]) -> np.ndarray:
    runner.reserve(1, len(ids))
    runner.truncate(0, 0)
    return np.stack([runner.decode(0, [token])[0] for token in ids])


def log_softmax(rows: np.ndarray) -> np.ndarray:
    shifted = rows.astype(np.float64) - rows.max(axis=1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def quality(rows: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    p, q = log_softmax(reference), log_softmax(rows)
    return {
        "relative_rms_error": float(np.sqrt(np.mean((rows - reference) ** 2) / np.mean(reference**2))),
        "mean_kl_divergence": float((np.exp(p) * (p - q)).sum(axis=1).mean()),
        "same_likeliest_token": float(np.mean(rows.argmax(axis=1) == reference.argmax(axis=1))),
    }


def seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def fill(runner: OrtRunner, length: int) -> None:
    """As if `length` tokens had been read: what the kernel does takes as long whatever the values are."""
    runner.reserve(1, length + CHUNK)
    shape = runner.cache.shape
    ones = np.ones((shape.kv_heads, length, shape.head_dim), shape.dtype)
    for buffer in (*runner.cache.keys, *runner.cache.values):
        buffer.write(0, ones)


def speeds(runners: dict[str, OrtRunner], length: int, runs: int) -> dict[str, dict[str, float]]:
    """Tokens per second after `length` tokens, of reading a chunk and of writing: medians, by turns."""
    found: dict[str, dict[str, list[float]]] = {"read": {}, "write": {}}
    for runner in runners.values():
        fill(runner, length)
    for _ in range(runs):
        for kind, runner in runners.items():
            for name, tokens, act in (
                ("read", CHUNK, lambda r=runner: r.prefill(0, [5] * CHUNK)),
                ("write", 1, lambda r=runner: r.decode(0, [5])),
            ):
                runner.truncate(0, length)
                found[name].setdefault(kind, []).append(tokens / seconds(act))
    return {name: {kind: median(figures) for kind, figures in kinds.items()} for name, kinds in found.items()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--text", type=Path, help="what is read for quality; the help where none is given")
    arguments.add_argument("--positions", type=int, default=300)
    arguments.add_argument("--lengths", type=int, nargs="*", default=[0, 2048, 8192])
    arguments.add_argument("--runs", type=int, default=7)
    options = arguments.parse_args()
    folder, threads = ModelFolder.open(options.folder), read_machine().usable_cores
    tokenizer = Tokenizer(folder)
    with tempfile.TemporaryDirectory() as place:
        measured = int8_cache(folder, "m", tokenizer, threads=threads, place=Path(place), model="measured")
    if measured.scales is None:
        raise SystemExit(measured.refusal)
    runners = {
        kind: OrtRunner(folder, "m", threads=threads, max_slots=1, kv_cache_bytes=1 << 30, kv_scales=scales)
        for kind, scales in (("float", None), ("int8", measured.scales))
    }
    room = runners["float"].context_length
    text = options.text.read_text("utf-8") if options.text else help_text()
    ids = tokenizer.encode_raw(text[: 16 * options.positions])[: min(options.positions, room)]
    rows = {kind: read_one_by_one(runner, ids) for kind, runner in runners.items()}
    report: dict[str, object] = {
        "positions": len(ids),
        **quality(rows["int8"], rows["float"]),
        "noise_at_first_load": measured.noise,
        "bytes_per_token": {kind: runner.cache.shape.bytes_per_token for kind, runner in runners.items()},
    }
    for length in options.lengths:
        if length + CHUNK <= room:
            measured_speeds = speeds(runners, length, options.runs)
            for name, kinds in measured_speeds.items():
                ratio = kinds["int8"] / kinds["float"]
                report[f"{name}_tokens_per_second_after_{length}"] = {**kinds, "int8_to_float": ratio}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
