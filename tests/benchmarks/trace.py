"""A day at a chat service, replayed: continuous batching, one request at a time, and llama.cpp's own server.

    python tests/benchmarks/trace.py MODEL_FOLDER [--minutes 10]
    python tests/benchmarks/trace.py MODEL_FOLDER --peer-model GGUF [--peer-server PROGRAM]    llama.cpp beside it

Replays the first requests of a conversation trace (../shared/data/README.md has its source): prompts and answers as
long as there, or all divided by `--scale`; tokens are random, so the answers are noise. Hearth's capacity at eight
streams is what it needs for all requests where they are there at once. Arrivals are stretched until that is `--load` of
the time. Without `--scale`, lengths are divided so far that no side takes much longer than `--minutes`, by the tokens
per second of reading and of writing. `make bench-peer` makes the peer's server; the GGUF is to be of the same checkpoint.

The sides come one after the other, each with its model alone in memory and the same client, a thread for each request:

    saturated   Hearth, through its worker and engine host, with all requests there at once: what it can do at most
    batching    the same with the arrivals of the trace
    single      the same arrivals, but one request at a time, in their order
    peer        llama.cpp's server with eight slots and continuous batching, over HTTP, the same arrivals; all else
                is left at its defaults

Figures of a side: tokens written per second from the first arrival to the last token; the wait from a request's arrival
until the first chunk of its prompt was read, and until its first token; the gap between two tokens (tokens that come
together share the gap before them), and the mean gap of each answer. The throughput "at most" compares `saturated` with
the tokens of `single` over the seconds in which that had something to do.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import fmean, median

import msgspec
import numpy as np
from llama_server import Ask, llama_server

from hearth.config import EngineSection
from hearth.engine.sampling_params import SamplingParams
from hearth.hardware.machine import read_machine
from hearth.models.registry import ModelRegistry
from hearth.services.benchmark.hearth_side import HearthSide
from hearth.services.benchmark.side import random_tokens
from hearth.services.engine_options import engine_options
from hearth.services.model_pool import ModelPool

ROOT = Path(__file__).parents[2]
TRACE = ROOT.parent / "shared" / "data" / "eval" / "AzureLLMInferenceTrace_conv.csv"
SERVER = ROOT.joinpath(
    ".venv-peer", *(("Scripts", "llama-server.exe") if os.name == "nt" else ("bin", "llama-server"))
)
SIDES = ("batching", "single", "peer")
STREAMS = 8
MEASURED_TOKENS = 64
MOST_SCALE = 16.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of the trace.

    Attributes:
        arrival: seconds after the first one, as recorded.
        prompt, answer: tokens.
    """

    arrival: float
    prompt: int
    answer: int

    def scaled(self, scale: float) -> Asked:
        return Asked(self.arrival, max(1, round(self.prompt / scale)), max(1, round(self.answer / scale)))


@dataclass(frozen=True, slots=True)
class Capacity:
    """What Hearth does on this machine, in tokens per second: reading, and writing one answer and eight at once."""

    read: float
    write_one: float
    write_eight: float

    def work(self, requests: Sequence[Asked], write: float) -> float:
        """Seconds that the requests take, each token once."""
        return sum(asked.prompt / self.read + asked.answer / write for asked in requests)


@dataclass(slots=True)
class Answered:
    """When things came, on the clock of `time.monotonic`: the request, its turn, news of its prompt, and tokens."""

    arrival: float
    begun: float = 0.0
    first_chunk: float = 0.0
    tokens: list[tuple[float, int]] = field(default_factory=list)

    @property
    def written(self) -> int:
        return sum(count for _, count in self.tokens)

    @property
    def ended(self) -> float:
        return self.tokens[-1][0]

    def gaps(self) -> list[float]:
        """Before each token but those of the first output."""
        gaps: list[float] = []
        for (before, _), (at, count) in zip(self.tokens, self.tokens[1:], strict=False):
            gaps += [(at - before) / count] * count
        return gaps


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds: the median and the 95th percentile."""

    median: float
    p95: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(*(float(np.percentile(values, percent)) for percent in (50, 95)))

    def text(self) -> str:
        return f"{1000 * self.median:>9.0f}{1000 * self.p95:>10.0f}"


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one side; see the module's docstring.

    Attributes:
        seconds: from the first arrival to the last token.
        busy_seconds: of them, those in which a request was being answered.
    """

    requests: int
    prompt_tokens: int
    written_tokens: int
    seconds: float
    busy_seconds: float
    tokens_per_second: float
    first_chunk: Spread
    first_token: Spread
    gap: Spread
    mean_gap: Spread

    @classmethod
    def of(cls, requests: Sequence[Asked], answers: Sequence[Answered]) -> Result:
        for asked, answered in zip(requests, answers, strict=True):
            if answered.written != asked.answer:
                raise RuntimeError(f"{asked.answer} tokens were asked for, and {answered.written} came")
        written = sum(answered.written for answered in answers)
        seconds = max(answered.ended for answered in answers) - min(answered.arrival for answered in answers)
        several = [answered for answered in answers if len(answered.tokens) > 1]
        return cls(
            requests=len(answers),
            prompt_tokens=sum(asked.prompt for asked in requests),
            written_tokens=written,
            seconds=seconds,
            busy_seconds=_covered([(answered.begun, answered.ended) for answered in answers]),
            tokens_per_second=written / seconds,
            first_chunk=Spread.of([answered.first_chunk - answered.arrival for answered in answers]),
            first_token=Spread.of([answered.tokens[0][0] - answered.arrival for answered in answers]),
            gap=Spread.of([gap for answered in several for gap in answered.gaps()]),
            mean_gap=Spread.of([fmean(answered.gaps()) for answered in several]),
        )


