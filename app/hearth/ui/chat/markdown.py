"""Markdown that arrives piece by piece, cut into blocks. No Qt in here.

A block is finished as soon as nothing that may follow can change it, and is never looked at again. Only the open
tail is parsed as it grows, and the tail has a greatest length, so that the cost of a piece does not depend on the
length of the text. CommonMark closes blocks line by line: with complete lines, every top-level block before the
last one is final.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from markdown_it.token import Token

from hearth.ui.chat.markdown_html import block_tokens, render

MAX_BLOCK: Final = 5_000  # characters; a longer list, table or paragraph goes on in a new block
MAX_TABLE: Final = 3_000
MAX_LINE: Final = 2_000  # characters; a longer line outside code is broken
_WINDOW: Final = 4_000  # characters of new lines that are parsed at once

_FENCE_OPENER: Final = re.compile(r"[ >\-+*0-9.)\t]*(?:```|~~~)")


class BlockKind(StrEnum):
    TEXT = "text"
    CODE = "code"
    RULE = "rule"


class Block:
    """One block: rich text, code or a rule.

    Attributes:
        source: Markdown of a text block.
        language: first word after the fence of a code block.
        code_length: characters of code so far; code only ever grows.
        lines: lines of code so far.
        widest: characters of its longest line.
    """

    __slots__ = ("_html", "_line", "_parts", "code_length", "kind", "language", "lines", "source", "widest")

    def __init__(self, kind: BlockKind, source: str = "", *, language: str = "", code: str = "") -> None:
        self.kind = kind
        self.source = source
        self.language = language
        self._html: str | None = None
        self._parts: list[str] = []
        self.code_length = 0
        self.lines = 1
        self.widest = 0
        self._line = 0
        if code:
            self.append_code(code)

    @property
    def html(self) -> str:
        """HTML of a text block, made at the first call."""
        if self._html is None:
            self._html = render(self.source)
        return self._html

    @property
    def code(self) -> str:
        """The code so far."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    def code_after(self, length: int) -> str:
        """What came after the first `length` characters; costs what it returns, not what went before."""
        wanted: list[str] = []
        position = self.code_length
        for part in reversed(self._parts):
            position -= len(part)
            if position <= length:
                wanted.append(part[length - position :])
                break
            wanted.append(part)
        return "".join(reversed(wanted))

    def append_code(self, text: str) -> None:
        self._parts.append(text)
        self.code_length += len(text)
        rows = text.split("\n")
        self.lines += len(rows) - 1
        self.widest = max(self.widest, self._line + len(rows[0]), *map(len, rows[1:]))
        self._line = len(rows[-1]) + (self._line if len(rows) == 1 else 0)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Block) or self.kind != other.kind or self.language != other.language:
            return False
        return self.html == other.html if self.kind is BlockKind.TEXT else self.code == other.code

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __repr__(self) -> str:
        return f"Block({self.kind.value}, {self.source or self.code!r})"


class _Fence:
    """A fenced code block at the top level that has not been closed.

    The newline before the next line is held back, since the last line of code has none.
    """

    def __init__(self, token: Token, opening: str) -> None:
        self.block = Block(BlockKind.CODE, language=_language(token))
        self._marker = token.markup[0]
        self._length = len(token.markup)
        self._indent = len(opening) - len(opening.lstrip(" "))
        self._in_line = False
        self._first = True

    def closes(self, line: str) -> bool:
        body = line.rstrip(" \t\n")
        stripped = body.lstrip(" ")
        return (
            len(body) - len(stripped) <= 3
            and len(stripped) >= self._length
            and stripped == self._marker * len(stripped)
        )

    def may_close(self, partial: str) -> bool:
        """Whether a line that starts so could still be the closing fence, or whether its indent is not known."""
        if self._in_line or len(partial) > MAX_LINE:
            return False
        body = partial.lstrip(" \t")
        if not body:  # white space alone at the end of the text is no line
            return True
        return len(partial) - len(body) <= 3 and not body.rstrip(" \t").strip(self._marker)

    def add(self, text: str) -> None:
        """Add a piece of code without a newline in it, or the end of one line."""
        if self._in_line:
            self.block.append_code(text)
            return
        self.block.append_code(("" if self._first else "\n") + _unindent(text, self._indent))
        self._first = False
        self._in_line = True

    def end_line(self) -> None:
        self._in_line = False

    @property
    def in_line(self) -> bool:
        return self._in_line


