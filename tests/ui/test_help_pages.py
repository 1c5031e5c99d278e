"""The help pages are whole, alike in both languages, and name only what is there."""

from __future__ import annotations

from collections.abc import Callable
from difflib import SequenceMatcher
from functools import cache
from itertools import combinations

import pytest
from PySide6.QtWidgets import QApplication

from hearth.help import HelpLibrary, read_help
from hearth.help.page import HelpPage, parse_page
from help_rules import IN_VIEW_KEYS, Screen, answer_length, faults, in_view_key_fault, screen

LANGUAGES = ("en", "zh")
PAGES = [page.id for page in read_help("en").pages]


@cache
def library(language: str) -> HelpLibrary:
    return read_help(language, strict=True)


@pytest.fixture(scope="module")
def shown(qapp: QApplication) -> Callable[[str], Screen]:
    return cache(screen)


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_pages_of_the_contents_are_there_and_well_formed(language: str) -> None:
    assert len(library(language).pages) > 40
    assert all(2 <= len(page.sections) <= 6 for page in library(language).pages)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page_id", PAGES)
def test_a_page_names_only_what_is_there(page_id: str, language: str, shown: Callable[[str], Screen]) -> None:
    assert faults(library(language).page(page_id), library(language), shown(language)) == []


@pytest.mark.parametrize("page_id", PAGES)
def test_both_languages_have_the_same_sections(page_id: str) -> None:
    english, chinese = (library(language).page(page_id) for language in LANGUAGES)
    assert len(english.sections) == len(chinese.sections)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_headings_and_no_two_answers_are_alike(language: str) -> None:
    sections = [section for page in library(language).pages for section in page.sections]
    for one, other in combinations(sections, 2):
        assert one.anchor != other.anchor
        matcher = SequenceMatcher(None, one.answer, other.answer)
        alike = matcher.real_quick_ratio() > 0.9 and matcher.quick_ratio() > 0.9 and matcher.ratio() > 0.9
        assert not alike, f"{one.heading} / {other.heading}"


@pytest.mark.parametrize("key", IN_VIEW_KEYS)
def test_the_keys_that_no_menu_has_are_where_the_list_says(key: str) -> None:
    assert in_view_key_fault(key) == ""


# The rules themselves: what they find in pages that are wrong, and let pass in pages that are right.

ANSWER = "One two three four five six seven eight nine ten eleven twelve thirteen."


def page(text: str, answer: str = ANSWER) -> HelpPage:
    made, wrong = parse_page("ask", f"# Title\n\nIntroduction.\n\n## Question?\n\n{answer}\n\n{text}\n")
    assert not wrong
    return made


@pytest.mark.parametrize(
    "text",
    [
        "**File > New Chat**",
        "**File > Import Model Folder…**",
        "**Edit > Undo Delete**",
        "**Import**",
        "**View**",
        "`Ctrl+N` `F2` `Ctrl+Shift+P` `Ctrl++` `Shift+Enter`",
        "`hearth` `hearth models list --json` `hearth run NAME - < notes.txt`",
        '`git diff | hearth run NAME "…" --max-tokens 5`',
        "`HEARTH_HOME=~/work hearth chat`",
        "`hearth help how do I`",
        "```\nhearth models import PATH --in-place\n```",
        "`--temperature 0` `/new` `make run`",
        '`engine.threads` `theme` `[log]` `threads = 4` `"debug"`',
        "`config.toml` `hearth.db` `genai_config.json` `HEARTH_HOME` `models`",
        "[words](import) [words](#question)",
    ],
)
def test_what_is_there_may_be_named(text: str, shown: Callable[[str], Screen]) -> None:
    assert faults(page(text), library("en"), shown("en")) == []


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("**File > New Window**", "New Window"),
        ("**Edit > New Chat**", "New Chat"),
        ("**File > Import Model Folder**", "Import Model Folder"),
        ("**import**", "import"),
        ("**really**", "really"),
        ("`Ctrl+J`", "Ctrl+J"),
        ("`Ctrl+Shift+N`", "Ctrl+Shift+N"),
        ("`hearth download`", "download"),
        ("`hearth models load NAME`", "load"),
        ("`hearth run NAME --colour`", "--colour"),
        ("`hearth models verify NAME OTHER`", "too many"),
        ("`hearth run --max-tokens`", "needs a value"),
        ("`echo | hearth serve`", "serve"),
        ("```\nhearth serve\n```", "serve"),
        ("`--colour`", "--colour"),
        ("`/bye`", "/bye"),
        ("`make install`", "make install"),
        ("`engine.gpu`", "engine.gpu"),
        ("`gpu = true`", "gpu"),
        ("`[gpu]`", "[gpu]"),
        ("`settings.toml`", "settings.toml"),
        ("`HEARTH_GPU`", "HEARTH_GPU"),
        ("[words](nowhere)", "nowhere"),
        ("[words](import#nowhere)", "import#nowhere"),
        ("[words](http://example.org)", "http://example.org"),
        ("![words](picture.png)", "words"),
        ("<b>words</b>", "<b>"),
        ("选择**文件 > 设置…**里", "选择**"),
    ],
)
def test_what_is_not_there_is_found(text: str, part: str, shown: Callable[[str], Screen]) -> None:
    (fault, *_) = faults(page(text), library("en"), shown("en"))
    assert part in fault


@pytest.mark.parametrize("answer", ["Too short.", "word " * 46])
def test_the_length_of_an_answer_is_held(answer: str, shown: Callable[[str], Screen]) -> None:
    (fault,) = faults(page("", answer), library("en"), shown("en"))
    assert "length" in fault


def test_chinese_is_counted_by_characters() -> None:
    made = page("", "选择 **文件 > 设置…**，或按 `Ctrl+N` 键，共 12 个。")
    assert answer_length(made.sections[0], "zh") == 14


def test_chinese_names_are_those_of_the_catalogue(shown: Callable[[str], Screen]) -> None:
    assert ("文件", "导入模型文件夹…") in shown("zh").menus
    assert "New Chat" not in shown("zh").names
    assert all("&" not in name for entry in shown("zh").menus for name in entry)
