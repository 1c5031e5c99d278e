"""Constrained decoding over real vocabularies: whatever the logits say, what comes out matches its grammar."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import tokenizers

from hearth.engine.grammar import Grammar
from hearth.engine.grammar_matcher import GrammarCompiler, GrammarMatcher
from hearth.errors import RequestInvalid
from hearth.paths import resource

SEEDS = range(4)
LONGEST_ANSWER = 600


@dataclass(frozen=True, slots=True)
class Model:
    """What the matcher must know of a model: its tokenizer, how many logits it gives, where answers end."""

    file: Path
    vocab_size: int
    eos: frozenset[int]
    tokenizer: tokenizers.Tokenizer
    compiler: GrammarCompiler

    def ids(self, text: str) -> list[int]:
        """The tokens of a text; those of SentencePiece's kind would begin it with a space."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        if self.tokenizer.id_to_token(ids[0]) == "▁":
            return ids[1:]
        if self.tokenizer.id_to_token(ids[0]).startswith("▁"):
            bare = self.tokenizer.token_to_id(self.tokenizer.id_to_token(ids[0]).removeprefix("▁"))
            return [bare, *ids[1:]]
        return ids

    def text(self, ids: list[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True)
        return text


# Two of byte-level BPE, two of SentencePiece's kind with a token for each byte; the logits of qwen2 and phi3 are more
# than their tokens.
MODELS = {
    "starter": (None, 5120, {2}),
    "stories260k": ("models/stories260k", 512, {2}),
    "phi3": ("tokenizers/phi3", 32_064, {32_000, 32_007}),
    "qwen2": ("tokenizers/qwen2", 151_936, {151_643, 151_645}),
}


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> Model:
    path, vocab_size, eos = MODELS[request.param]
    if path is None:
        folder = resource("starter", "model")
    else:
        folder = request.getfixturevalue("shared_data") / path
    file = folder / "tokenizer.json"
    tokenizer = tokenizers.Tokenizer.from_file(str(file))
    compiler = GrammarCompiler(file, vocab_size, frozenset(eos))
    return Model(file, vocab_size, frozenset(eos), tokenizer, compiler)


@pytest.fixture(scope="module")
def starter() -> Model:
    file = resource("starter", "model") / "tokenizer.json"
    compiler = GrammarCompiler(file, 5120, frozenset({2}))
    return Model(file, 5120, frozenset({2}), tokenizers.Tokenizer.from_file(str(file)), compiler)


def random_answer(model: Model, matcher: GrammarMatcher, seed: int, *, prepares: bool = False) -> list[int]:
    """Tokens up to the end, drawn by random logits."""
    rng = np.random.default_rng(seed)
    answer: list[int] = []
    while len(answer) < LONGEST_ANSWER:
        if prepares:
            matcher.prepare()
        token = int(matcher.restrict(rng.random(model.vocab_size, np.float32)).argmax())
        matcher.accept(token)
        if token in model.eos:
            return answer
        answer.append(token)
    raise AssertionError(f"no end: {model.text(answer)[-200:]!r}")


SCHEMAS: dict[str, dict[str, Any]] = {
    "object": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 12},
            "age": {"type": "integer", "minimum": 0, "maximum": 150},
            "tags": {
                "type": "array",
                "items": {"enum": ["a", "b", 'c"d', "日本"]},
                "minItems": 1,
                "maxItems": 3,
            },
            "email": {"type": ["string", "null"], "maxLength": 4},
        },
        "required": ["name", "age", "tags"],
        "additionalProperties": False,
    },
    "nested": {
        "$defs": {
            "leaf": {
                "type": "object",
                "properties": {"v": {"type": "boolean"}},
                "required": ["v"],
                "additionalProperties": False,
            }
        },
        "type": "object",
        "properties": {
            "left": {"$ref": "#/$defs/leaf"},
            "right": {
                "anyOf": [
                    {"type": "null"},
                    {"type": "number", "minimum": -1, "maximum": 1, "multipleOf": 0.25},
                ]
            },
            "kind": {"const": "tree"},
        },
        "required": ["left", "right", "kind"],
        "additionalProperties": False,
    },
    "formats": {
        "type": "object",
        "properties": {
            "day": {"type": "string", "format": "date"},
            "id": {"type": "string", "format": "uuid"},
            "code": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{1,4}$"},
        },
        "required": ["day", "id", "code"],
        "additionalProperties": False,
    },
}
REGEXES = [
    r"[a-z]{1,8}@[a-z]{1,8}\.(com|org)",
    r"(0|[1-9][0-9]{0,5})(\.[0-9]{1,3})?",
    r"a/b\n(c|d){2,4}",
    r"[^<>]{1,12}",
    r"(日本|中文|🙂){1,3}",
]
CHOICES = ("yes", "no", "yes, but later", "日本", "🙂 ok", 'a"b\\c\n\td', "</s>", "<|im_end|>")
LARK = """
start: sum
sum: product (("+" | "-") product){0,2}
product: NUMBER ("*" NUMBER){0,2} | "(" NUMBER ")"
NUMBER: /[1-9][0-9]{0,2}/
"""