def read_trace(path: Path, count: int) -> list[Asked]:
    """The first requests, by arrival."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row, _ in zip(csv.DictReader(file), range(count), strict=False)]
    times = [datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp() for row in rows]
    return [
        Asked(at - times[0], int(row["ContextTokens"]), int(row["GeneratedTokens"]))
        for at, row in zip(times, rows, strict=True)
    ]


def measure_capacity(side: HearthSide, requests: Sequence[Asked], runs: int) -> Capacity:
    """At the mean lengths of the requests; the first run of each does not count."""
    prompt = round(fmean(asked.prompt for asked in requests))
    context = prompt + round(fmean(asked.answer for asked in requests) / 2)
    read = [side.prefill(prompt, run) for run in range(runs + 1)][1:]
    one, eight = (
        median([side.decode(streams, context, MEASURED_TOKENS) for _ in range(runs + 1)][1:])
        for streams in (1, STREAMS)
    )
    return Capacity(prompt / median(read), one, eight)


def fitting_scale(capacity: Capacity, requests: Sequence[Asked], load: float, seconds: float) -> float:
    """The least scale, in steps of a tenth, at which no side takes longer."""
    for tenths in range(10, int(10 * MOST_SCALE)):
        scaled = [asked.scaled(tenths / 10) for asked in requests]
        stretched = capacity.work(scaled, capacity.write_eight) / load
        if max(stretched, capacity.work(scaled, capacity.write_one)) <= seconds:
            return tenths / 10
    return MOST_SCALE


def replay(ask: Ask, requests: Sequence[Asked], arrivals: Sequence[float], vocab: int, most: int) -> Result:
    """Each request at its time, on a thread of its own; no more than `most` are open, the others queue."""
    prompts = [random_tokens(asked.prompt, vocab, f"trace {n}") for n, asked in enumerate(requests)]
    begin = time.monotonic() + 0.5

    def answer(number: int) -> Answered:
        answered = Answered(begin + arrivals[number], begun=time.monotonic())
        for count in ask(prompts[number], requests[number].answer):
            now = time.monotonic()
            answered.first_chunk = answered.first_chunk or now
            if count:
                answered.tokens.append((now, count))
        return answered

    with ThreadPoolExecutor(most) as threads:
        futures = []
        for number, arrival in enumerate(arrivals):
            time.sleep(max(0.0, begin + arrival - time.monotonic()))
            futures.append(threads.submit(answer, number))
        return Result.of(requests, [future.result() for future in futures])


def ask_hearth(pool: ModelPool, name: str) -> Ask:
    worker = pool.load(name)  # it is loaded already

    def ask(prompt: list[int], tokens: int) -> Iterator[int]:
        params = SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True)
        return (len(output.token_ids) for output in worker.generate(params, token_ids=prompt))

    return ask


def _covered(spans: Sequence[tuple[float, float]]) -> float:
    """Seconds that at least one span covers."""
    covered, until = 0.0, 0.0
    for begin, end in sorted(spans):
        covered += max(0.0, end - max(begin, until))
        until = max(until, end)
    return covered


def _say(text: str) -> None:
    print(f"{datetime.now().astimezone():%H:%M:%S}  {text}", file=sys.stderr, flush=True)


def run(given: argparse.Namespace, home: Path) -> dict[str, object]:
    """Measure what was asked for, and give it back as it is written."""
    # Without drafts, since noise repeats itself, and without kept contexts, since no prompt comes twice.
    options = msgspec.structs.replace(
        engine_options(EngineSection(max_slots=STREAMS), read_machine()), drafts=False, kv_store_bytes=0
    )
    registry = ModelRegistry(home / "models", built_in=())
    entry = registry.import_folder(given.folder, name="model", in_place=True)
    pool = ModelPool(registry, options)
    side = HearthSide(pool, entry, options)
    results: dict[str, Result] = {}
    try:
        side.load()
        info = side.info()
        trace = read_trace(given.trace, given.requests)
        scale = given.scale
        if not scale:
            _say("measuring the capacity at the recorded lengths")
            rough = measure_capacity(side, _fitting(trace, info.context_length), 1)
            scale = fitting_scale(rough, trace, given.load, 60 * given.minutes)
        requests = _fitting([asked.scaled(scale) for asked in trace], info.context_length)
        ask = ask_hearth(pool, entry.name)

        def replayed(name: str, arrivals: Sequence[float], most: int, ask: Ask = ask) -> Result:
            _say(name)
            result = results[name] = replay(ask, requests, arrivals, info.vocab_size, most)
            _say(msgspec.json.encode(result).decode())  # an hour's work is not lost with the next side
            return result

        _say(f"{len(requests)} requests, lengths divided by {scale:g}")
        capacity = replayed("saturated", [0.0] * len(requests), len(requests))
        span = capacity.seconds / given.load
        factor = span / (requests[-1].arrival - requests[0].arrival)
        arrivals = [factor * (asked.arrival - requests[0].arrival) for asked in requests]
        report: dict[str, object] = {
            "requests": len(requests),
            "left_out_too_long": len(trace) - len(requests),
            "scale": scale,
            "load": given.load,
            "capacity_seconds_per_request": capacity.seconds / len(requests),
            "arrivals_stretched_by": factor,
        }
        _say(f"arrivals stretched by {factor:.2f}: about {span / 60:.1f} minutes for each side")
        if "batching" in given.sides:
            replayed("batching", arrivals, len(requests))
        if "single" in given.sides:
            replayed("single", arrivals, 1)
        side.unload()
        if "peer" in given.sides:
            longest = max(asked.prompt + asked.answer for asked in requests) + 2
            with llama_server(
                given.peer_server, given.peer_model, STREAMS, longest, options.threads
            ) as ask_peer:
                list(ask_peer(random_tokens(64, info.vocab_size, "warm"), 8))
                replayed("peer", arrivals, len(requests), ask_peer)
    finally:
        pool.close()
    return report | {"sides": results, "ratios": _ratios(results)}


def _fitting(requests: Sequence[Asked], context: int) -> list[Asked]:
    return [asked for asked in requests if asked.prompt + asked.answer <= context]


def _ratios(results: dict[str, Result]) -> dict[str, float]:
    """How many times as good; over 1 is in favour of batching."""
    ratios = {}
    if "single" in results:
        single = results["single"]
        if "batching" in results:
            ratios["throughput, same arrivals"] = (
                results["batching"].tokens_per_second / single.tokens_per_second
            )
        if "saturated" in results:
            ratios["throughput, at most"] = results["saturated"].tokens_per_second / (
                single.written_tokens / single.busy_seconds
            )
    if "peer" in results and "batching" in results:
        ours, theirs = results["batching"], results["peer"]
        ratios["throughput against the peer"] = ours.tokens_per_second / theirs.tokens_per_second
        for name, our, their in (
            ("first token", ours.first_token, theirs.first_token),
            ("gap", ours.gap, theirs.gap),
            ("mean gap of an answer", ours.mean_gap, theirs.mean_gap),
        ):
            ratios[f"{name} against the peer, median"] = their.median / our.median
            ratios[f"{name} against the peer, 95 %"] = their.p95 / our.p95
    return ratios


def write_tables(report: dict[str, object]) -> None:
    for name, value in report.items():
        if name == "sides":
            print(f"\n{'':<12}{'tokens/s':>9}{'seconds':>9}", end="")
            for what in ("first chunk", "first token", "gap", "mean gap"):
                print(f"{what:>13}, ms{'':>3}", end="")
            print(f"\n{'':<30}" + f"{'median':>9}{'95 %':>10}" * 4)
            for side, result in value.items():  # type: ignore[attr-defined]
                spreads = (result.first_chunk, result.first_token, result.gap, result.mean_gap)
                texts = "".join(spread.text() for spread in spreads)
                print(f"{side:<12}{result.tokens_per_second:>9.1f}{result.seconds:>9.1f}{texts}")
        elif name == "ratios":
            print("\nTimes as good")
            for what, ratio in value.items():  # type: ignore[attr-defined]
                print(f"{what:<44}{ratio:>6.2f}")
        else:
            print(f"{name}: {value}")


def main() -> None:
    arguments = argparse.ArgumentParser(description="Replay a conversation trace.")
    arguments.add_argument("folder", type=Path, help="a model folder")
    arguments.add_argument("--trace", type=Path, default=TRACE)
    arguments.add_argument("--requests", type=int, default=200)
    arguments.add_argument("--load", type=float, default=0.8)
    arguments.add_argument("--scale", type=float, help="divides the lengths; chosen by --minutes otherwise")
    arguments.add_argument("--minutes", type=float, default=10.0, help="for each side, about")
    arguments.add_argument("--peer-model", type=Path, help="a GGUF of the same checkpoint")
    arguments.add_argument("--peer-server", type=Path, default=SERVER)
    arguments.add_argument(
        "--sides", nargs="+", choices=SIDES, help="after saturated; all that can run, otherwise"
    )
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    given.sides = given.sides or (SIDES if given.peer_model else SIDES[:-1])
    if "peer" in given.sides and not (given.peer_model and given.peer_server.is_file()):
        arguments.error("the peer needs --peer-model, and its server, which make bench-peer makes")
    with tempfile.TemporaryDirectory() as home:
        os.environ["HEARTH_HOME"] = home
        report = run(given, Path(home))
    if given.json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=1).decode())
    else:
        write_tables(report)


if __name__ == "__main__":
    main()
