"""The help pages are read as they are written; what is wrong with one is said with its file and line."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from hearth.help.keys import is_key, native_key, native_keys
from hearth.help.library import read_help
from hearth.help.page import anchor, parse_page

GOOD = """# Asking

You ask, and
it answers.

## How do I ask?

Write your question
and press `Enter`.

More about it:

- one
- two

## What is shown?

The answer, while it is written:

```
## this is no heading
```
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A help of two groups and three pages, in English and Chinese."""
    (tmp_path / "contents.toml").write_text(
        '[[group]]\nen = "Chat"\nzh = "聊天"\npages = ["ask", "stop"]\n'
        '[[group]]\nen = "Models"\nzh = "模型"\npages = ["import"]\n',
        encoding="utf-8",
    )
    for language in ("en", "zh"):
        (tmp_path / language).mkdir()
        for page in ("ask", "stop", "import"):
            write(tmp_path, language, page, GOOD)
    return tmp_path


def write(folder: Path, language: str, page: str, source: str) -> None:
    (folder / language / f"{page}.md").write_text(source, encoding="utf-8")


def test_the_library_has_the_groups_and_pages_of_the_contents_in_their_order(folder: Path) -> None:
    library = read_help("en", strict=True, folder=folder)
    assert [group.title for group in library.groups] == ["Chat", "Models"]
    assert [page.id for page in library.pages] == ["ask", "stop", "import"]
    assert [page.id for page in library.groups[1].pages] == ["import"]
    assert read_help("zh", folder=folder).groups[0].title == "聊天"


def test_a_page_has_title_introduction_and_sections_with_answers(folder: Path) -> None:
    page = read_help("en", folder=folder).page("stop")
    assert (page.title, page.intro) == ("Asking", "You ask, and it answers.")
    assert [section.heading for section in page.sections] == ["How do I ask?", "What is shown?"]
    assert page.sections[0].answer == "Write your question and press `Enter`."
    assert page.sections[0].text.startswith("Write your question\nand")
    assert page.sections[0].text.endswith("- two")
    assert "## this is no heading" in page.sections[1].text


def test_a_page_that_is_not_there_is_a_key_error(folder: Path) -> None:
    with pytest.raises(KeyError):
        read_help("en", folder=folder).page("nothing")


BROKEN = [
    ("Asking\n\nIntro.\n\n## A?\n\nYes.\n", 1, "text before the title"),
    ("# A\n\nIntro.\n\n# B\n\n## A?\n\nYes.\n", 5, "second title"),
    ("# A\n\n## A?\n\nYes.\n", 1, "introduction"),
    ("# A\n\nIntro.\n\nMore.\n\n## A?\n\nYes.\n", 1, "introduction"),
    ("# A\n\nIntro.\n", 1, "no section"),
    ("# A\n\nIntro.\n\n## A?\n\n- Yes.\n", 5, "not followed by an answer"),
    ("# A\n\nIntro.\n\n## A?\n\n1. Yes.\n", 5, "not followed by an answer"),
    ("# A\n\nIntro.\n\n## A?\n\n```\nYes\n```\n", 5, "not followed by an answer"),
    ("# A\n\nIntro.\n\n## A?\n\n## B?\n\nYes.\n", 5, "not followed by an answer"),
    ("# A\n\nIntro.\n\n## A?\n\nYes.\n\n## a!\n\nNo.\n", 9, "was there before"),
    ("# A\n\nIntro.\n\n##\n\nYes.\n", 5, "no words"),
    ("# A\n\nIntro.\n\n## A?\n\nYes.\n\n### B\n", 9, "smaller than ##"),
    ("# A\n\nIntro.\n\n## A?\n\nYes.\n\n```\nhearth\n", 10, "not closed"),
]


@pytest.mark.parametrize(("source", "line", "words"), BROKEN)
def test_a_broken_page_is_an_error_with_file_and_line(
    folder: Path, source: str, line: int, words: str
) -> None:
    write(folder, "en", "stop", source)
    with pytest.raises(ValueError, match=words) as raised:
        read_help("en", strict=True, folder=folder)
    assert str(raised.value).startswith(f"{folder / 'en' / 'stop.md'}:{line}: ")


def test_a_broken_page_is_shown_as_far_as_it_goes_and_the_log_says_so(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(folder, "en", "stop", "# A\n\nIntro.\n\n## A?\n\n- Yes.\n")
    with caplog.at_level(logging.WARNING):
        page = read_help("en", folder=folder).page("stop")
    assert (page.title, page.sections[0].heading) == ("A", "A?")
    assert "stop.md:5:" in caplog.text


def test_a_missing_page_is_an_error_where_it_must_be_and_else_left_out(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "en" / "import.md").unlink()
    with pytest.raises(ValueError, match=r"import\.md"):
        read_help("en", strict=True, folder=folder)
    assert [group.title for group in read_help("en", folder=folder).groups] == ["Chat"]
    assert "import.md" in caplog.text


def test_without_contents_the_help_is_empty(tmp_path: Path) -> None:
    assert read_help("en", folder=tmp_path).groups == ()
    with pytest.raises(ValueError, match="contents"):
        read_help("en", strict=True, folder=tmp_path)


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("How do I stop an answer?", "how-do-i-stop-an-answer"),
        ("What is “Top P”?", "what-is-top-p"),
        ("怎样停止 Hearth 的回答？", "怎样停止-hearth-的回答"),
    ],
)
def test_the_anchor_of_a_heading_has_only_letters_digits_and_dashes(heading: str, expected: str) -> None:
    assert anchor(heading) == expected
    assert anchor(expected) == expected


def test_a_section_is_found_by_its_heading_and_by_its_anchor() -> None:
    page, _ = parse_page("ask", GOOD)
    assert page.section("How do I ask?") is page.sections[0]
    assert page.section("what-is-shown") is page.sections[1]
    assert page.section("Something else") is None


def test_chinese_lines_are_joined_without_a_space() -> None:
    page, faults = parse_page(
        "ask", "# 提问\n\n写下问题，\n按下 `Enter`\n发送。\n\n## 怎样提问？\n\n写下。\n"
    )
    assert not faults
    assert page.intro == "写下问题，按下 `Enter` 发送。"


@pytest.mark.parametrize(
    ("key", "on_a_mac"),
    [
        ("Ctrl+N", "⌘N"),
        ("Ctrl+Shift+S", "⇧⌘S"),
        ("Ctrl++", "⌘+"),
        ("Alt+Left", "⌥←"),
        ("Ctrl+Backspace", "⌘⌫"),
        ("Shift+Enter", "⇧Return"),
        ("Esc", "Esc"),
        ("F1", "F1"),
        ("F11", "⌃⌘F"),
    ],
)
def test_keys_are_spelled_for_the_system(key: str, on_a_mac: str) -> None:
    assert is_key(key)
    assert native_key(key, "linux") == native_key(key, "win32") == key
    assert native_key(key, "darwin") == on_a_mac


@pytest.mark.parametrize(
    "code", ["hearth run", "config.toml", "Ctrl", "N", "--json", "engine.threads", "Ctrl+n"]
)
def test_other_code_is_no_key(code: str) -> None:
    assert not is_key(code)


def test_keys_in_a_text_are_spelled_for_the_system_except_where_a_terminal_is_meant() -> None:
    page, _ = parse_page("ask", GOOD)
    text = "Press `Ctrl+N`, not `hearth run`, or Ctrl+N."
    assert native_keys(page, text, "darwin") == "Press `⌘N`, not `hearth run`, or Ctrl+N."
    terminal, _ = parse_page("terminal-chat", GOOD)
    assert native_keys(terminal, text, "darwin") == text
