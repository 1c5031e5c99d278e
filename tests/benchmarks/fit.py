"""The estimate of memory and speed, made from a model's shape alone, beside what is measured.

    python tests/benchmarks/fit.py MODEL_FOLDER... [--contexts 512,2048,8192] [--generate 48] [--rounds 3]
                                             [--whole | --memory-only]

Each folder is in onnxruntime-genai's format; random weights will do. The estimate knows the machine's measured bandwidth
and arithmetic, and nothing that any model has shown. Nobody waits for an 8B model to read 8,192 tokens on two slow
cores, so for each context a process loads the model as a host does and drives the engine itself:

1. A prompt of 256 tokens is read, with nothing before it.
2. Keys and values up to 256 tokens before the context's end are filled in, as what an earlier request has left; which
   numbers they are changes neither speed nor memory.
3. A prompt that begins with those is sent: the engine reads its last 256 tokens in chunks of its own choosing, and
   writes an answer.

The writing speed is that of this answer. A token's reading time grows by the same with each token before it, so that of
a prompt that fills the context is the mean of 1 and 3. Memory is the most private memory of the process.

With `--whole` the model is loaded in an engine host instead, reads a whole prompt and writes an answer, as every request
does; that takes long, and shows that the short way measures the same. With `--memory-only`, for a machine that does
other work, only the last 16 tokens are read, which is the chunk that the estimate then counts with.

All is done in rounds, and medians count: what disturbs a shared machine for a moment falls on one of them. The machine's
own speeds are measured anew before and after each figure. The table is shown after each round.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import msgspec

from hearth.config import Config
from hearth.engine.host.client import host_environment
from hearth.engine.outputs import Usage
from hearth.engine.sampling_params import SamplingParams
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.graph_summary import read_graph
from hearth.models.fit import Disk, ModelFit
from hearth.models.shape import ModelShape
from hearth.models.speeds import Speeds
from hearth.models.weights import Precision, Weights
from hearth.services.benchmark.private_memory import Peak
from hearth.services.benchmark.side import random_tokens
from hearth.services.hearth import Hearth
from hearth.services.model_fit import Fits
from hearth.services.model_worker import ModelWorker

MB = 1e6
TAIL = 256
# The engine goes on with what another request has left from so many tokens on.
LEAST_BEFORE = 16


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


# What a host does, without what this program has imported. Prints the seconds of a token in reading at the start and at
# the end, and the tokens a second of writing.
INSIDE = """
import sys
from pathlib import Path
import numpy as np
from hearth.engine.engine import Engine
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.request import Request
from hearth.engine.sampling_params import SamplingParams
from hearth.engine.tokenizer import Tokenizer
from hearth.model_folder.folder import ModelFolder
from hearth.services.benchmark.side import random_tokens
folder, threads, context, tail, written = ModelFolder.open(Path(sys.argv[1])), *map(int, sys.argv[2:])
tokenizer = Tokenizer(folder)
runner = OrtRunner(folder, "model", threads=threads, max_slots=1, kv_cache_bytes=64 << 30)
engine = Engine(runner, drafter=None)

def answer(prompt, tokens):
    params = SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True)
    engine.submit(Request("fit", tuple(prompt), params))
    while engine.has_work:
        for output in engine.step():
            usage = output.usage
    return usage

def seconds(usage):
    return usage.seconds_to_first_token / (usage.prompt_tokens - usage.cached_tokens)

answer(random_tokens(32, runner.vocab_size, "warm"), 2)
engine.scheduler.drop_leftovers()
start = seconds(answer(random_tokens(tail, runner.vocab_size, "start"), 1))
prompt = random_tokens(context - written, runner.vocab_size, "end")
runner.reserve(1, context)
for buffer in (*runner.cache.keys, *runner.cache.values):
    buffer.array[0, :, :len(prompt)] = 0.01
(leftover,) = engine.scheduler.slots.leftovers()
leftover.tokens = np.array(prompt[:-tail], np.int64)
runner.truncate(0, len(leftover.tokens))
usage = answer(prompt, written)
assert usage.cached_tokens == len(prompt) - tail, usage
print(start, seconds(usage), usage.tokens_per_second)
"""

# The same as far as memory goes.
MEMORY_INSIDE = """
import os, sys
from pathlib import Path
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


@dataclass
class Measured:
    """What a context takes and how fast it is: bytes, and tokens a second, 0 where that was not measured."""

    memory: int
    write_speed: float = 0.0
    read_speed: float = 0.0


def memory_of(folder: Path, context: int) -> Measured:
    """After the last chunk of a prompt of so many tokens, in a process of its own."""
    command = [sys.executable, "-c", MEMORY_INSIDE, str(folder), str(context)]
    done = subprocess.run(command, env=host_environment(), stdout=subprocess.PIPE, check=True)
    return Measured(int(done.stdout))


