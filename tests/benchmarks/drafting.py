"""What guesses at the next tokens gain: decode speed with drafts and without, and whether an answer changes.

    python tests/benchmarks/drafting.py MODEL_FOLDER [--runs 5] [--tokens 400] [--json]
    python tests/benchmarks/drafting.py MODEL_FOLDER --costs
    python tests/benchmarks/drafting.py MODEL_FOLDER --identity 100

The first form runs the tasks below with drafts and without, by turns in one run, and prints the medians. The shapes that
speed is measured on have random weights, so what they would say is noise. Therefore a script chooses the tokens: the
model computes every one of them, all of its time counts, and then the logit of the scripted token is raised above the
others.X

`--costs` prints what checking n tokens costs against decoding one. `--identity` compares greedy answers with drafts and
without, nothing scripted; a difference is a tie where the two best logits lie within 0.0001.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from statistics import median

import numpy as np

from hearth.engine.drafter import LookupDrafter
from hearth.engine.engine import Engine
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.request import Request
from hearth.engine.sampling_params import SamplingParams
from hearth.engine.tokenizer import Tokenizer
from hearth.hardware.machine import read_machine
from hearth.model_folder.folder import ModelFolder
from hearth.paths import resource

CONTEXT = 512
COUNTED = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
TIE = 1e-4


class ScriptedTokens:
    """A runner whose model computes everything, and whose likeliest token is then that of a script.

    Attributes:
        script: prompt and answer.
        scored: how many tokens each check of a draft took.
    """

    def __init__(self, runner: OrtRunner) -> None:
        self._runner = runner
        self.script: list[int] = []
        self.scored: list[int] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._runner, name)

    def prefill(self, slot: int, token_ids: Sequence[int]) -> np.ndarray:
        return self._scripted(self._runner.prefill(slot, token_ids)[None], slot)[0]

    def decode(self, first: int, token_ids: Sequence[int]) -> np.ndarray:
        return self._scripted(self._runner.decode(first, token_ids), first)

    def score(self, slot: int, token_ids: Sequence[int]) -> np.ndarray:
        self.scored.append(len(token_ids))
        return self._scripted(self._runner.score(slot, token_ids), slot)

    def _scripted(self, rows: np.ndarray, slot: int) -> np.ndarray:
        """One row for each of the last tokens of a slot."""
        end = int(self._runner.cache.lengths[slot])
        for row, place in zip(rows, range(end - len(rows) + 1, end + 1), strict=True):
            if place < len(self.script):
                row[self.script[place]] = 1e6
        return rows


def opened(folder: Path) -> OrtRunner:
    threads = read_machine().usable_cores
    return OrtRunner(
        ModelFolder.open(folder), folder.name, threads=threads, max_slots=1, kv_cache_bytes=1 << 29
    )


def tasks(tokenizer: Tokenizer, vocab_size: int) -> dict[str, tuple[list[int], list[int]]]:
    """Prompts and the answers that a faultless model gives."""

    def ids(text: str) -> list[int]:
        return [token for token in tokenizer.encode(text) if token < vocab_size]

    def page(name: str) -> str:
        return (resource("help", "en") / f"{name}.md").read_text("utf-8")

    page_text = page("privacy")
    code = inspect.getsource(SequenceMatcher.find_longest_match)
    renamed = re.sub(r"\bbesti\b", "best_start", code)
    shuffled = np.random.default_rng(0).permutation(np.arange(5, vocab_size))[:900].tolist()
    return {
        "repeat with one change": (
            ids(f"Repeat this text, but write “machine” where it first says “computer”.\n\n{page_text}\n\n"),
            ids(page_text.replace("computer", "machine", 1)),
        ),
        "code editing": (
            ids(f"Rename the variable besti to best_start.\n\n{code}\n\n"),
            ids(renamed),
        ),
        "new prose": (ids(page("memory")), ids(page("model-problems"))),
        "nothing twice": (shuffled[:300], shuffled[300:]),
    }


def answer(engine: Engine, prompt: Sequence[int], tokens: int) -> tuple[list[int], float]:
    """The greedy answer of so many tokens, and tokens per second after the first."""
    params = SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True)
    engine.submit(Request("a", tuple(prompt), params))
    said: list[int] = []
    speed = 0.0
    while engine.has_work:
        for output in engine.step():
            assert output.error is None, output.error
            said += output.token_ids
            if output.usage is not None:
                speed = output.usage.tokens_per_second
    return said, speed


def measured(folder: Path, runs: int, tokens: int) -> Iterator[dict[str, object]]:
    """One result for each task, as it comes."""
    runner = ScriptedTokens(opened(folder))
    engine = Engine(runner)  # type: ignore[arg-type]  # it stands in for the runner
    for name, (prompt, script) in tasks(
        Tokenizer(ModelFolder.open(folder)), runner._runner.vocab_size
    ).items():
        runner.script = prompt + script
        count = min(tokens, len(script))
        speeds: dict[bool, list[float]] = {False: [], True: []}
        for turn in range(runs + 1):
            for drafts, taken in speeds.items():
                runner.scored.clear()
                engine.drafter = LookupDrafter if drafts else None
                said, speed = answer(engine, prompt, count)
                assert said == script[:count]
                if turn:  # the first warms up
                    taken.append(speed)
        plain, drafted = median(speeds[False]), median(speeds[True])
        yield {
            "task": name,
            "tokens": count,
            "plain_tokens_per_second": plain,
            "drafted_tokens_per_second": drafted,
            "ratio": median(d / p for d, p in zip(speeds[True], speeds[False], strict=True)),
            "checks": len(runner.scored),
            "checked_tokens": sum(runner.scored),
        }


def costs(folder: Path, runs: int) -> None:
    """Print what a check of n tokens takes after CONTEXT others."""
    runner = opened(folder)
    ids = np.random.default_rng(0).integers(5, runner.vocab_size, CONTEXT).tolist()
    runner.reserve(1, 2 * CONTEXT)
    runner.prefill(0, ids)
    calls: dict[str, Callable[[], object]] = {"decode 1": lambda: runner.decode(0, ids[:1])}
    for count in COUNTED:
        calls[f"score {count}"] = lambda count=count: runner.score(0, ids[:count])  # type: ignore[misc]
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(runs + 1):
        for name, call in calls.items():
            runner.truncate(0, CONTEXT)
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    one = median(seconds["decode 1"][1:])
    for name, taken in seconds.items():
        middle = median(taken[1:])
        gain = int(name.split()[1]) * one / middle
        print(
            f"{name:>9}: {1000 * middle:6.1f} ms, {middle / one:5.2f} decodes; at most {gain:.2f} times as fast"
        )


class GreedyMargins:
    """A runner that notes how far the likeliest token's logit is above the next.

    Attributes:
        margins: for each place of the newest answer.
        checks: how many drafts were checked.
    """

    def __init__(self, runner: OrtRunner) -> None:
        self._runner = runner
        self.margins: dict[int, float] = {}
        self.checks = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._runner, name)

    def prefill(self, slot: int, token_ids: Sequence[int]) -> np.ndarray:
        return self._noted(self._runner.prefill(slot, token_ids)[None], slot)[0]

    def decode(self, first: int, token_ids: Sequence[int]) -> np.ndarray:
        return self._noted(self._runner.decode(first, token_ids), first)

    def score(self, slot: int, token_ids: Sequence[int]) -> np.ndarray:
        self.checks += 1
        return self._noted(self._runner.score(slot, token_ids), slot)

    def _noted(self, rows: np.ndarray, slot: int) -> np.ndarray:
        end = int(self._runner.cache.lengths[slot])
        for row, place in zip(rows, range(end - len(rows) + 1, end + 1), strict=True):
            second, best = np.partition(row, -2)[-2:]
            self.margins[place] = float(best - second)
        return rows


def identity(folder: Path, prompts: int, tokens: int) -> None:
    """Print how many of so many greedy answers differ with drafts, and which differences are no ties.

    Half of each prompt says the other half again, so that there is much to look up.
    """
    runner = GreedyMargins(opened(folder))
    engine = Engine(runner)  # type: ignore[arg-type]  # it stands in for the runner
    rng = np.random.default_rng(0)
    margins = []
    for _ in range(prompts):
        prompt = rng.integers(5, runner._runner.vocab_size, 16).tolist() * 2
        engine.drafter = LookupDrafter
        drafted, _ = answer(engine, prompt, tokens)
        engine.drafter = None
        plain, _ = answer(engine, prompt, tokens)
        if plain != drafted:
            place = next(i for i, (p, d) in enumerate(zip(plain, drafted, strict=True)) if p != d)
            margins.append(runner.margins[len(prompt) + place])
    ties = sum(margin <= TIE for margin in margins)
    print(
        f"{prompts} answers of {tokens} tokens, {runner.checks} drafts checked:"
        f" {len(margins)} differ, {ties} of them at a tie"
    )
    print("margins of the two best logits where they part:", " ".join(f"{m:.5f}" for m in sorted(margins)))


def main() -> None:
    arguments = argparse.ArgumentParser(description="Measure what drafts gain.")
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--tokens", type=int, default=400, help="longest answer of a task")
    arguments.add_argument("--costs", action="store_true")
    arguments.add_argument("--identity", type=int, default=0, metavar="PROMPTS")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    if given.costs:
        costs(given.folder, given.runs)
        return
    if given.identity:
        identity(given.folder, given.identity, given.tokens)
        return
    results = measured(given.folder, given.runs, given.tokens)
    if given.json:
        print(json.dumps(list(results), indent=2))
        return
    for result in results:
        print(
            "{task:>22}: {plain_tokens_per_second:5.1f} tok/s, with drafts {drafted_tokens_per_second:5.1f},"
            " {ratio:.2f} times; {checks} checks of {checked_tokens} tokens for {tokens}".format(**result),
            flush=True,
        )


if __name__ == "__main__":
    main()
