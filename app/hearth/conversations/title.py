"""A conversation's title from its first message."""

from __future__ import annotations

import re

_LONGEST = 48
_BLOCK_MARK = re.compile(r"^\s*(?:#{1,6}\s+|>\s?|[-*+]\s+|\d+[.)]\s+|`{3,}\w*|~{3,}\w*)+")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_EMPHASIS = re.compile(r"(?<!\w)(\*{1,3}|_{1,3}|~~|`+)(?=[^\s*_~`])(.+?)(?<=\S)\1(?!\w)")


def title_from(text: str) -> str:
    """The first line that says something, without Markdown's marks, cut at a word to at most 48 characters and `…`.

    Empty only for text that is empty or all white space.
    """
    lines = text.split("\n")
    for line in lines:
        title = _plain(line)
        if title:
            return _cut(title)
    return _cut(" ".join(text.split()))  # nothing but marks: they are what was asked about


def _plain(line: str) -> str:
    line = _BLOCK_MARK.sub("", line)
    line = _LINK.sub(r"\1", line)
    line = _EMPHASIS.sub(r"\2", line)
    return " ".join(line.split())


def _cut(title: str) -> str:
    if len(title) <= _LONGEST:
        return title
    head = title[: _LONGEST + 1]
    at = head.rfind(" ")
    # A single long word, or a script without spaces, is cut where it must be.
    head = head[:at] if at >= _LONGEST // 2 else head[:_LONGEST]
    return head.rstrip(" ,;:.-–—") + "…"
