"""Grammars in GBNF, llama.cpp's own notation, for what an answer must match.

Made here, since llama.cpp's builds with the library llguidance read the vocabularies of SentencePiece wrongly: there an
answer breaks out of its grammar without a word. A JSON schema becomes a grammar that allows no more than the schema; a
keyword that cannot be held to is refused.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hearth.engine.grammar import Grammar
from hearth.errors import RequestInvalid
from hearth.i18n import tr

_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_DEEPEST = 64
_COMMON: Final = {
    "space": r'| " " | "\n" [ \t]{0,20}',
    "char": r'[^"\\\x7F\x00-\x1F] | [\\] (["\\bfnrt] | "u" [0-9a-fA-F]{4})',
    "string": r'"\"" char* "\""',
    "integer": '"-"? ("0" | [1-9] [0-9]{0,15})',
    "number": 'integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?',
    "boolean": '"true" | "false"',
    "null": '"null"',
    "value": "object | array | string | number | boolean | null",
    "member": 'string space ":" space value',
    "object": '"{" space (member (space "," space member)*)? space "}"',
    "array": '"[" space (value (space "," space value)*)? space "]"',
}
# What says nothing about which values are valid, or is held to below.
_ANNOTATIONS: Final = frozenset(
    [
        "$schema",
        "$id",
        "$comment",
        "$defs",
        "definitions",
        "title",
        "description",
        "default",
        "examples",
        "format",
        "readOnly",
        "writeOnly",
        "deprecated",
    ]
)
_BY_TYPE: Final = {
    "object": frozenset(("properties", "required", "additionalProperties")),
    "array": frozenset(("items", "minItems", "maxItems")),
    "string": frozenset(("minLength", "maxLength")),
}
_SIMPLE: Final = ("string", "integer", "number", "boolean", "null")


def to_gbnf(grammar: Grammar) -> str:
    """The grammar as GBNF.

    Raises:
        RequestInvalid: it is of a kind, or has a keyword, that cannot be held to with llama.cpp.
    """
    grammar.check()
    if grammar.gbnf is not None:
        return grammar.gbnf
    if grammar.choice:
        return "root ::= " + " | ".join(map(_literal, grammar.choice))
    if grammar.json_schema is None:
        reason = tr("a GGUF model takes a JSON schema, choices or GBNF, no other grammar")
        raise RequestInvalid(reason=reason)
    try:
        schema = msgspec.json.decode(grammar.json_schema)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _refused(str(error)) from error
    return _SchemaGrammar(schema).text()


def _literal(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(char, char) for char in text) + '"'


def _refused(reason: str) -> RequestInvalid:
    return RequestInvalid(reason=tr("the JSON schema is not taken: {reason}", reason=reason))


class _SchemaGrammar:
    """The rules of one schema; each part that is an object, an array or a reference has a rule of its own."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._rules = dict(_COMMON)
        self._references: dict[str, str] = {}
        self._numbers = itertools.count(1)

    def text(self) -> str:
        self._rules["root"] = self._part(self._schema, 0)
        return "\n".join(f"{name} ::= {rule}" for name, rule in self._rules.items()) + "\n"

    def _part(self, schema: Any, depth: int) -> str:
        """What stands for a part of the schema in a rule."""
        if depth > _DEEPEST:
            raise _refused(tr("it is nested too deeply"))
        if schema is True or schema == {}:
            return "value"
        if not isinstance(schema, dict):
            raise _refused(tr("a part of it is no schema"))
        said = schema.keys() - _ANNOTATIONS
        if "$ref" in said:
            self._only(said, {"$ref"})
            return self._reference(str(schema["$ref"]), depth)
        if said & {"const", "enum"}:
            return self._listed(schema, said)
        for key in ("anyOf", "oneOf"):
            if key in said and isinstance(schema[key], list) and schema[key]:
                self._only(said, {key})
                return "(" + " | ".join(self._part(one, depth + 1) for one in schema[key]) + ")"
        return self._typed(schema, said, depth)

    def _listed(self, schema: Mapping[str, Any], said: set[str]) -> str:
        """One of the values that are listed, as far as they are of the type that is said."""
        self._only(said, {"const", "enum", "type"})
        values = schema.get("enum", [schema.get("const")])
        if not isinstance(values, list) or not values:
            raise _refused(tr("an enum of it is empty"))
        texts = [
            _json_text(value)
            for value in values
            if "type" not in said or _kinds(value) & set(self._types(schema))
        ]
        if "const" in said:
            texts = [text for text in texts if text == _json_text(schema["const"])]
        if not texts:
            raise _refused(tr("no text matches it"))
        return "(" + " | ".join(map(_literal, texts)) + ")"

    def _typed(self, schema: Mapping[str, Any], said: set[str], depth: int) -> str:
        kinds = (
            self._types(schema) if "type" in said else [kind for kind in _BY_TYPE if said & _BY_TYPE[kind]]
        )
        if not kinds:
            self._only(said, set())
            return "value"
        self._only(said, {"type"}.union(*(_BY_TYPE.get(kind, ()) for kind in kinds)))
        parts = [self._one_type(kind, schema, depth) for kind in kinds]
        return parts[0] if len(parts) == 1 else "(" + " | ".join(parts) + ")"

    def _types(self, schema: Mapping[str, Any]) -> list[str]:
        kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        if (
            not isinstance(kinds, list)
            or not kinds
            or not set(map(str, kinds)) <= {*_SIMPLE, "object", "array"}
        ):
            raise _refused(tr("a type of it is unknown"))
        return kinds

    def _one_type(self, kind: str, schema: Mapping[str, Any], depth: int) -> str:
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        if kind == "string" and ("minLength" in schema or "maxLength" in schema):
            return f'"\\"" char{_times(schema, "minLength", "maxLength")} "\\""'
        return kind

    def _object(self, schema: Mapping[str, Any], depth: int) -> str:
        """Properties come in the schema's order, required or not; others are not written where some are named."""
        properties, required = schema.get("properties") or {}, schema.get("required") or []
        if not isinstance(properties, dict) or not isinstance(required, list):
            raise _refused(tr("a part of it is no schema"))
        if set(required) - properties.keys():
            raise _refused(tr("it requires a property that it does not describe"))
        if not properties:
            more = schema.get("additionalProperties", True)
            if more is False:
                return self._rule('"{" space "}"')
            member = f'string space ":" space {self._part(more, depth + 1)}'
            return self._rule(f'"{{" space ({member} (space "," space {member})*)? space "}}"')
        later = self._rule('""')
        first = later
        for name in reversed(properties):
            member = self._rule(
                f'{_json_literal(name)} space ":" space {self._part(properties[name], depth + 1)}'
            )
            first = self._rule(f"{member} {later}" if name in required else f"{member} {later} | {first}")
            after = f'space "," space {member}'
            later = self._rule(f"{after} {later}" if name in required else f"({after})? {later}")
        return self._rule(f'"{{" space {first} space "}}"')

    def _array(self, schema: Mapping[str, Any], depth: int) -> str:
        item = self._part(schema.get("items", True), depth + 1)
        least, most = _bounds(schema, "minItems", "maxItems")
        if most == 0:
            return '"[" space "]"'
        more = f"{{{max(least - 1, 0)},{'' if most is None else most - 1}}}"
        items = f'{item} (space "," space {item}){more}'
        return self._rule(f'"[" space {items if least else f"({items})?"} space "]"')

    def _reference(self, target: str, depth: int) -> str:
        if target not in self._references:
            name = self._references[target] = f"r{next(self._numbers)}"
            part: Any = self._schema
            if not target.startswith("#"):
                raise _refused(tr("it refers to another document"))
            for escaped in filter(None, target[1:].split("/")):
                step = escaped.replace("~1", "/").replace("~0", "~")
                if not isinstance(part, dict) or step not in part:
                    raise _refused(tr("it refers to a part that is not there"))
                part = part[step]
            self._rules[name] = self._part(part, depth + 1)
        return self._references[target]

    def _rule(self, text: str) -> str:
        name = f"r{next(self._numbers)}"
        self._rules[name] = text
        return name

    def _only(self, said: set[str], allowed: set[str]) -> None:
        for key in sorted(said - allowed):
            raise _refused(tr("“{key}” cannot be held to with a GGUF model", key=key))


def _json_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _json_literal(value: Any) -> str:
    return _literal(_json_text(value))


def _kinds(value: Any) -> set[str]:
    """The types of JSON Schema that a value is of."""
    match value:
        case None:
            return {"null"}
        case bool():
            return {"boolean"}
        case int() | float():
            return {"number", "integer"} if value == int(value) else {"number"}
        case str():
            return {"string"}
        case list():
            return {"array"}
    return {"object"}


def _bounds(schema: Mapping[str, Any], least: str, most: str) -> tuple[int, int | None]:
    low, high = schema.get(least, 0), schema.get(most)
    for bound in (low, high):
        if bound is not None and (
            isinstance(bound, bool) or not isinstance(bound, int) or not 0 <= bound <= 1000
        ):
            raise _refused(tr("a length in it is no number from 0 to 1000"))
    if high is not None and high < low:
        raise _refused(tr("no text matches it"))
    return low, high


def _times(schema: Mapping[str, Any], least: str, most: str) -> str:
    low, high = _bounds(schema, least, most)
    return f"{{{low},{'' if high is None else high}}}"
