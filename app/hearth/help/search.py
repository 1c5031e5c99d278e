"""Search in the help: ranked, and indifferent to case and accents.

Words are matched whole, or by their beginning where the word is still being typed. Chinese, which has no spaces, is
matched by pairs of characters. Rare words count for more than common ones, headings for more than text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import log

from hearth.help.page import HelpPage, HelpSection

Span = tuple[int, int]

LONGEST_SNIPPET = 110  # characters; half as many where they are Chinese, and so twice as wide
_SHARE = 0.5  # of the weight of the words asked for, which a hit must have
_HEADING, _PAGE, _BODY = (
    4.0,
    1.5,
    1.0,
)  # what a word counts for in a heading, in the page's title, in the text
_WIDE = "\u3400-\u4dbf\u4e00-\u9fff"
_TOKEN = re.compile(rf"[{_WIDE}]+|[^\W_{_WIDE}]+")


@dataclass(frozen=True, slots=True)
class HelpHit:
    """A place in the help.

    Attributes:
        section: None where the page as a whole is meant.
        snippet: some of its text, without markup.
        marks: where in `snippet` the words stand that were looked for.
    """

    page: HelpPage
    section: HelpSection | None
    snippet: str
    marks: tuple[Span, ...]


class HelpIndex:
    """All pages of one language, ready to be searched."""

    def __init__(self, pages: Iterable[HelpPage]) -> None:
        self._places = [place for page in pages for place in _places(page)]

    def search(self, words: str, limit: int = 20) -> list[HelpHit]:
        """The best places for `words`, best first; none where too few of the words are found."""
        asked = [(term, self._weight(term)) for term in _terms(words)]
        needed = _SHARE * sum(weight for _, weight in asked)
        if needed <= 0:
            return []
        scored = []
        for place in self._places:
            strengths = [(place.strength(term), weight) for term, weight in asked]
            if sum(weight for strength, weight in strengths if strength) >= needed:
                scored.append((sum(strength * weight for strength, weight in strengths), place))
        scored.sort(key=lambda pair: -pair[0])  # stable: equals stay in reading order
        return [place.hit([term for term, _ in asked]) for _, place in scored[:limit]]

    def _weight(self, term: _Term) -> float:
        """How rare the term is. Pairs of Chinese characters that are nowhere do not count: most are no words."""
        found = sum(1 for place in self._places if place.strength(term))
        if term.is_pair and not found:
            return 0.0
        return log(1 + len(self._places) / (found + 0.5))


@dataclass(frozen=True, slots=True)
class _Term:
    """A word, the beginning of one, or a pair of Chinese characters."""

    text: str
    is_pair: bool = False
    is_beginning: bool = False

    def fits(self, word: str) -> bool:
        return _singular(word) == _singular(self.text) or (self.is_beginning and word.startswith(self.text))


class _Text:
    """A text with its letters made alike; knows where in the original each of them stood."""

    def __init__(self, original: str) -> None:
        self.original = original
        self._letters, self._origins = _fold(original)
        self._words: dict[str, list[Span]] = {}
        for found in _TOKEN.finditer(self._letters):
            self._words.setdefault(found.group(), []).append(found.span())

    def spans(self, term: _Term) -> Iterator[Span]:
        """Where the term stands in the original; for the beginning of a word that beginning only."""
        if term.is_pair:
            for found in re.finditer(re.escape(term.text), self._letters):
                yield self._in_original(*found.span())
            return
        for word, places in self._words.items():
            if term.fits(word):
                for start, end in places:
                    yield self._in_original(start, min(end, start + len(term.text)))

    def has(self, term: _Term) -> bool:
        return term.text in self._letters if term.is_pair else any(term.fits(word) for word in self._words)

    def _in_original(self, start: int, end: int) -> Span:
        return self._origins[start], self._origins[end - 1] + 1


class _Place:
    """What can be found: a section, or a page with its introduction."""

    def __init__(self, page: HelpPage, section: HelpSection | None) -> None:
        self._page, self._section = page, section
        self._title = _Text(page.title)
        self._heading = _Text(section.heading if section else page.title)
        self._body = _Text(plain_text(section.text if section else page.intro))
        self._strengths: dict[_Term, float] = {}

    def strength(self, term: _Term) -> float:
        """How much the term says that this is the place."""
        if term not in self._strengths:
            fields = ((self._heading, _HEADING), (self._title, _PAGE), (self._body, _BODY))
            self._strengths[term] = sum(weight for text, weight in fields if text.has(term))
        return self._strengths[term]

    def hit(self, terms: Sequence[_Term]) -> HelpHit:
        spans = _merged(span for term in terms for span in self._body.spans(term))
        start, end = _window(self._body.original, spans)
        before, after = "…" * (start > 0), "…" * (end < len(self._body.original))
        snippet = before + self._body.original[start:end] + after
        shift = start - len(before)
        marks = tuple((a - shift, b - shift) for a, b in spans if start <= a and b <= end)
        return HelpHit(self._page, self._section, snippet, marks)


def plain_text(markdown: str) -> str:
    """The words of a text without markup, on one line."""
    text = re.sub(r"^\s*(```.*|[-*+>]\s+|\d+[.)]\s+|\|?[\s:|-]+\|\s*$)", "", markdown, flags=re.MULTILINE)
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\*\*|`", "", text)
    return " ".join(text.replace("|", " ").split())


def _places(page: HelpPage) -> Iterator[_Place]:
    yield _Place(page, None)
    for section in page.sections:
        yield _Place(page, section)


def _terms(words: str) -> list[_Term]:
    """What is looked for, each once."""
    letters, _ = _fold(words)
    tokens = _TOKEN.findall(letters)
    typing = bool(tokens) and letters.endswith(tokens[-1])
    terms: list[_Term] = []
    for number, token in enumerate(tokens, start=1):
        if re.match(f"[{_WIDE}]", token):
            pairs = [token[place : place + 2] for place in range(len(token) - 1)] or [token]
            terms += [_Term(pair, is_pair=True) for pair in pairs]
        else:
            terms.append(_Term(token, is_beginning=typing and number == len(tokens)))
    return list(dict.fromkeys(terms))


def _fold(text: str) -> tuple[str, list[int]]:
    """`text` in small letters without accents, and for each of them the place where it comes from."""
    letters, origins = [], []
    for place, character in enumerate(text):
        for letter in unicodedata.normalize("NFKD", character.casefold()):
            if not unicodedata.combining(letter):
                letters.append(letter)
                origins.append(place)
    return "".join(letters), origins


def _singular(word: str) -> str:
    """`models` as `model`; short words and those in -ss as they are."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _merged(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, those that touch as one."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _window(text: str, spans: Sequence[Span]) -> Span:
    """The part of `text` to show: where most of the spans are, beginning and ending between words."""
    longest = LONGEST_SNIPPET // 2 if re.search(f"[{_WIDE}]", text) else LONGEST_SNIPPET
    if len(text) <= longest:
        return 0, len(text)
    starts = [start for start, _ in spans] or [0]
    best = max(starts, key=lambda first: sum(first <= start <= first + longest // 2 for start in starts))
    start = max(0, min(best - longest // 4, len(text) - longest))
    end = start + longest
    if start:
        gap = re.search(r"[\s，。；：、]", text[start:best])
        start += gap.end() if gap else 0
    if end < len(text):
        gap = re.search(r"[\s，。；：、](?=[^\s，。；：、]*$)", text[best:end])
        end = best + gap.start() if gap and gap.start() > longest // 4 else end
    return start, end
