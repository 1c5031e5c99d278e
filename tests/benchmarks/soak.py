"""Half an hour of everything at once: does memory stay, does every request end, is the same question answered alike?

    python tests/benchmarks/soak.py MODEL_FOLDER [--minutes 30]
    python tests/benchmarks/soak.py MODEL_FOLDER --minutes 3 --most-prompt 1000    a short one, to try it

Requests go the way of every real one, through the model's worker and its engine host, at random times: prompts of 1
to 8,000 tokens (or what the model holds), some of which begin like an earlier one, some of text; greedy, sampled with
and without a seed, with penalties, with log-probabilities; answers that must match a grammar, where sampling parameters
have one; answers given up at any moment; and requests that must be refused. Once in ten seconds a control prompt is asked
greedily. First of all every slot reads a prompt of the greatest length, since keys and values are kept and memory
grows until each slot has seen its longest.

Broken promises, each of which makes the exit code 1: private memory of the host at the end more than 3 % above what it
was after the first five minutes (or a sixth of the time, where that is less), each the median of a minute's samples; a
request that does not end in time, by the work that was open when it came; an answer to the control prompt that
differs; an answer that does not match its grammar; an error that was not to be; something left open at the end. The
control prompt is a promise only where a row's rounding does not depend on its neighbours (float32, int8, int4 in
blocks of 32): `--differing-control` counts differences and lets them pass.

A line a minute on stderr; JSON on stdout at the end.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from threading import Event, Lock, Thread

import msgspec
from crowd import MOST_ANSWER, PACE_SECONDS, Asked, Crowd

from hearth.config import EngineSection
from hearth.engine.outputs import FinishReason
from hearth.engine.sampling_params import SamplingParams
from hearth.errors import HearthError
from hearth.hardware.machine import read_machine
from hearth.models.registry import ModelRegistry
from hearth.services.benchmark.private_memory import private_bytes
from hearth.services.benchmark.side import random_tokens
from hearth.services.engine_options import engine_options
from hearth.services.model_pool import ModelPool
from hearth.services.model_worker import ModelWorker

MB = 1 << 20
MOST_GROWTH = 0.03
SETTLING_SECONDS = 300
SAMPLE_SECONDS = 2
CONTROL_SECONDS = 10
CONTROL_PROMPT, CONTROL_ANSWER = 64, 32
MOST_OPEN = 16
# A request may take so many times the work that was open when it came, and so many seconds beside.
PATIENCE, PATIENCE_SECONDS = 10, 60
DRAIN_SECONDS = 300


@dataclass
class Soak:
    """One run.

    Attributes:
        read_speed, write_speed: tokens per second, as the start of the run measured them.
        broken: what did not hold, in words.
        counts: requests by kind, and how they ended.
    """

    worker: ModelWorker
    crowd: Crowd
    seconds: float
    control_differs: bool
    read_speed: float = 0.0
    write_speed: float = 0.0
    broken: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    _control: list[int] = field(default_factory=list)
    _open: dict[int, tuple[str, float, float]] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _lock: Lock = field(default_factory=Lock)
    _threads: list[Thread] = field(default_factory=list)
    _samples: list[tuple[float, int]] = field(default_factory=list)

    def run(self) -> dict[str, object]:
        self._fill()
        started = time.monotonic()
        done = Event()
        watch = Thread(target=self._watch, args=(started, done), name="watch", daemon=True)
        watch.start()
        control = Thread(target=self._controls, args=(done,), name="control", daemon=True)
        control.start()
        self._arrive(started + self.seconds)
        while self._open and not self._look_for_stuck():
            time.sleep(0.1)
        done.set()
        control.join(DRAIN_SECONDS)
        watch.join()
        self._check_left_open()
        return self._report()

    def _fill(self) -> None:
        """The longest that there will be into every slot; and on the way, how fast this machine reads and writes."""
        self._control = self._ask_control()
        info = self.worker.info()
        longest = self.crowd.most_prompt + MOST_ANSWER - 2
        say(f"every slot reads {longest} tokens")
        started = time.monotonic()
        params = SamplingParams(temperature=0, max_tokens=2, ignore_eos=True)

        def read(slot: int) -> None:
            prompt = random_tokens(longest, info.vocab_size, f"fill {slot}")
            for _ in self.worker.generate(params, token_ids=prompt):
                pass

        threads = [Thread(target=read, args=(slot,), daemon=True) for slot in range(info.max_slots)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - started
        self.read_speed = info.max_slots * longest / seconds
        started = time.monotonic()
        self._check_control()
        self.write_speed = CONTROL_ANSWER / (time.monotonic() - started)
        say(f"that took {seconds:.0f} s; reads {self.read_speed:.0f}, writes {self.write_speed:.0f} tokens/s")

    def _arrive(self, end: float) -> None:
        pace, pace_ends = 0.0, 0.0
        while (now := time.monotonic()) < end:
            if now > pace_ends:
                pace, pace_ends = self.crowd.pace(self.read_speed, self.write_speed), now + PACE_SECONDS
            if self._look_for_stuck():
                return
            if len(self._open) >= MOST_OPEN:
                time.sleep(0.1)
                continue
            asked = self.crowd.next()
            number = self._note_open(asked)
            thread = Thread(target=self._answer, args=(number, asked), name=asked.kind, daemon=True)
            self._threads = [each for each in self._threads if each.is_alive()] + [thread]
            thread.start()
            time.sleep(max(0.0, min(self.crowd.pause(pace), end - time.monotonic())))

    def _note_open(self, asked: Asked) -> int:
        now = time.monotonic()
        work = asked.prompt_tokens / self.read_speed + (asked.params.max_tokens or 0) / self.write_speed
        with self._lock:
            number = next(self._numbers)
            others = sum(other for _, _, other in self._open.values())
            bound = now + PATIENCE_SECONDS + PATIENCE * (work + others)
            self._open[number] = (asked.kind, bound, work)
        return number

    def _look_for_stuck(self) -> bool:
        with self._lock:
            late = [kind for kind, bound, _ in self._open.values() if time.monotonic() > bound]
        for kind in late:
            self._break(f"a request ({kind}) does not end")
        return bool(late)

    def _answer(self, number: int, asked: Asked) -> None:
        """On a thread of its own: ask, take what comes, judge it."""
        started = time.monotonic()
        try:
            end = self._listen(asked)
        except HearthError as error:
            end = "refused" if asked.refusal is type(error) else f"error {error.code}"
            if asked.refusal is not type(error):
                self._break(f"{asked.kind}: {error}")
        else:
            if asked.refusal is not None:
                self._break("a request that has no meaning was answered")
        with self._lock:
            del self._open[number]
            self.counts[f"asked: {asked.kind}"] += 1
            self.counts[f"ended: {end}"] += 1
            self.counts["prompt tokens"] += asked.prompt_tokens
            self.slowest = max(self.slowest, time.monotonic() - started)

    def _listen(self, asked: Asked) -> str:
        outputs = self.worker.generate(asked.params, text=asked.text, token_ids=asked.token_ids)
        text, reason = "", None
        for count, output in enumerate(outputs, 1):
            text, reason = text + output.text, output.finish_reason or reason
            with self._lock:
                self.counts["tokens written"] += len(output.token_ids)
            if asked.outputs is not None and count > asked.outputs:
                outputs.close()  # type: ignore[attr-defined]  # a generator
                break
        if reason is None:
            return "given up"
        if reason is FinishReason.STOP and not asked.matches(text):
            self._break(f"an answer does not match its grammar: {text!r}")
        return str(reason)

    def _controls(self, done: Event) -> None:
        while not done.wait(CONTROL_SECONDS):
            self._check_control()

    def _check_control(self) -> None:
        answer = self._ask_control()
        self.counts["control: asked"] += 1
        if answer != self._control:
            self.counts["control: differs"] += 1
            if not self.control_differs:
                same = next((n for n, token in enumerate(self._control) if answer[n : n + 1] != [token]), 0)
                self._break(f"the control prompt is answered alike for {same} tokens only")

    def _ask_control(self) -> list[int]:
        prompt = random_tokens(CONTROL_PROMPT, self.worker.info().vocab_size, "control")
        params = SamplingParams(temperature=0, max_tokens=CONTROL_ANSWER, ignore_eos=True)
        return [
            token for output in self.worker.generate(params, token_ids=prompt) for token in output.token_ids
        ]

    def _check_left_open(self) -> None:
        """Nobody asks any more: what was given up must be gone as well."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while (stats := self.worker.stats())["open"] and time.monotonic() < deadline:
            time.sleep(0.1)
        if stats["open"] or stats["running"]:
            self._break(f"left in the host at the end: {stats['open']} open, {stats['running']} running")

    def _watch(self, started: float, done: Event) -> None:
        client = self.worker.client
        pid = 0 if client is None else client.pid
        minute = 0
        while not done.wait(SAMPLE_SECONDS):
            now = time.monotonic() - started
            self._samples.append((now, private_bytes(pid)))
            if now // 60 > minute:
                minute = int(now // 60)
                with self._lock:
                    counts = Counter(self.counts)
                ended = sum(count for name, count in counts.items() if name.startswith("ended"))
                say(
                    f"{minute} min: {ended} ended, {len(self._open)} open, {counts['tokens written']} tokens written,"
                    f" control {counts['control: asked']} ({counts['control: differs']} differ),"
                    f" {self._samples[-1][1] / MB:.0f} MB, {len(self.broken)} broken promises"
                )

    def _report(self) -> dict[str, object]:
        settled = min(SETTLING_SECONDS, self.seconds / 6)
        window = min(60.0, self.seconds / 6)
        end = self._samples[-1][0]
        first = median(used for at, used in self._samples if settled <= at <= settled + window)
        last = median(used for at, used in self._samples if at >= end - window)
        growth = last / first - 1
        if growth > MOST_GROWTH:
            self._break(f"memory grew by {growth:.1%}")
        return {
            "minutes": self.seconds / 60,
            "longest_prompt": self.crowd.most_prompt,
            "private_mb_settled": first / MB,
            "private_mb_end": last / MB,
            "private_mb_most": max(used for _, used in self._samples) / MB,
            "private_mb_by_minute": [
                round(median(used for _, used in minute) / MB)
                for _, minute in itertools.groupby(self._samples, lambda sample: sample[0] // 60)
            ],
            "growth": growth,
            "slowest_request_seconds": self.slowest,
            "counts": dict(sorted(self.counts.items())),
            "broken": self.broken,
        }

    def _break(self, promise: str) -> None:
        say(f"BROKEN: {promise}")
        self.broken.append(promise)


def say(text: str) -> None:
    print(f"{datetime.now().astimezone():%H:%M:%S}  {text}", file=sys.stderr, flush=True)


def main() -> int:
    arguments = argparse.ArgumentParser(description="Ask a model everything at once, for long.")
    arguments.add_argument("folder", type=Path, help="a model folder")
    arguments.add_argument("--minutes", type=float, default=30.0, help="of random requests, after the start")
    arguments.add_argument("--most-prompt", type=int, default=8000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--differing-control", action="store_true", help="for int4 in larger blocks")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["HEARTH_HOME"] = home
        registry = ModelRegistry(Path(home, "models"), built_in=())
        registry.import_folder(given.folder, name="model", in_place=True)
        pool = ModelPool(registry, engine_options(EngineSection(), read_machine()))
        try:
            worker = pool.load("model")
            info = worker.wait_ready()
            crowd = Crowd(given.seed, info.vocab_size, info.context_length, given.most_prompt)
            soak = Soak(worker, crowd, 60 * given.minutes, given.differing_control)
            report = soak.run()
        finally:
            pool.close()
    print(msgspec.json.format(msgspec.json.encode(report), indent=1).decode())
    return 1 if soak.broken else 0


if __name__ == "__main__":
    sys.exit(main())