def is_valid(schema: dict[str, Any]) -> Callable[[str], bool]:
    checker = jsonschema.FormatChecker(["date", "uuid"])
    validator = jsonschema.Draft202012Validator(schema, format_checker=checker)
    return lambda text: validator.is_valid(json.loads(text))


MATCHES: dict[str, tuple[Grammar, Callable[[str], object]]] = {
    **{name: (Grammar(json_schema=json.dumps(schema)), is_valid(schema)) for name, schema in SCHEMAS.items()},
    **{f"regex {regex}": (Grammar(regex=regex), re.compile(regex).fullmatch) for regex in REGEXES},
    "choice": (Grammar(choice=CHOICES), CHOICES.__contains__),
    "lark": (
        Grammar(lark=LARK),
        re.compile(
            r"(P|\(N\))([+-](P|\(N\))){0,2}".replace("P", r"N(\*N){0,2}").replace("N", "[1-9][0-9]{0,2}")
        ).fullmatch,
    ),
}


@pytest.mark.parametrize("name", MATCHES)
def test_random_answers_match_their_grammar(model: Model, name: str) -> None:
    grammar, matches = MATCHES[name]
    texts = set()
    for seed in SEEDS:
        answer = random_answer(model, model.compiler.compile(grammar), seed, prepares=seed % 2 == 0)
        texts.add(model.text(answer))
        assert matches(model.text(answer)), model.text(answer)
    assert len(texts) > 1


@pytest.mark.parametrize("name", ["choice", *(f"regex {regex}" for regex in REGEXES[:2]), "lark"])
def test_the_end_may_come_exactly_where_the_answer_is_complete(model: Model, name: str) -> None:
    grammar, matches = MATCHES[name]
    flat = np.zeros(model.vocab_size, np.float32)
    for seed in SEEDS:
        matcher = model.compiler.compile(grammar)
        answer = random_answer(model, model.compiler.compile(grammar), seed)
        for length, token in enumerate(answer):
            ends = {end for end in model.eos if matcher.restrict(flat)[end] == 0}
            assert ends == (model.eos if matches(model.text(answer[:length])) else set())
            matcher.accept(token)
        assert {end for end in model.eos if matcher.restrict(flat)[end] == 0} == model.eos


def test_no_token_is_allowed_that_is_not_text(model: Model) -> None:
    matcher = model.compiler.compile(Grammar(regex=r"(?s:.){1,40}"))
    special = {
        token for token, added in model.tokenizer.get_added_tokens_decoder().items() if added.special
    } | set(range(model.tokenizer.get_vocab_size(), model.vocab_size))
    # A model may well give more logits than it said.
    longer = np.zeros(model.vocab_size + 100, np.float32)
    assert np.isfinite(matcher.restrict(longer)).any()
    for token in model.ids("once <|im_end|></s>")[:3]:
        matcher.accept(token)
        allowed = set(np.flatnonzero(np.isfinite(matcher.restrict(longer))).tolist())
        assert allowed & special == model.eos & special
        assert max(allowed) < model.vocab_size


def test_what_is_allowed_keeps_its_logit_and_the_rest_has_none(starter: Model) -> None:
    logits = np.random.default_rng(0).normal(0, 3, starter.vocab_size).astype(np.float32)
    before = logits.copy()
    matcher = starter.compiler.compile(Grammar(regex="[0-9]+"))
    restricted = matcher.restrict(logits)
    np.testing.assert_array_equal(logits, before)
    digits = [token for token in range(starter.vocab_size) if starter.text([token]).isdecimal()]
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(restricted)), digits)
    np.testing.assert_array_equal(restricted[digits], logits[digits])
    # Fewer logits than the tokenizer has tokens are restricted too.
    assert matcher.restrict(logits[:1000]).size == 1000


