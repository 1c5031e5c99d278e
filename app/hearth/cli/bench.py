"""`hearth bench`: how fast a model runs on this machine, and what memory it takes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from threading import Barrier, Event
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from hearth.cli.opening import load_model, open_hearth
from hearth.cli.output import size_text, status, write_json, write_pairs, write_table
from hearth.engine.sampling_params import SamplingParams
from hearth.errors import RequestInvalid
from hearth.i18n import tr

if TYPE_CHECKING:
    from hearth.services.model_worker import ModelWorker

STREAMS = (1, 2, 4, 8)
# Long enough that reading it costs little, so that the streams start together.
DECODE_PROMPT_TOKENS = 16
WATCH_SECONDS = 0.01


class DecodeSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """Writing with so many streams at once: all of them together, in tokens per second."""

    streams: int
    tokens_per_second: float


class BenchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured; medians of `repeat` runs.

    Attributes:
        load_seconds: from the start of the host's process until it is ready.
        kv_cache_bytes, peak_memory_bytes: most memory of the host seen in a run: keys and values, and all of it.
    """

    model: str
    threads: int
    provider: str
    load_seconds: float
    prompt_tokens: int
    prefill_tokens_per_second: float
    generate_tokens: int
    decode: list[DecodeSpeed]
    kv_cache_bytes: int
    peak_memory_bytes: int
    repeat: int


def bench(
    model: Annotated[str, typer.Argument(metavar=tr("MODEL"), help=tr("Name or alias of a model."))],
    prompt_tokens: Annotated[
        int, typer.Option(metavar=tr("NUMBER"), min=1, help=tr("Tokens to read."))
    ] = 512,
    generate_tokens: Annotated[
        int, typer.Option(metavar=tr("NUMBER"), min=2, help=tr("Tokens to write, in each stream."))
    ] = 64,
    repeat: Annotated[
        int, typer.Option(metavar=tr("NUMBER"), min=1, help=tr("Runs of each; the median counts."))
    ] = 3,
    threads: Annotated[
        int, typer.Option(metavar=tr("NUMBER"), min=0, help=tr("Processor threads; 0 lets Hearth choose."))
    ] = 0,
    json: Annotated[bool, typer.Option("--json", help=tr("Write JSON, for programs."))] = False,
) -> None:
    """Measure and report. The prompts are random tokens, so the answers are noise."""
    with open_hearth() as hearth:
        started = time.monotonic()
        worker = load_model(hearth, model, threads=threads)
        load_seconds = time.monotonic() - started
        measure = Bench(worker, repeat)
        info = worker.info()
        prompt_tokens = min(prompt_tokens, info.context_length - 1)
        if DECODE_PROMPT_TOKENS + generate_tokens > info.context_length:
            raise RequestInvalid(reason=tr("this model holds {n} tokens at once", n=info.context_length))
        with status(tr("Measuring {name}…", name=worker.name)):
            prefill = measure.prefill(prompt_tokens)
            decode = [
                DecodeSpeed(streams=streams, tokens_per_second=measure.decode(streams, generate_tokens))
                for streams in STREAMS
                if streams <= info.max_slots
            ]
        result = BenchResult(
            model=worker.name,
            threads=info.threads,
            provider=info.provider,
            load_seconds=load_seconds,
            prompt_tokens=prompt_tokens,
            prefill_tokens_per_second=prefill,
            generate_tokens=generate_tokens,
            decode=decode,
            kv_cache_bytes=measure.kv_cache_bytes,
            peak_memory_bytes=measure.peak_memory_bytes,
            repeat=repeat,
        )
    if json:
        write_json(result)
    else:
        _write(result)


@dataclass
class Bench:
    """Runs against one loaded model."""

    worker: ModelWorker
    repeat: int
    kv_cache_bytes: int = 0
    peak_memory_bytes: int = 0

    def prefill(self, tokens: int) -> float:
        """Tokens per second of reading a prompt, the first token of the answer included."""
        params = SamplingParams(temperature=0, max_tokens=1, ignore_eos=True)

        def once(seed: int) -> float:
            started = time.monotonic()
            for _ in self.worker.generate(params, token_ids=self._prompt(tokens, seed)):
                pass
            return tokens / (time.monotonic() - started)

        return self._median(once)

    def decode(self, streams: int, tokens: int) -> float:
        """Tokens per second of all streams together, while all of them write."""
        params = SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True)
        start = Barrier(streams)

        def stream(seed: int) -> list[float]:
            """When each token came."""
            prompt = self._prompt(DECODE_PROMPT_TOKENS, seed)
            times: list[float] = []
            start.wait()
            for output in self.worker.generate(params, token_ids=prompt):
                times += [time.monotonic()] * len(output.token_ids)
            return times

        def once(seed: int) -> float:
            with ThreadPoolExecutor(streams) as threads:
                seeds = range(seed * streams, (seed + 1) * streams)
                return _shared_speed(list(threads.map(stream, seeds)))

        return self._median(once)

    def _median(self, once: Callable[[int], float]) -> float:
        with self._watching():
            once(self.repeat)  # not counted: it also grows buffers and warms caches
        return median(once(run) for run in range(self.repeat))

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Note the most memory that the host takes. Asking costs it time, so this is never on while time counts."""
        done = Event()

        def watch() -> None:
            while True:
                stats = self.worker.stats()
                self.kv_cache_bytes = max(self.kv_cache_bytes, int(stats["kv_cache_bytes"]))
                self.peak_memory_bytes = max(self.peak_memory_bytes, int(stats["memory_bytes"]))
                if done.wait(WATCH_SECONDS):
                    return

        with ThreadPoolExecutor(1) as thread:
            watching = thread.submit(watch)
            try:
                yield
            finally:
                done.set()
            watching.result()

    def _prompt(self, tokens: int, seed: int) -> list[int]:
        # No two alike, so that none is read from another's keys and values.
        chance = random.Random(f"{tokens} {seed}")  # noqa: S311 (noise, not a secret)
        return [chance.randrange(self.worker.info().vocab_size) for _ in range(tokens)]


def _shared_speed(streams: list[list[float]]) -> float:
    """Tokens per second between the last stream's first token and the first stream's last."""
    begin, end = max(times[0] for times in streams), min(times[-1] for times in streams)
    if end <= begin:  # they hardly overlapped: count all of it
        begin, end = min(times[0] for times in streams), max(times[-1] for times in streams)
    tokens = sum(begin < at <= end for times in streams for at in times)
    return tokens / (end - begin) if end > begin else 0.0


def _write(result: BenchResult) -> None:
    write_pairs(
        [
            (tr("Model"), result.model),
            (tr("Runs on"), tr("{provider}, {n} threads", provider=result.provider, n=result.threads)),
            (tr("Load"), tr("{n} s", n=f"{result.load_seconds:.2f}")),
            (tr("Memory"), size_text(result.peak_memory_bytes)),
            (tr("of it keys and values"), size_text(result.kv_cache_bytes)),
        ]
    )
    rows = [
        (
            tr("read {n} tokens", n=result.prompt_tokens),
            "1",
            f"{result.prefill_tokens_per_second:.1f}",
        )
    ]
    rows += [
        (
            tr("write {n} tokens", n=result.generate_tokens),
            str(speed.streams),
            f"{speed.tokens_per_second:.1f}",
        )
        for speed in result.decode
    ]
    write_table((tr("WHAT"), tr("STREAMS"), tr("TOKENS/S")), rows)
