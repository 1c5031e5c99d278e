"""One help page: a title, an introduction, and questions with their answers.

# Title

Introduction: one paragraph.

## Question?

Answer: one paragraph, complete by itself.

Whatever else there is to say, in Markdown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HelpSection:
    """A question and what there is to say about it.

    Attributes:
        heading: the question, plain text.
        answer: the first paragraph, on one line, as Markdown; what the starter model says.
        text: everything under the heading, the answer included, as Markdown.
    """

    heading: str
    answer: str
    text: str

    @property
    def anchor(self) -> str:
        return anchor(self.heading)


@dataclass(frozen=True, slots=True)
class HelpPage:
    """A page. `intro` is one paragraph on one line, as Markdown."""

    id: str
    title: str
    intro: str
    sections: tuple[HelpSection, ...]

    def section(self, heading_or_anchor: str) -> HelpSection | None:
        """The section with that heading, or with that anchor."""
        wanted = anchor(heading_or_anchor)
        return next((section for section in self.sections if section.anchor == wanted), None)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the form of a page, and on which line, counted from 1."""

    line: int
    text: str


def anchor(heading: str) -> str:
    """What follows the # in a link to a heading: small letters and digits, the rest as single dashes."""
    return re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", heading).casefold()).strip("-")


def parse_page(page_id: str, source: str) -> tuple[HelpPage, list[Fault]]:
    """The page in `source` as far as it can be read, and what is wrong with its form."""
    title, faults = "", []
    introduction: list[str] = []
    sections: list[tuple[int, str, list[str]]] = []  # line and text of a heading, and the lines below it
    titles = 0
    for number, line, is_code in _lines(source):
        below = sections[-1][2] if sections else introduction
        level, _, words = line.partition(" ")
        if is_code or not re.fullmatch("#+", level):
            if line.strip() and not titles:
                faults.append(Fault(number, "there is text before the title"))
            below.append(line)
        elif level == "#":
            titles += 1
            if titles > 1 or sections:
                faults.append(Fault(number, "there is a second title"))
            title = title or words.strip()
        elif level == "##":
            sections.append((number, words.strip(), []))
        else:
            faults.append(Fault(number, "a heading is smaller than ##"))
            below.append(line)
    if not title:
        faults.append(Fault(1, "there is no title (# Title)"))
    intro = _paragraphs(introduction)
    if len(intro) != 1 or not _is_plain(intro[0]):
        faults.append(Fault(1, f"the introduction must be one paragraph, it has {len(intro)}"))
    if not sections:
        faults.append(Fault(1, "there is no section (## Question?)"))
    read: list[HelpSection] = []
    for number, heading, lines in sections:
        paragraphs = _paragraphs(lines)
        if not heading:
            faults.append(Fault(number, "a heading has no words"))
        elif any(anchor(heading) == section.anchor for section in read):
            faults.append(Fault(number, "the heading was there before"))
        if not paragraphs or not _is_plain(paragraphs[0]):
            faults.append(Fault(number, "the heading is not followed by an answer in one paragraph"))
        answer = _one_line(paragraphs[0]) if paragraphs else ""
        read.append(HelpSection(heading, answer, "\n".join(lines).strip()))
    if source.count("\n```") % 2:
        faults.append(Fault(len(source.splitlines()), "a block of code is not closed"))
    page = HelpPage(page_id, title or page_id, _one_line(intro[0]) if intro else "", tuple(read))
    return page, sorted(faults, key=lambda fault: fault.line)


def _lines(source: str) -> Iterator[tuple[int, str, bool]]:
    """Number, text, and whether it belongs to a block of code, of each line."""
    inside = False
    for number, line in enumerate(source.splitlines(), start=1):
        fence = line.startswith("```")
        yield number, line.rstrip(), inside or fence
        inside ^= fence


def _paragraphs(lines: list[str]) -> list[list[str]]:
    """The lines between empty lines."""
    paragraphs: list[list[str]] = [[]]
    for line in lines:
        if line:
            paragraphs[-1].append(line)
        elif paragraphs[-1]:
            paragraphs.append([])
    return [paragraph for paragraph in paragraphs if paragraph]


def _is_plain(paragraph: list[str]) -> bool:
    """Whether it is prose: no list, quotation, table or code in any of its lines."""
    return not any(re.match(r"([-*+>|]|\d+[.)])\s|```|\||\s{4}", line) for line in paragraph)


def _one_line(paragraph: list[str]) -> str:
    """The lines of a paragraph as one; no space comes between two Chinese characters."""
    text = " ".join(line.strip() for line in paragraph)
    wide = r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]"
    return re.sub(rf"(?<={wide}) (?={wide})", "", text)
