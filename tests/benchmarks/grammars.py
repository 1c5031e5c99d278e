"""Structured output over MaskBench: which schemas compile, whether instances are told apart, and what a token costs.

python tests/benchmarks/grammars.py [--every N]     (each N-th schema; all of them take two minutes)

Needs the shared test data. Times are processor time of the calling thread, so that what else runs on the machine
hardly counts. The cost of a token is its mask, its logits restricted, its acceptance; for every 400th the mask is
computed in the background while the caller sleeps as long as a model would compute, and what is left is shown too.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "app"))

import jsonschema
import numpy as np
import tokenizers

from hearth.engine.grammar import Grammar
from hearth.engine.grammar_matcher import GrammarCompiler, GrammarMatcher
from hearth.errors import RequestInvalid

SHARED = Path(os.environ.get("HEARTH_TEST_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
STEP_MS = 30.0  # a step of a 1.5B model at one stream, on two cores
# Qwen2, as its 1.5B model has it: 151,646 tokens in 151,936 logits.
VOCAB, EOS = 151_936, 151_645
# The small model's tokenizer makes answers: among 512 tokens, random logits find the end of a string.
SMALL_VOCAB, SMALL_EOS = 512, 2
LONGEST_ANSWER = 400


def cases(every: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and content of each MaskBench file: a `schema`, and `tests` with `data` that is `valid` or not."""
    with tarfile.open(SHARED / "eval" / "maskbench_subset.tar.gz") as archive:
        files = sorted((member for member in archive if member.isfile()), key=lambda member: member.name)
        for member in files[::every]:
            content = archive.extractfile(member)
            assert content is not None
            yield Path(member.name).stem, json.loads(content.read())


class Bench:
    """Counts and times of one run."""

    def __init__(self) -> None:
        folder = SHARED / "tokenizers" / "qwen2"
        self.tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.compiler = GrammarCompiler(folder / "tokenizer.json", VOCAB, frozenset([EOS]))
        small = SHARED / "models" / "stories260k" / "tokenizer.json"
        self.small_tokenizer = tokenizers.Tokenizer.from_file(str(small))
        self.small_compiler = GrammarCompiler(small, SMALL_VOCAB, frozenset([SMALL_EOS]))
        self.logits = np.random.default_rng(0).normal(0, 3, VOCAB).astype(np.float32)
        self.rng = np.random.default_rng(0)
        # Logits that end strings, lists, objects and answers before long.
        self.ends = np.zeros(SMALL_VOCAB, np.float32)
        names = ["</s>", '"', *(f"<0x{ord(end):02X}>" for end in '"]}')]
        self.ends[[self.small_tokenizer.token_to_id(name) for name in names]] = 6
        self.counts: collections.Counter[str] = collections.Counter()
        self.refusals: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        self.compile_ms: list[float] = []
        self.token_ms: list[float] = []
        self.hidden_ms: list[float] = []
        start = time.thread_time()
        self.compiler.compile(Grammar(regex="a"))
        print(f"reading the tokenizer: {time.thread_time() - start:.2f} s")

    def run(self, name: str, case: dict[str, Any]) -> None:
        grammar = Grammar(json_schema=json.dumps(case["schema"]))
        start = time.thread_time()
        try:
            self.compiler.compile(grammar)
        except RequestInvalid as refusal:
            self.refuse("schemas refused", name, refusal)
            return
        self.compile_ms.append((time.thread_time() - start) * 1e3)
        self.counts["schemas compiled"] += 1
        for test in case["tests"]:
            kind = "valid" if test["valid"] else "invalid"
            try:
                accepted = self.accepts(self.compiler.compile(grammar), test["data"])
            except RequestInvalid as refusal:
                self.refuse(f"{kind} instances given up", name, refusal)
                continue
            self.counts[f"{kind} instances {'accepted' if accepted else 'refused'}"] += 1
            if accepted != test["valid"]:
                self.wrong.append(f"{name}, {kind}: {json.dumps(test['data'])[:200]}")
        try:
            self.generate(name, case["schema"], self.small_compiler.compile(grammar))
        except RequestInvalid as refusal:
            self.refuse("answers given up", name, refusal)

    def refuse(self, what: str, name: str, refusal: RequestInvalid) -> None:
        self.counts[what] += 1
        self.refusals[f"{what}: {str(refusal.params['reason'])[:100]}"] += 1
        print(f"{name}: {refusal.params['reason']}", file=sys.stderr)

    def accepts(self, matcher: GrammarMatcher, instance: Any) -> bool:
        """Whether the matcher lets this instance through, token by token, to its end."""
        text = json.dumps(instance, ensure_ascii=False, separators=(",", ":"))
        for token in [*self.tokenizer.encode(text, add_special_tokens=False).ids, EOS]:
            is_hidden = len(self.token_ms) // 400 > len(self.hidden_ms)
            if is_hidden:
                matcher.prepare()
                time.sleep(STEP_MS / 1e3)
            start = time.thread_time()
            allowed = matcher.restrict(self.logits)[token] > -np.inf
            if allowed:
                matcher.accept(token)
            (self.hidden_ms if is_hidden else self.token_ms).append((time.thread_time() - start) * 1e3)
            if not allowed:
                return False
        return True

    def generate(self, name: str, schema: Any, matcher: GrammarMatcher) -> None:
        """A random answer, and what another validator says of it."""
        answer: list[int] = []
        while len(answer) < LONGEST_ANSWER:
            logits = self.rng.normal(0, 2, SMALL_VOCAB).astype(np.float32) + self.ends
            token = int(matcher.restrict(logits).argmax())
            if token == SMALL_EOS:
                break
            matcher.accept(token)
            answer.append(token)
        else:
            self.counts["answers that came to no end"] += 1
            return
        text = self.small_tokenizer.decode(answer)
        validator = jsonschema.validators.validator_for(schema)(schema)
        error = jsonschema.exceptions.best_match(validator.iter_errors(json.loads(text)))
        self.counts[f"answers {'valid' if error is None else 'invalid'}"] += 1
        if error is not None:
            self.wrong.append(f"{name}, answer: {text[:200]} {error.message[:200]}")

    def report(self) -> None:
        for what, count in sorted(self.counts.items()):
            print(f"{what:<32} {count:7,}")
        for what, values in (
            ("compile", self.compile_ms),
            ("token", self.token_ms),
            ("token, mask in the background", self.hidden_ms),
        ):
            mean = float(np.mean(values))
            median, high, most = np.percentile(values, [50, 99, 100])
            print(
                f"{what}, {len(values):,} times: mean {mean:.3f} ms, median {median:.3f} ms,"
                f" 99th percentile {high:.3f} ms, longest {most:.1f} ms"
            )
            if values is not self.compile_ms:
                print(
                    f"    of a step of {STEP_MS:.0f} ms: mean {mean / STEP_MS:.2%}, 99th {high / STEP_MS:.2%}"
                )
        print("reasons:")
        for reason, count in self.refusals.most_common():
            print(f"{count:6} {reason}")
        print("instances and answers that went wrong:", *self.wrong, sep="\n  ")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Structured output over MaskBench.")
    parser.add_argument("--every", type=int, default=1, help="take each N-th schema")
    bench = Bench()
    for at, (name, case) in enumerate(cases(parser.parse_args().every)):
        if at % 200 == 0:
            print(f"{at} schemas", file=sys.stderr)
        bench.run(name, case)
    bench.report()
