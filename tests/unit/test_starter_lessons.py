"""What the starter is taught: nothing is left out, and nothing of what it is tested with is in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import lessons
import problems
import pytest
import sums
from phrasing import rephrase

LANGUAGES = ("en", "zh")
EVALUATION = Path(lessons.__file__).parent / "evaluation"


def plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_section_of_the_help_has_its_questions(language: str) -> None:
    taught = lessons.help_lessons(language)  # raises where headings and questions do not match
    assert all(len(lesson.questions) >= 15 for lesson in taught)


def test_both_languages_are_taught_the_same_topics() -> None:
    for kind in ("talk", "outside"):
        english, chinese = (lessons.block_lessons(kind, language) for language in LANGUAGES)
        assert [lesson.id for lesson in english] == [lesson.id for lesson in chinese]
        assert all(lesson.answer for lesson in (*english, *chinese))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_question_of_the_evaluation_is_taught(language: str) -> None:
    lines = (EVALUATION / f"{language}.jsonl").read_text(encoding="utf-8").splitlines()
    asked = {plain(json.loads(line)["question"]) for line in lines}
    taught = [lesson for lesson in lessons.all_lessons() if lesson.language == language]
    assert len(asked) >= 100
    assert not asked & {plain(keyword) for lesson in taught for keyword in lesson.keywords}
    ways = "|".join(dict.fromkeys(all_ways(question) for lesson in taught for question in lesson.questions))
    assert [question for question in asked if re.fullmatch(ways, question)] == []


def all_ways(question: str) -> str:
    """A regular expression for everything that a pattern stands for, in plain letters."""
    found = lessons.PATTERN.split(question)
    texts, choices = found[::2], found[1::2]
    groups = [
        "(" + "|".join(plain(choice) for choice in choice_text.split("|")) + ")" for choice_text in choices
    ]
    return "".join(part for pair in zip(map(plain, texts), [*groups, ""], strict=True) for part in pair)


def test_no_benchmark_question_is_taught(shared_data: Path) -> None:
    folder = shared_data / "eval"
    rows = [json.loads(line) for line in (folder / "mt_bench_questions.jsonl").read_text().splitlines()]
    asked = {plain(turn) for row in rows for turn in row["turns"]}
    asked |= {plain(row["instruction"]) for row in json.loads((folder / "gsm8k_test.json").read_text())}
    taught = {plain(question) for lesson in lessons.all_lessons() for question in lesson.questions}
    assert not asked & taught


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_step_of_a_sum_is_true(language: str) -> None:
    numbers = range(sums.HIGHEST + 1)
    for a, sign, b in ((a, sign, b) for sign in "+-" for a in numbers for b in numbers):
        answer = sums.answer(a, sign, b, language)
        steps = re.findall(r"(\d+) ([+-]) (\d+) = (-?\d+)", answer)
        assert steps
        assert all(sums.result(int(x), s, int(y)) == int(z) for x, s, y, z in steps)
        assert answer.rstrip(".。").endswith(f" = {sums.result(a, sign, b)}")


def test_a_sum_of_bare_signs_has_the_answer_that_it_has_in_english() -> None:
    assert sums.answer_language("27 + 58 =?", "zh") == "en"
    assert sums.answer_language("27 加 58", "zh") == "zh"
    assert sums.answer_language("27+58=？", "zh") == "zh"
    assert sums.answer(51, "-", 52, "en") == "52 is more than 51: 52 - 50 = 2, 2 - 1 = 1. So 51 - 52 = -1."


def test_sums_that_are_kept_for_the_evaluation_are_never_drawn() -> None:
    rng = Random(0)
    assert 1500 < len(sums.held_out()) < 2500
    for _ in range(20_000):
        a, sign, b, _question = sums.draw(rng, "en")
        assert not sums.is_held_out(a, sign, b)
        going_on = sums.draw_next(rng, "zh", sums.result(a, sign, b))
        assert going_on is None or not sums.is_held_out(sums.result(a, sign, b), *going_on[:2])


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_question_put_otherwise_is_still_a_question(language: str) -> None:
    rng = Random(1)
    for question in ("How do I delete a conversation?", "怎么删除对话？", "F1", "?"):
        assert all(rephrase(rng, question, language).strip() for _ in range(500))
    assert all("{" not in problems.draw(rng, language) for _ in range(2000))


def test_gaps_are_filled_and_patterns_that_do_not_close_are_told(tmp_path: Path) -> None:
    assert lessons.fill("capital of {country}", {"country": ["Peru", "Chad"]}) == [
        "capital of Peru",
        "capital of Chad",
    ]
    file = tmp_path / "a.txt"
    file.write_text("## one\n* red, blue\n> Yes.\n[how|where] is it\n\n## one\n", encoding="utf-8")
    with pytest.raises(ValueError, match="comes twice"):
        lessons.read_blocks(file)
    file.write_text("lost\n## one\n", encoding="utf-8")
    with pytest.raises(ValueError, match="before the first heading"):
        lessons.read_blocks(file)
