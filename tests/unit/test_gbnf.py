"""What an answer must match, in llama.cpp's notation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from llguidance import LLMatcher, LLTokenizer
from llguidance.gbnf_to_lark import gbnf_to_lark

from hearth.engine.gbnf import to_gbnf
from hearth.engine.grammar import Grammar
from hearth.errors import RequestInvalid


def takes(gbnf: str, text: str) -> bool:
    """By another reader of such grammars: whether it takes the whole text."""
    tokenizer = LLTokenizer("byte")
    matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(gbnf_to_lark(gbnf)), log_level=0)
    tokens = tokenizer.tokenize_str(text)
    return (
        matcher.validate_tokens(tokens) == len(tokens)
        and matcher.consume_tokens(tokens)
        and matcher.is_accepting()
    )


def schema(value: Any) -> str:
    return to_gbnf(Grammar(json_schema=json.dumps(value)))


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"enum": ["a", 'b"c']}, "minItems": 1, "maxItems": 2},
    },
    "required": ["name", "tags"],
}


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ({"name": "x", "age": 3, "tags": ["a"]}, True),
        ({"name": "é", "tags": ["a", 'b"c']}, True),
        ({"name": "", "tags": ["a"]}, False),
        ({"name": "x"}, False),
        ({"name": "x", "tags": []}, False),
        ({"name": "x", "tags": ["a", "a", "a"]}, False),
        ({"name": "x", "tags": ["z"]}, False),
        ({"name": 3, "tags": ["a"]}, False),
    ],
)
def test_an_object_has_what_its_schema_says(value: Any, taken: bool) -> None:
    assert takes(schema(PERSON), json.dumps(value, ensure_ascii=False)) is taken


def test_references_may_come_back_to_themselves() -> None:
    tree = {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]}},
                "required": ["next"],
            }
        },
    }
    assert takes(schema(tree), '{"next": {"next": null}}')
    assert not takes(schema(tree), '{"next": 1}')


def test_choices_are_taken_as_they_stand() -> None:
    gbnf = to_gbnf(Grammar(choice=("yes", 'a "b" \\ \n')))
    assert takes(gbnf, "yes")
    assert takes(gbnf, 'a "b" \\ \n')
    assert not takes(gbnf, "no")


@pytest.mark.parametrize(
    ("value", "taken", "not_taken"),
    [
        ({"enum": ["a", 1, None], "type": "string"}, ['"a"'], ["1", "null"]),
        ({"enum": ["a", 1, 1.5, None], "type": ["integer", "null"]}, ["1", "null"], ['"a"', "1.5"]),
        ({"enum": [True, 1], "type": "boolean"}, ["true"], ["1"]),
        ({"enum": [{"a": 1}, [2]], "type": "array"}, ["[2]"], ['{"a":1}']),
        ({"enum": ["a", "b"], "const": "b"}, ['"b"'], ['"a"']),
        ({"const": "b", "type": "string", "description": "x"}, ['"b"'], ['"a"']),
    ],
)
def test_of_listed_values_only_those_that_match_the_rest_are_taken(
    value: Any, taken: list[str], not_taken: list[str]
) -> None:
    gbnf = schema(value)
    assert all(takes(gbnf, text) for text in taken)
    assert not any(takes(gbnf, text) for text in not_taken)


@pytest.mark.parametrize(
    "value",
    [
        {"enum": ["a", "bcd"], "maxLength": 2},
        {"const": 3, "minimum": 4},
        {"enum": ["a"], "anyOf": [{"type": "integer"}]},
        {"enum": ["a"], "type": "integer"},
        {"enum": ["a"], "const": "b"},
        {"enum": ["a"], "type": "thing"},
        {"anyOf": [{"type": "integer"}, {"type": "string"}], "type": "integer"},
        {"type": "string", "pattern": "a+"},
        {"type": "integer", "minimum": 3},
        {"not": {}},
        {"type": "array", "uniqueItems": True},
        {"$ref": "https://example.org/schema"},
        {"$ref": "#/$defs/none"},
        {"type": "thing"},
        {"enum": []},
        {"type": "string", "minLength": 5, "maxLength": 2},
        [],
    ],
)
def test_what_cannot_be_held_to_is_refused(value: Any) -> None:
    with pytest.raises(RequestInvalid, match="the JSON schema is not taken"):
        schema(value)


def test_kinds_that_llama_cpp_has_not_are_refused() -> None:
    for grammar in (Grammar(regex="a+"), Grammar(lark="start: /a/")):
        with pytest.raises(RequestInvalid, match="GBNF"):
            to_gbnf(grammar)
