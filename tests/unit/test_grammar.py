"""Grammars that are taken, and those that are refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hearth.engine.grammar import Grammar
from hearth.engine.grammar_matcher import GrammarCompiler
from hearth.errors import RequestInvalid
from hearth.paths import resource

VOCAB, EOS = 5120, 2
FLAT = np.zeros(VOCAB, np.float32)


@pytest.fixture(scope="module")
def compiler() -> GrammarCompiler:
    """Over the starter's tokenizer, which is here wherever Hearth is."""
    return GrammarCompiler(resource("starter", "model") / "tokenizer.json", VOCAB, frozenset([EOS]))


@pytest.mark.parametrize(
    "grammar",
    [
        Grammar(json_schema="{}"),
        Grammar(regex="a+"),
        Grammar(choice=("yes", "no")),
        Grammar(lark='start: "a"'),
        Grammar(regex="a" * 262_144),
        Grammar(choice=tuple(map(str, range(10_000)))),
    ],
)
def test_one_of_the_four_is_taken(grammar: Grammar) -> None:
    grammar.check()


@pytest.mark.parametrize(
    ("grammar", "reason"),
    [
        (Grammar(), "exactly one of"),
        (Grammar(choice=()), "exactly one of"),
        (Grammar(regex="a", lark='start: "a"'), "exactly one of"),
        (Grammar(json_schema="{}", choice=("a",)), "exactly one of"),
        (Grammar(json_schema="", regex=""), "exactly one of"),
        (Grammar(json_schema=""), "json_schema has an empty text"),
        (Grammar(regex=""), "regex has an empty text"),
        (Grammar(lark=""), "lark has an empty text"),
        (Grammar(choice=("yes", "")), "choice has an empty text"),
        (Grammar(regex="a" * 262_145), "regex has 262145 characters"),
        (Grammar(choice=("a" * 200_000, "b" * 200_000)), "choice has 400000 characters"),
        (Grammar(choice=("a",) * 10_001), "choice has 10001 texts"),
    ],
)
def test_none_several_empty_and_huge_are_refused(
    compiler: GrammarCompiler, grammar: Grammar, reason: str
) -> None:
    with pytest.raises(RequestInvalid, match=reason):
        grammar.check()
    with pytest.raises(RequestInvalid, match=reason):
        compiler.compile(grammar)


def test_a_grammar_crosses_a_process_and_carries_nothing_else() -> None:
    grammar = Grammar(choice=("yes", "no"))
    packed = msgspec.msgpack.encode(grammar)
    assert msgspec.msgpack.decode(packed, type=Grammar) == grammar
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"regexp": "a"}, Grammar)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ('{"type":', "the JSON schema is not taken: EOF while parsing"),
        ('{}}], "lark_grammar": [{', "trailing characters"),
        ("[" * 100_000, "recursion limit"),
        ('{"const": "\\ud800"}', "hex escape"),
        ('{"const": "\ud800"}', "not JSON serializable"),
        ('"string"', "Expecting object schema"),
        ("[]", "Expecting object schema"),
        ('{"type": "text"}', "Invalid type: text"),
        ('{"type": 5}', "type must be a string"),
        ('{"$ref": "#/definitions/none"}', "does not exist"),
        ('{"$ref": "https://example.com/schema.json"}', "does not fetch"),
        ('{"not": {"type": "string"}}', "Unimplemented keys"),
        ('{"type": "array", "uniqueItems": true}', "Unimplemented keys"),
        ('{"type": "string", "format": "shape"}', "Unknown format"),
        ('{"type": "string", "pattern": "(?=a)b"}', "look-around"),
        ('{"oneOf": [{"type": "string"}, {"maxLength": 3}]}', "oneOf"),
        ('{"enum": []}', "Unsatisfiable"),
        ('{"allOf": [{"type": "string"}, {"type": "number"}]}', "Unsatisfiable"),
        ('{"$ref": "#"}', "no text matches it"),
    ],
)
def test_a_schema_that_cannot_be_held_is_refused(compiler: GrammarCompiler, schema: str, reason: str) -> None:
    with pytest.raises(RequestInvalid) as refusal:
        compiler.compile(Grammar(json_schema=schema))
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    "schema",
    [
        {"not": {"type": "string"}, "x-guidance": {"lenient": True}},
        {"oneOf": [{"type": "string"}, {"maxLength": 3}], "x-guidance": {"coerce_one_of": True}},
    ],
)
def test_a_schema_cannot_relax_its_own_checks(compiler: GrammarCompiler, schema: object) -> None:
    with pytest.raises(RequestInvalid, match="the JSON schema is not taken"):
        compiler.compile(Grammar(json_schema=json.dumps(schema)))