def test_a_finished_answer_takes_its_end_and_nothing_else(model: Model) -> None:
    matcher = model.compiler.compile(Grammar(choice=("yes",)))
    assert not matcher.is_finished
    for token in model.ids("yes"):
        assert not matcher.is_finished
        matcher.accept(token)
    assert matcher.is_finished
    allowed = np.flatnonzero(np.isfinite(matcher.restrict(np.zeros(model.vocab_size, np.float32))))
    assert set(allowed.tolist()) == model.eos
    matcher.accept(min(model.eos))
    assert matcher.is_finished


def test_an_answer_that_may_end_or_go_on_is_not_finished(starter: Model) -> None:
    matcher = starter.compiler.compile(Grammar(regex="yes( sir)?"))
    for token in starter.ids("yes"):
        matcher.accept(token)
    assert not matcher.is_finished


def test_drafted_tokens_are_counted_and_not_taken(model: Model) -> None:
    matcher = model.compiler.compile(Grammar(regex=r"[a-z]+: [0-9]{1,3}"))
    (end, *_) = sorted(model.eos)
    good = model.ids("abc: 12")
    bad = model.ids("abc: 12x")
    for prepares in (False, True):
        if prepares:
            matcher.prepare()
        assert matcher.count_accepted([]) == 0
        assert matcher.count_accepted(good) == len(good)
        assert matcher.count_accepted([*good, end]) == len(good) + 1
        assert matcher.count_accepted([*good, end, good[0]]) == len(good) + 1
        assert matcher.count_accepted([end]) == 0
        assert matcher.count_accepted(bad) < len(bad)
    for at, token in enumerate(good):
        assert matcher.count_accepted(good[at:]) == len(good) - at
        matcher.accept(token)


def test_a_token_that_may_not_come_is_refused_and_ends_the_answer(starter: Model) -> None:
    matcher = starter.compiler.compile(Grammar(choice=("yes", "no")))
    for _ in range(2):
        with pytest.raises(RequestInvalid, match="cannot go on within its grammar"):
            matcher.accept(starter.ids("maybe")[0])
    for _ in range(2):
        matcher.prepare()
        with pytest.raises(RequestInvalid, match="cannot go on within its grammar"):
            matcher.restrict(np.zeros(starter.vocab_size, np.float32))
        assert matcher.count_accepted(starter.ids("yes")) == 0


def test_masks_in_the_background_are_those_of_the_foreground(starter: Model) -> None:
    """Many answers share one background thread; some masks are there in time, some are computed where needed."""
    grammar = Grammar(json_schema=json.dumps(SCHEMAS["object"]))
    alone = [random_answer(starter, starter.compiler.compile(grammar), seed) for seed in SEEDS]
    matchers = [starter.compiler.compile(grammar) for _ in SEEDS]
    rngs = [np.random.default_rng(seed) for seed in SEEDS]
    together: list[list[int]] = [[] for _ in SEEDS]
    running = set(SEEDS)
    while running:
        for seed in running:
            matchers[seed].prepare()
        for seed in list(running):
            logits = rngs[seed].random(starter.vocab_size, np.float32)
            token = int(matchers[seed].restrict(logits).argmax())
            matchers[seed].accept(token)
            if token in starter.eos:
                running.remove(seed)
            else:
                together[seed].append(token)
    assert together == alone


def test_a_prepared_mask_that_nobody_asks_for_does_no_harm(starter: Model) -> None:
    matcher = starter.compiler.compile(Grammar(choice=("yes",)))
    for token in starter.ids("yes"):
        matcher.prepare()
        matcher.prepare()
        matcher.accept(token)
    assert matcher.is_finished


def test_an_end_that_the_model_does_not_have_is_no_matter(starter: Model) -> None:
    compiler = GrammarCompiler(str(starter.file), starter.vocab_size, frozenset({2, 99_999}))
    matcher = compiler.compile(Grammar(regex="a*"))
    assert matcher.restrict(np.zeros(starter.vocab_size, np.float32))[2] == 0