class MarkdownStream:
    """Cuts a growing Markdown text into blocks. New text is parsed when the blocks are asked for."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._tail = ""  # complete lines of the open block
        self._window: list[str] = []  # complete lines that were not parsed yet
        self._window_length = 0
        self._partial = ""  # the line that has not ended
        self._fence: _Fence | None = None
        self._table_head = ""  # of a table that goes on in a new block
        self._after_return = False
        self._open: list[Block] | None = None

    def feed(self, text: str) -> None:
        """Take the next piece of the text."""
        if self._after_return and text.startswith("\n"):
            text = text[1:]  # the second half of a line end that was cut in two
        if text:
            self._after_return = text.endswith("\r")
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if "\0" in text:
            text = text.replace("\0", "�")
        if not text:
            return
        pieces = text.split("\n")
        for piece in pieces[:-1]:
            line = self._partial + piece
            self._partial = ""
            self._take_line(line)
        self._partial += pieces[-1]
        self._take_partial()
        self._open = None

    def finish(self) -> None:
        """The text has ended: everything is final."""
        self._settle()
        if self._fence is not None:
            rest = self._partial
            if self._fence.in_line or (rest.strip(" \t") and not self._fence.closes(rest)):
                self._fence.add(rest)
            self._close_fence()
        else:
            self._blocks.extend(self._parse_open())
            self._tail = ""
        self._partial = ""
        self._open = None

    @property
    def blocks(self) -> list[Block]:
        """The finished blocks."""
        self._settle()
        return self._blocks

    @property
    def open_blocks(self) -> list[Block]:
        """The blocks at the end that may still change; mostly one."""
        self._settle()
        if self._fence is not None:
            return [self._fence.block]
        if self._open is None:
            self._open = self._parse_open()
        return self._open

    # Lines

    def _take_line(self, line: str) -> None:
        """Take a complete line, given without its newline."""
        if self._fence is not None:
            if not self._fence.in_line and self._fence.closes(line):
                self._close_fence()
            else:
                self._fence.add(line)
                self._fence.end_line()
            return
        while len(line) > MAX_LINE:
            line = self._break(line)
        self._window.append(line + "\n")
        self._window_length += len(line) + 1
        if self._window_length > _WINDOW or _FENCE_OPENER.match(line):
            self._settle()

    def _take_partial(self) -> None:
        if self._fence is not None:
            if self._partial and not self._fence.may_close(self._partial):
                self._fence.add(self._partial)
                self._partial = ""
            return
        while len(self._partial) > MAX_LINE:
            self._partial = self._break(self._partial)

    def _break(self, line: str) -> str:
        """Take the first part of a line that is too long; the rest."""
        cut = line.rfind(" ", MAX_LINE // 2, MAX_LINE)
        head, rest = (line[:cut], line[cut + 1 :]) if cut > 0 else (line[:MAX_LINE], line[MAX_LINE:])
        self._window.append(head + "\n")
        self._window_length += len(head) + 1
        if self._window_length > _WINDOW:
            self._settle()
        return rest

    def _close_fence(self) -> None:
        if self._fence is not None:
            self._blocks.append(self._fence.block)
        self._fence = None
        self._open = None

    # Blocks

    def _settle(self) -> None:
        """Parse the complete lines, and keep only the last block if it may still change."""
        if not self._window:
            return
        self._tail += "".join(self._window)
        self._window = []
        self._window_length = 0
        parts = _cut(self._tail)
        if not parts:
            self._tail = ""
            return
        for token, source in parts[:-1]:
            self._add(token, source)
        last, self._tail = parts[-1]
        if last.type == "fence" and not _is_closed(last):
            opening, *code = _split_lines(self._tail)
            self._fence = _Fence(last, opening)
            self._tail = ""
            for line in code:
                self._fence.add(line.removesuffix("\n"))
                self._fence.end_line()
        elif _is_final(last, self._tail):
            self._add(last, self._tail)
            self._tail = ""
        elif len(self._tail) > (MAX_TABLE if last.type == "table_open" else MAX_BLOCK):
            self._cut_tail(last)

    def _cut_tail(self, token: Token) -> None:
        """Finish a block that is too long, at the best place there is."""
        tokens = block_tokens(self._tail)
        lines = _split_lines(self._tail)
        items = [
            item.map[0] for item in tokens if item.type == "list_item_open" and item.level == 1 and item.map
        ]
        if len(items) > 1:
            self._add(token, "".join(lines[: items[-1]]))
            self._tail = "".join(lines[items[-1] :])
        else:
            self._add(token, self._tail)
            self._tail = "".join(lines[:2]) if token.type == "table_open" else ""
            self._table_head = self._tail

    def _add(self, token: Token, source: str) -> None:
        if self._table_head:
            repeated = source.strip("\n") == self._table_head.strip("\n")
            self._table_head = ""
            if repeated:
                return
        self._blocks.append(_block(token, source))

    def _parse_open(self) -> list[Block]:
        source = self._tail + self._partial
        if not source or source == self._table_head:
            return []
        return [_block(token, text) for token, text in _cut(source)]


def _unindent(line: str, columns: int) -> str:
    """`line` without its first `columns` columns of white space; a tab stop is 4 columns wide."""
    place = column = 0
    while place < len(line) and column < columns and line[place] in " \t":
        column += 4 - column % 4 if line[place] == "\t" else 1
        place += 1
    return " " * (column - columns) + line[place:]


def _split_lines(text: str) -> list[str]:
    """Lines with their newlines; unlike `str.splitlines`, only a newline ends one."""
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _cut(source: str) -> list[tuple[Token, str]]:
    """The top-level blocks of `source`: the token that starts each, and its lines up to the next block."""
    starts = [(token, token.map[0]) for token in block_tokens(source) if token.level == 0 and token.map]
    lines = _split_lines(source)
    bounds = [start for _, start in starts[1:]] + [len(lines)]
    return [(token, "".join(lines[start:end])) for (token, start), end in zip(starts, bounds, strict=False)]


def _block(token: Token, source: str) -> Block:
    if token.type in ("fence", "code_block"):
        return Block(BlockKind.CODE, language=_language(token), code=token.content.removesuffix("\n"))
    if token.type == "hr":
        return Block(BlockKind.RULE)
    return Block(BlockKind.TEXT, source)


def _language(token: Token) -> str:
    words = token.info.split()
    return words[0][:40] if words else ""


def _is_closed(token: Token) -> bool:
    """Whether a fence has its closing line."""
    if token.map is None:
        return False
    return token.map[1] - token.map[0] == token.content.count("\n") + 2


def _is_final(token: Token, source: str) -> bool:
    """Whether the last block cannot change any more, whatever follows its complete lines."""
    if token.type in ("fence", "hr", "heading_open"):
        return True
    return token.type == "paragraph_open" and source.endswith("\n\n")
