"""`hearth help` shows the contents, finds pages and writes them."""

from __future__ import annotations

import pytest

from command_line import hearth
from hearth import i18n
from hearth.help import read_help


def test_without_words_the_contents_are_shown() -> None:
    result = hearth("help")
    library = read_help("en")
    assert result.code == 0
    lines = result.out.splitlines()
    assert [line for line in lines if line in {group.title for group in library.groups}] == [
        group.title for group in library.groups
    ]
    for page in library.pages:
        assert any(line.split() == [page.id, *page.title.split()] for line in lines)
    assert "hearth help WORDS" in result.out


def test_the_list_has_a_line_for_each_page() -> None:
    lines = hearth("help", "--list").out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == [page.id for page in read_help("en").pages]


def test_a_page_is_shown_by_its_name() -> None:
    result = hearth("help", "keyboard")
    assert result.code == 0
    assert result.out.splitlines()[0].strip() == read_help("en").page("keyboard").title
    assert "hearth help" not in result.out.splitlines()[-1]


def test_words_lead_to_the_best_page_and_name_others() -> None:
    result = hearth("help", "how", "do", "I", "import", "a", "model?")
    page = read_help("en").page("import")
    assert result.out.splitlines()[0].strip() == page.title
    for section in page.sections:
        assert section.heading in result.out
    assert "**" not in result.out
    assert result.out.splitlines()[-1].startswith("  hearth help ")


def test_links_are_shown_as_the_command_that_follows_them() -> None:
    page = read_help("en").page("import")
    assert "](formats)" in "".join(section.text for section in page.sections)
    out = " ".join(hearth("help", "import").out.split())
    assert "(hearth help formats)" in out
    assert "](" not in out


def test_what_is_not_found_is_said_with_what_to_do() -> None:
    result = hearth("help", "xylophone")
    assert result.code == 1
    assert result.out == ""
    assert "Nothing found for “xylophone”." in result.err
    assert "hearth help" in result.err


def test_the_help_speaks_the_language_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    try:
        result = hearth("help", "keyboard")
    finally:
        i18n.use_language("en")
    assert result.out.splitlines()[0].strip() == read_help("zh").page("keyboard").title
