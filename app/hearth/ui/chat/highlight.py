"""Colours for code, by page, so that code that grows is not read again from its start. No Qt in here."""

from __future__ import annotations

from functools import lru_cache
from threading import Thread
from typing import Final, NamedTuple

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import (
    Comment,
    Generic,
    Keyword,
    Name,
    Number,
    Operator,
    String,
    Text,
    Token,
    Whitespace,
    _TokenType,
)
from pygments.util import ClassNotFound

PAGE_LINES: Final = 40
MAX_PAGE: Final = 10_000  # characters; a page with longer lines stays plain

_ROLES: Final[dict[_TokenType, str]] = {
    Comment: "comment",
    Comment.Preproc: "keyword",
    Keyword: "keyword",
    Keyword.Type: "type",
    Keyword.Constant: "number",
    Operator.Word: "keyword",
    String: "string",
    Number: "number",
    Name.Function: "name",
    Name.Class: "type",
    Name.Builtin: "type",
    Name.Builtin.Pseudo: "keyword",
    Name.Decorator: "name",
    Name.Exception: "type",
    Name.Namespace: "name",
    Name.Tag: "keyword",
    Name.Attribute: "name",
    Generic.Deleted: "keyword",
    Generic.Inserted: "string",
    Generic.Heading: "name",
    Generic.Subheading: "name",
}


class Span(NamedTuple):
    """A piece of a page in one colour; `role` names it: comment, keyword, string, number, name or type."""

    start: int
    length: int
    role: str


def lexer_for(language: str) -> Lexer | None:
    """The lexer of a language named after a fence; None where it is not known."""
    try:
        return get_lexer_by_name(language.strip("{}. ").lower(), stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


class LexerShelf:
    """Lexers that were made beforehand: the first of a language takes a tenth of a second to make."""

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._made: dict[str, Lexer | None] = {}

    def has(self, language: str) -> bool:
        """Whether the lexer of `language` is ready; if not, it is made in another thread."""
        if language not in self._asked:
            self._asked.add(language)
            Thread(target=self._make, args=(language,), daemon=True, name="hearth-lexer").start()
        return language in self._made

    def get(self, language: str) -> Lexer | None:
        """A lexer that is ready; None for a language that is not known."""
        return self._made.get(language)

    def _make(self, language: str) -> None:
        self._made[language] = lexer_for(language)


LEXERS: Final = LexerShelf()


@lru_cache(maxsize=512)
def _role(kind: _TokenType) -> str:
    current: _TokenType | None = kind
    while current is not None and current is not Token:
        if current in _ROLES:
            return _ROLES[current]
        current = current.parent
    return ""


def colour_page(lexer: Lexer, text: str) -> tuple[list[Span], int]:
    """The spans of a page, and the last place in it where a new page may start.

    A page may start at an unindented line that does not follow the inside of a string or a comment; 0 where there
    is none.
    """
    if len(text) > MAX_PAGE:
        return [], len(text)
    spans: list[Span] = []
    boundary = 0
    for start, kind, value in lexer.get_tokens_unprocessed(text):
        role = _role(kind)
        if role:
            spans.append(Span(start, len(value), role))
        elif "\n" in value and (kind is Text or kind is Whitespace or kind.parent is Text):
            after = start + value.rindex("\n") + 1
            if after < len(text) and not text[after].isspace():
                boundary = after
    return spans, boundary
