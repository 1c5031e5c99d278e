"""Search in the help finds what a person means, and shows where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.help.page import parse_page
from hearth.help.search import LONGEST_SNIPPET, HelpHit, HelpIndex, plain_text

PAGES = {
    "stop": """# Stop an answer

An answer can be stopped at any time.

## How do I stop an answer?

Press `Esc` or choose **Chat > Stop**; what was written so far is kept.

## How do I ask for another answer?

Choose **Chat > Regenerate**. The old answer is kept as a version.
""",
    "import": """# Import a model

A model comes to Hearth as a folder.

## How do I add a model?

Choose **File > Import Model Folder…** and the folder of the model.

## What happens to the files?

They are copied; see [the folders](folders#where). The résumé of an import is in the log:

1. The *size* is checked.
2. Every checksum is written down.
""",
    "folders": """# Folders

Where things lie.

## Where are my conversations?

In `hearth.db`, in the home folder. """
    + "Nothing else is written there. " * 20
    + """The needle lies here. And more of it follows after that. """
    + "Nothing else is written there. " * 20
    + "\n",
}

CHINESE = {
    "stop": "# 停止回答\n\n随时可以停止。\n\n## 怎样停止正在写的回答？\n\n按 `Esc`，已写出的内容会保留。\n",
    "import": "# 导入模型\n\n模型是一个文件夹。\n\n## 怎样添加一个模型？\n\n选择 **文件 > 导入模型文件夹…**。\n",
}


def index(pages: dict[str, str]) -> HelpIndex:
    return HelpIndex([parse_page(name, source)[0] for name, source in pages.items()])


def found(hits: list[HelpHit]) -> list[tuple[str, str]]:
    return [(hit.page.id, hit.section.heading if hit.section else "") for hit in hits]


def marked(hit: HelpHit) -> list[str]:
    return [hit.snippet[start:end] for start, end in hit.marks]


def test_a_heading_comes_before_the_text() -> None:
    hits = found(index(PAGES).search("stop"))
    assert hits[:2] == [("stop", ""), ("stop", "How do I stop an answer?")]


def test_a_question_in_plain_words_leads_to_its_section() -> None:
    assert found(index(PAGES).search("how do i stop an answer?"))[0] == ("stop", "How do I stop an answer?")
    assert found(index(PAGES).search("what happens to my files"))[0][1] == "What happens to the files?"


def test_case_and_accents_do_not_matter() -> None:
    for words in ("resume", "RESUMÉ", "Résumé", "re\u0301sume\u0301"):
        (hit,) = index(PAGES).search(words)
        assert marked(hit) == ["résumé"]


def test_the_last_word_may_be_unfinished_and_the_others_not() -> None:
    assert found(index(PAGES).search("regener")) == [("stop", "How do I ask for another answer?")]
    assert index(PAGES).search("regener ") == []
    assert index(PAGES).search("check zzz") == []


def test_one_and_many_are_the_same_word() -> None:
    assert found(index(PAGES).search("models "))[0] == ("import", "")
    assert found(index(PAGES).search("file "))[0][0] == "import"


def test_rare_words_decide() -> None:
    assert found(index(PAGES).search("do I see every checksum"))[0][1] == "What happens to the files?"


def test_what_is_nowhere_is_not_found() -> None:
    assert index(PAGES).search("weather") == []
    assert index(PAGES).search("") == []
    assert index(PAGES).search("  ?! ") == []


def test_the_snippet_shows_the_word_without_markup_and_is_short() -> None:
    (hit,) = index(PAGES).search("needle")
    assert marked(hit) == ["needle"]
    assert hit.snippet.startswith("…")
    assert hit.snippet.endswith("…")
    assert len(hit.snippet) <= LONGEST_SNIPPET + 2
    hit = index(PAGES).search("regenerate")[0]
    assert hit.snippet == "Choose Chat > Regenerate. The old answer is kept as a version."


def test_only_what_was_typed_of_a_word_is_marked() -> None:
    (hit,) = index(PAGES).search("regen")
    assert marked(hit) == ["Regen"]


def test_chinese_is_found_without_spaces() -> None:
    assert found(index(CHINESE).search("停止"))[0] == ("stop", "")
    assert found(index(CHINESE).search("怎样停止回答"))[0] == ("stop", "怎样停止正在写的回答？")
    assert found(index(CHINESE).search("怎样导入模型"))[0][0] == "import"
    assert found(index(CHINESE).search("夹"))[0][0] == "import"
    assert index(CHINESE).search("天气预报") == []


def test_chinese_pairs_that_touch_are_marked_as_one() -> None:
    hits = index(CHINESE).search("导入模型文件夹")
    assert marked(next(hit for hit in hits if hit.section)) == ["文件", "导入模型文件夹"]


def test_latin_words_are_found_beside_chinese() -> None:
    assert ("stop", "怎样停止正在写的回答？") in found(index(CHINESE).search("esc"))
    assert found(index({"a": "# 关于Hearth的窗口\n\n介绍。\n\n## 问？\n\n答。\n"}).search("hearth"))


def test_a_list_and_a_table_lose_their_marks() -> None:
    source = "- one\n- **two**\n\n1. three\n\n| a | b |\n|---|---|\n| `c` | [d](e) |\n\n```\nhearth run\n```"
    assert plain_text(source) == "one two three a b c d hearth run"


@pytest.mark.parametrize("pages", [PAGES, CHINESE])
@given(words=st.text(max_size=12))
def test_any_words_give_hits_whose_marks_lie_in_the_snippet(pages: dict[str, str], words: str) -> None:
    for hit in index(pages).search(words):
        assert all(0 <= start < end <= len(hit.snippet) for start, end in hit.marks)
        assert len(hit.snippet) <= LONGEST_SNIPPET + 2