@pytest.mark.parametrize(
    ("grammar", "reason"),
    [
        (Grammar(regex="a(b"), "the regular expression is not taken: .*unclosed group"),
        (Grammar(regex="(?=a)b"), "look-around"),
        (Grammar(regex=r"(a)\1"), "backreferences are not supported"),
        (Grammar(regex="\ud800"), "surrogates not allowed"),
        (Grammar(lark="start: foo"), 'the Lark grammar is not taken: .*unknown name: "foo"'),
        (Grammar(lark='begin: "a"'), "no start rule"),
        (Grammar(lark='start: "a'), "lexer error"),
        (Grammar(lark="start: <|none|>"), "unknown special token"),
        (Grammar(lark="start: start"), "no text matches it"),
        (Grammar(choice=("\ud800",)), "the choices are not taken: .*surrogates not allowed"),
    ],
)
def test_what_the_library_refuses_comes_with_its_reason(
    compiler: GrammarCompiler, grammar: Grammar, reason: str
) -> None:
    with pytest.raises(RequestInvalid, match=reason):
        compiler.compile(grammar)


def test_a_reason_is_one_line_and_no_longer(compiler: GrammarCompiler) -> None:
    for grammar in (Grammar(regex="x" * 5000 + "(?=a)"), Grammar(lark='start: "a" |\n| foo')):
        with pytest.raises(RequestInvalid) as refusal:
            compiler.compile(grammar)
        text = str(refusal.value)
        assert "\n" not in text
        assert len(text) < 400


@pytest.mark.parametrize(
    "grammar",
    [
        Grammar(regex="((a{1000}){1000}){1000}"),
        Grammar(regex="a" * 200_000),
        Grammar(choice=("a" * 100_000, "b" * 100_000)),
        Grammar(lark='start: "a" start'),
        Grammar(lark="start: /ab*/ NEVER\nNEVER: /c/ & /d/"),
    ],
)
def test_a_text_that_is_long_or_endless_is_followed_step_by_step(
    compiler: GrammarCompiler, grammar: Grammar
) -> None:
    matcher = compiler.compile(grammar)
    for _ in range(20):
        token = int(matcher.restrict(FLAT).argmax())
        assert token != EOS
        matcher.accept(token)


def test_a_pattern_that_grows_beyond_bounds_is_refused_before_it_takes_the_memory(
    compiler: GrammarCompiler,
) -> None:
    schema = {"type": "string", "pattern": "^((a{1000}){1000}){1000}$"}
    matcher = compiler.compile(Grammar(json_schema=json.dumps(schema)))

    def go_on() -> None:
        for _ in range(20):
            matcher.accept(int(matcher.restrict(FLAT).argmax()))

    with pytest.raises(RequestInvalid, match="cannot go on within its grammar"):
        go_on()


@pytest.mark.parametrize(
    ("content", "eos"),
    [("{", [EOS]), ('{"model": {}}', [EOS]), (None, [EOS]), ("starter", []), ("starter", [VOCAB])],
)
def test_a_model_whose_tokens_cannot_be_held_to_anything_says_so(
    tmp_path: Path, content: str | None, eos: list[int]
) -> None:
    file = tmp_path / "tokenizer.json"
    if content == "starter":
        file = resource("starter", "model") / "tokenizer.json"
    elif content is not None:
        file.write_text(content)
    compiler = GrammarCompiler(file, VOCAB, frozenset(eos))
    with pytest.raises(RequestInvalid, match="this model takes no grammar"):
        compiler.compile(Grammar(regex="a"))
