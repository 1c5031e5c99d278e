"""How much of the memory's read bandwidth a model uses while it writes one answer.

    python tests/benchmarks/read_bandwidth.py MODEL_FOLDER [--threads 2] [--runs 5]

A token needs every weight once, so that reading the weights is the least that it can take. Prints, as medians of runs
in turn: the bandwidth at which so many threads read memory that no cache holds, tokens per second of one stream, the
bytes of weights that a token reads, and what their product is of the bandwidth.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np

from hearth.engine.ort_runner import OrtRunner
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.graph_summary import read_graph

READ_BYTES = 1 << 29
STEPS = 24
KV_CACHE_BYTES = 256 << 20
# Looked up, not read through.
TABLES = ("cos_cache", "sin_cache")


def bandwidth(parts: list[np.ndarray], pool: ThreadPoolExecutor) -> float:
    """Bytes per second that the threads read, each its own part."""
    started = time.perf_counter()
    list(pool.map(np.max, parts))
    return sum(part.nbytes for part in parts) / (time.perf_counter() - started)


def speed(runner: OrtRunner) -> float:
    """Tokens per second of one answer after a few tokens."""
    runner.truncate(0, 8)
    started = time.perf_counter()
    for token in range(STEPS):
        runner.decode(0, [token])
    return STEPS / (time.perf_counter() - started)


def weight_bytes(folder: ModelFolder) -> int:
    """Of all weights in files but the tables of positions; a matrix that is also the embedding counts once."""
    tensors = read_graph(folder.graph_file).external
    places = {
        (tensor.entries.get("location"), tensor.entries.get("offset")): int(tensor.entries["length"])
        for tensor in tensors
        if not tensor.name.startswith(TABLES)
    }
    return sum(places.values())


def main() -> None:
    arguments = argparse.ArgumentParser(description="The share of the read bandwidth that decoding uses.")
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--runs", type=int, default=5)
    given = arguments.parse_args()
    folder = ModelFolder.open(given.folder)
    runner = OrtRunner(folder, "model", threads=given.threads, max_slots=1, kv_cache_bytes=KV_CACHE_BYTES)
    runner.reserve(1, 64)
    runner.prefill(0, list(range(8)))
    speed(runner)
    parts = [np.ones(READ_BYTES // 8, np.uint64) for _ in range(given.threads)]
    read: list[float] = []
    written: list[float] = []
    with ThreadPoolExecutor(given.threads) as pool:
        for _ in range(given.runs):
            read.append(bandwidth(parts, pool))
            written.append(speed(runner))
    each = weight_bytes(folder)
    used = median(written) * each
    print(f"read bandwidth     {median(read) / 1e9:6.1f} GB/s")
    print(f"one stream         {median(written):6.1f} tokens/s")
    print(f"weights a token    {each / 1e6:6.0f} MB")
    print(f"used               {used / median(read):6.0%}")


if __name__ == "__main__":
    main()