def measure(folder: Path, fits: Fits, context: int, written: int) -> Measured:
    """The short way."""
    numbers = (fits.options.threads, context, min(TAIL, context - written - LEAST_BEFORE), written)
    command = [sys.executable, "-c", INSIDE, str(folder), *map(str, numbers)]
    peak = Peak()
    with subprocess.Popen(command, env=host_environment(), stdout=subprocess.PIPE, text=True) as process:
        with peak.watch(lambda: process.pid):
            output, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"{folder.name} was not measured")
    start, end, write_speed = map(float, output.split())
    return Measured(peak.bytes, write_speed, 2 / (start + end))


def measure_whole(folder: Path, fits: Fits, context: int, written: int) -> Measured:
    """The long way."""
    peak = Peak()
    with loaded(folder, fits, peak) as worker:
        usage = answer(worker, context, written)
    return Measured(peak.bytes, usage.tokens_per_second, usage.prompt_tokens / usage.seconds_to_first_token)


def machine() -> Fits:
    """This machine, measured now, with no experience of any model."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["HEARTH_HOME"] = home
        return Fits.open(Config())


def middle(machines: Sequence[Fits]) -> Fits:
    """One machine with the middle of its speeds."""
    speeds = Speeds.middle([one.spec.speeds for one in machines])
    return replace(machines[0], spec=replace(machines[0].spec, speeds=speeds))


def median_of(found: Sequence[Measured]) -> Measured:
    """Of each figure."""
    return Measured(
        round(median(one.memory for one in found)),
        median(one.write_speed for one in found),
        median(one.read_speed for one in found),
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description="The estimate beside what is measured.")
    arguments.add_argument("folders", type=Path, nargs="+")
    arguments.add_argument("--contexts", default="512,2048,8192")
    arguments.add_argument("--generate", type=int, default=48)
    arguments.add_argument("--rounds", type=int, default=3, help="of all; the median of each figure counts")
    ways = arguments.add_mutually_exclusive_group()
    ways.add_argument("--whole", action="store_true", help="whole prompts, in an engine host")
    ways.add_argument("--memory-only", action="store_true", help="for a machine that does other work")
    given = arguments.parse_args()
    contexts = [int(context) for context in given.contexts.split(",")]
    machines: dict[Path, list[Fits]] = defaultdict(list)
    found: dict[tuple[Path, int], list[Measured]] = defaultdict(list)
    for number in range(given.rounds):
        print(f"round {number + 1} of {given.rounds}", file=sys.stderr, flush=True)
        for path in given.folders:
            for context in contexts:
                machines[path].append(machine())
                if given.memory_only:
                    measured = memory_of(path, context)
                else:
                    way = measure_whole if given.whole else measure
                    measured = way(path, machines[path][-1], context, given.generate)
                found[path, context].append(measured)
            machines[path].append(machine())
        write(given, contexts, machines, found)


def write(
    given: argparse.Namespace,
    contexts: Sequence[int],
    machines: Mapping[Path, Sequence[Fits]],
    found: Mapping[tuple[Path, int], Sequence[Measured]],
) -> None:
    """The estimate by the machine as it was beside each model, beside the medians of what was measured."""
    print(f"{'model':<10}{'block':>6}{'tokens':>8}" + "".join(
        f"{name:>11}{'est.':>8}{'error':>8}" for name in ("peak MB", "writes/s", "reads/s")))  # fmt: skip
    worst = dict.fromkeys(("memory", "writing", "reading"), 0.0)
    for path in given.folders:
        fits = middle(machines[path])
        print(
            " ".join(
                f"{name} {speed:.3g}" for name, speed in msgspec.structs.asdict(fits.spec.speeds).items()
            )
        )
        fit, precision = estimate_of(ModelFolder.open(path), fits)
        if given.memory_only:  # then the estimate's chunk is the smallest too
            fit = replace(
                fit,
                machine=replace(
                    fit.machine, cores=2, speeds=Speeds(prompt_rate=1.0, prompt_attention_rate=1.0)
                ),
            )
        for context in contexts:
            expected, measured = fit.at(context), median_of(found[path, context])
            line = f"{path.name:<10}{precision.block_size:>6}{context:>8}"
            for name, estimate, figure in (
                ("memory", expected.memory.private / MB, measured.memory / MB),
                ("writing", expected.write_speed, measured.write_speed),
                ("reading", expected.read_speed, measured.read_speed),
            ):
                if figure:
                    error = estimate / figure - 1
                    worst[name] = max(worst[name], error, key=abs)
                    line += f"{figure:>11.1f}{estimate:>8.1f}{error:>+8.1%}"
            print(line)
    print("worst error: " + ", ".join(f"{name} {error:+.1%}" for name, error in worst.items() if error))


if __name__ == "__main__":
    main()
