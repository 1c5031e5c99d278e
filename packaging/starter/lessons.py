"""Gathers what the starter is taught: help pages with the questions to them, small talk, and what is outside.

    python packaging/starter/lessons.py OUT.json

Three kinds of sources, all read here and nowhere else:

- `resources/help/<language>/<page>.md`: each section's first paragraph is an answer, and
  `questions/<language>/<page>.txt` has the ways to ask for it, under the same headings;
- `talk/<language>.txt`: greetings and the like;
- `outside/<language>.txt`: what the starter cannot do, with words to fill into the gaps in `outside/words-<language>.txt`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from phrasing import PATTERN

from hearth.help.library import read_help

HERE = Path(__file__).parent
LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class Lesson:
    """Questions that have one answer.

    Attributes:
        questions: as they stand, or patterns such as `[how do i|how to] copy [this|an answer]`.
        keywords: words that point at the answer, alone or together.
        kind: `help`, `talk` or `outside`.
        id: the same in all languages: `page/2` for the third section of a help page, or a heading.
        title: of the help page.
    """

    kind: str
    id: str
    language: str
    questions: tuple[str, ...]
    answer: str
    title: str = ""
    keywords: tuple[str, ...] = ()


@dataclass
class Block:
    """What stands under one heading of a text file."""

    answer: str
    questions: list[str]
    keywords: list[str]


def read_blocks(file: Path) -> dict[str, Block]:
    """Blocks of a text file, by heading: `## heading`, and under it, line by line, `> answer`, `* keyword, keyword`, or
    a question.

    Raises:
        ValueError: a line stands before the first heading, or a heading comes twice.
    """
    blocks: dict[str, Block] = {}
    block = None
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip()
        if text.startswith("## "):
            heading = text[3:].strip()
            if heading in blocks:
                raise ValueError(f"{file}:{number}: “{heading}” comes twice")
            block = blocks[heading] = Block("", [], [])
        elif text and block is None:
            raise ValueError(f"{file}:{number}: a line before the first heading")
        elif text and block:
            _read_line(block, text)
    return blocks


def _read_line(block: Block, text: str) -> None:
    if text.startswith("> "):
        block.answer = text[2:].strip()
    elif text.startswith("* "):
        block.keywords += [word.strip() for word in text[2:].split(",") if word.strip()]
    else:
        block.questions.append(text)


def help_lessons(language: str) -> list[Lesson]:
    """The help pages with their questions.

    Raises:
        ValueError: a section has no questions, questions have no section, or a pattern is broken.
    """
    lessons = []
    for page in read_help(language, strict=True).pages:
        file = HERE / "questions" / language / f"{page.id}.txt"
        blocks = read_blocks(file)
        headings = [section.heading for section in page.sections]
        if headings != list(blocks):
            raise ValueError(f"{file}: the headings are {list(blocks)}, and those of the page {headings}")
        for number, section in enumerate(page.sections):
            block = blocks[section.heading]
            broken = [
                line for line in block.questions if re.search(r"[\[\]].*\||\|.*[\[\]]", PATTERN.sub("", line))
            ]
            if broken:
                raise ValueError(f"{file}: the brackets of a pattern do not match: {broken[0]}")
            lessons.append(
                Lesson(
                    kind="help",
                    id=f"{page.id}/{number}",
                    language=language,
                    questions=tuple(dict.fromkeys([section.heading, *block.questions])),
                    answer=without_links(section.answer),
                    title=page.title,
                    keywords=tuple(dict.fromkeys(block.keywords)),
                )
            )
    return lessons


def block_lessons(kind: str, language: str) -> list[Lesson]:
    """Small talk, or what is outside."""
    words = {}
    if kind == "outside":
        blocks = read_blocks(HERE / kind / f"words-{language}.txt")
        words = {name: block.questions for name, block in blocks.items()}
    lessons = []
    for heading, block in read_blocks(HERE / kind / f"{language}.txt").items():
        filled = [text for question in block.questions for text in fill(question, words)]
        lessons.append(Lesson(kind, heading, language, tuple(dict.fromkeys(filled)), block.answer))
    return lessons


def fill(question: str, words: dict[str, list[str]]) -> list[str]:
    """The question with each word of its one gap; a question without a gap as it is."""
    gap = re.search(r"\{(\w+)\}", question)
    if gap is None:
        return [question]
    return [question.replace(gap.group(), word) for word in words[gap.group(1)]]


def without_links(text: str) -> str:
    """Markdown links as their words alone: a chat cannot follow a link to a help page."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)


def all_lessons() -> list[Lesson]:
    return [
        lesson
        for language in LANGUAGES
        for lesson in (
            *help_lessons(language),
            *block_lessons("talk", language),
            *block_lessons("outside", language),
        )
    ]


def main() -> int:
    arguments = argparse.ArgumentParser(description="Gather what the starter is taught.")
    arguments.add_argument("out", type=Path)
    out: Path = arguments.parse_args().out
    lessons = all_lessons()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps([asdict(lesson) for lesson in lessons], ensure_ascii=False, indent=1), "utf-8")
    for kind in ("help", "talk", "outside"):
        chosen = [lesson for lesson in lessons if lesson.kind == kind]
        print(f"{kind}: {len(chosen)} answers, {sum(len(lesson.questions) for lesson in chosen)} questions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
