"""The estimate of memory and speed, made from a model's shape alone, beside what is measured.

    python tests/benchmarks/fit.py MODEL_FOLDER... [--contexts 512,2048,8192] [--generate 48] [--memory-only]

Each folder is in onnxruntime-genai's format; random weights will do. For each context the model is loaded anew in an
engine host, reads a prompt of random tokens and writes an answer, as every request does. Memory is the most private
memory of the host from its start to the end of the answer; speed is that of the answer.

With `--memory-only`, for a machine that does other work: a process loads tokenizer and model as a host does, fills
keys and values, and reads only the last 16 tokens of the prompt, which is the chunk that the estimate then counts with.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from hearth.config import Config
from hearth.engine.host.client import host_environment
from hearth.engine.outputs import Usage
from hearth.engine.sampling_params import SamplingParams
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.graph_summary import read_graph
from hearth.models.fit import Disk, ModelFit
from hearth.models.shape import ModelShape
from hearth.models.weights import Precision, Weights
from hearth.services.benchmark.private_memory import Peak
from hearth.services.benchmark.side import random_tokens
from hearth.services.hearth import Hearth
from hearth.services.model_fit import Fits
from hearth.services.model_worker import ModelWorker

MB = 1e6


def estimate_of(folder: ModelFolder, fits: Fits) -> tuple[ModelFit, Precision]:
    """By the shape and one block size, as before a download; not by the sizes of the files."""
    graph = read_graph(folder.graph_file)
    shape = ModelShape.of_folder(folder.config, graph, folder.tokenizer_file.stat().st_size)
    blocks = next(tensor for tensor in graph.external if len(tensor.dims) == 3)
    precision = Precision(bits=4, block_size=blocks.dims[2] * 2)
    weights = Weights.of_shape(shape, precision)
    return ModelFit(shape, weights, fits.spec, Disk(download=0, model=weights.disk)), precision


@contextmanager
def loaded(folder: Path, fits: Fits, peak: Peak) -> Iterator[ModelWorker]:
    """The model in a host of its own; its memory is watched from the start."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["HEARTH_HOME"] = home
        hearth = Hearth.open()
        try:
            name = hearth.models.import_folder(folder, in_place=True).name
            options = msgspec.structs.replace(fits.options, drafts=False, kv_store_bytes=0, packed_bytes=0)
            worker = hearth.pool.load(name, options)
            with peak.watch(lambda: worker.client.pid if worker.client else 0):
                worker.wait_ready()
                yield worker
        finally:
            hearth.close()


def answer(worker: ModelWorker, context: int, written: int) -> Usage:
    params = SamplingParams(temperature=0, max_tokens=written, ignore_eos=True)
    prompt = random_tokens(context - written, worker.info().vocab_size, "fit")
    usage = Usage()
    for output in worker.generate(params, token_ids=prompt):
        usage = output.usage or usage
    return usage


# What a host does, without what this program has imported.
INSIDE = """
import os, sys
from pathlib import Path
import numpy as np
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.tokenizer import Tokenizer
from hearth.model_folder.folder import ModelFolder
from hearth.services.benchmark.private_memory import private_bytes
folder, context, chunk = ModelFolder.open(Path(sys.argv[1])), int(sys.argv[2]), 16
tokenizer = Tokenizer(folder)
runner = OrtRunner(folder, "model", threads=2, max_slots=1, kv_cache_bytes=64 << 30)
runner.reserve(1, context)
for buffer in (*runner.cache.keys, *runner.cache.values):
    buffer.array[0, :, :context] = 0.01
runner.truncate(0, context - chunk)
runner.prefill(0, list(range(chunk)))
print(private_bytes(os.getpid()))
"""


def memory_of(folder: Path, context: int) -> int:
    """Private bytes after the last chunk of a prompt of so many tokens, in a process of its own."""
    command = [sys.executable, "-c", INSIDE, str(folder), str(context)]
    done = subprocess.run(command, env=host_environment(), stdout=subprocess.PIPE, check=True)
    return int(done.stdout)


def main() -> None:
    arguments = argparse.ArgumentParser(description="The estimate beside what is measured.")
    arguments.add_argument("folders", type=Path, nargs="+")
    arguments.add_argument("--contexts", default="512,2048,8192")
    arguments.add_argument("--generate", type=int, default=48)
    arguments.add_argument("--memory-only", action="store_true", help="for a machine that does other work")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["HEARTH_HOME"] = home
        fits = Fits.open(Config())
    print(f"bandwidth {fits.spec.bandwidth / 1e9:.1f} GB/s, int8 products {fits.spec.compute / 1e9:.0f} G/s")
    print(f"{'model':<10}{'block':>6}{'tokens':>8}{'peak MB':>9}{'est.':>7}{'':>7}{'tokens/s':>9}{'est.':>7}{'':>7}"
          f"{'read/s':>8}{'est.':>7}")  # fmt: skip
    for path in given.folders:
        fit, precision = estimate_of(ModelFolder.open(path), fits)
        if given.memory_only:  # then the estimate's chunk is the smallest too
            fit = replace(fit, machine=replace(fit.machine, cores=2, compute=1.0))
        for context in map(int, given.contexts.split(",")):
            expected, peak, usage = fit.at(context), Peak(), Usage()
            if given.memory_only:
                peak.bytes = memory_of(path, context)
            else:
                with loaded(path, fits, peak) as worker:
                    usage = answer(worker, context, given.generate)
            line = f"{path.name:<10}{precision.block_size:>6}{context:>8}{peak.bytes / MB:>9.0f}"
            line += f"{expected.memory.private / MB:>7.0f}{expected.memory.private / peak.bytes - 1:>+7.1%}"
            if usage.tokens_per_second:
                line += f"{usage.tokens_per_second:>9.1f}{expected.write_speed:>7.1f}"
                line += f"{expected.write_speed / usage.tokens_per_second - 1:>+7.1%}"
                read = usage.prompt_tokens / usage.seconds_to_first_token
                line += f"{read:>8.0f}{expected.read_speed:>7.0f}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
