"""Markdown that arrives piece by piece gives the blocks of the whole text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hearth.ui.chat.markdown import MAX_BLOCK, Block, BlockKind, MarkdownStream
from hearth.ui.chat.markdown_html import PARSER, render, render_tokens

_LINES = st.sampled_from(
    [
        "", "", "text", "more *text* here", "**bold** `code` [a](http://b.c)", "# Heading", "## Two #", "===", "---",
        "***", "- item", "  - nested", "* other", "1. first", "2) second", "   continued", "    indented", "> quote",
        ">> deeper", "> - listed", "```", "```python", "~~~", "````", "  ```", "- ```js", "  x = 1", "a | b",
        "--- | ---", "| c | d |", "|---|:-:|", "\tTab", "<b>raw</b>", "\\[ x^2 \\]", "$a_b$", "[x]: http://y.z",
        "你好，世界", "שלום", "+", "-", "1.", "#", "~", "`", " ", "   ", "\u2028separator",
    ]
)  # fmt: skip
_TEXTS = st.one_of(
    st.lists(_LINES, max_size=25).map("\n".join),
    st.lists(_LINES, max_size=25).map("\r\n".join),
    st.text(alphabet="ab *_`~#>-+1.)|:\\[]()<>!$\n\r\t", max_size=120),
)


def cut(text: str, places: list[int]) -> list[str]:
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(bounds)]


def blocks_of(pieces: list[str]) -> list[Block]:
    stream = MarkdownStream()
    for piece in pieces:
        stream.feed(piece)
        assert stream.open_blocks is not None
    stream.finish()
    assert stream.open_blocks == []
    return stream.blocks


def whole(text: str) -> list[tuple[str, str]]:
    """The top-level blocks that the parser finds in the whole text: kind and HTML or code."""
    source = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "�")
    tokens = PARSER.parse(source)
    starts = [index for index, token in enumerate(tokens) if token.level == 0 and token.nesting >= 0]
    found = []
    for start, end in pairwise([*starts, len(tokens)]):
        token = tokens[start]
        if token.type in ("fence", "code_block"):
            found.append(("code", token.content.removesuffix("\n")))
        elif token.type == "hr":
            found.append(("rule", ""))
        else:
            found.append(("text", render_tokens(tokens[start:end])))
    return found


def described(blocks: list[Block]) -> list[tuple[str, str]]:
    return [(b.kind.value, b.html if b.kind is BlockKind.TEXT else b.code) for b in blocks]


@given(_TEXTS, st.lists(st.integers(0, 10_000), max_size=30))
def test_pieces_cut_anywhere_give_the_blocks_of_the_whole_text(text: str, places: list[int]) -> None:
    assert described(blocks_of(cut(text, places))) == whole(text)


@example("```\n ")
@given(_TEXTS)
def test_single_characters_give_the_blocks_of_the_whole_text(text: str) -> None:
    assert described(blocks_of(list(text))) == whole(text)


@given(_TEXTS, st.lists(st.integers(0, 10_000), max_size=30))
def test_finished_blocks_never_change(text: str, places: list[int]) -> None:
    stream = MarkdownStream()
    seen: list[tuple[str, str]] = []
    for piece in cut(text, places):
        stream.feed(piece)
        now = described(stream.blocks)
        assert now[: len(seen)] == seen
        seen = now


@given(_TEXTS, st.lists(st.integers(0, 10_000), max_size=30))
def test_open_blocks_show_what_the_text_so_far_would_be(text: str, places: list[int]) -> None:
    stream = MarkdownStream()
    so_far = ""
    for piece in cut(text, places):
        stream.feed(piece)
        so_far += piece
    shown = [entry for entry in described(stream.blocks + stream.open_blocks) if entry != ("code", "")]
    expected = [entry for entry in whole(so_far) if entry != ("code", "")]
    if not so_far.rstrip(" \t").endswith(("`", "~")) and not so_far.endswith((" ", "\r", "\n")):
        assert shown == expected


def test_a_fence_stays_open_until_it_is_closed() -> None:
    stream = MarkdownStream()
    stream.feed("```python\nx = 1\n\n# not a heading\n")
    assert stream.blocks == []
    assert stream.open_blocks[0].code == "x = 1\n\n# not a heading"
    assert stream.open_blocks[0].language == "python"
    stream.feed("``")
    assert stream.open_blocks[0].code == "x = 1\n\n# not a heading"
    stream.feed("`\nafter")
    assert [b.kind for b in stream.blocks] == [BlockKind.CODE]
    assert stream.open_blocks[0].html == "<p>after</p>"


def test_code_grows_without_being_read_again() -> None:
    block = Block(BlockKind.CODE)
    for number in range(1000):
        block.append_code(f"{number}\n")
    assert block.code_after(block.code_length - 8) == "998\n999\n"
    assert block.lines == 1001
    assert block.widest == 3


@pytest.mark.parametrize("line", ["- item {} of a list\n", "word {} of a paragraph\n", "> quote {}\n"])
def test_a_block_without_end_is_cut_and_nothing_is_lost(line: str) -> None:
    text = "".join(line.format(number) for number in range(2000))
    blocks = blocks_of([text[start : start + 700] for start in range(0, len(text), 700)])
    assert "".join(block.source for block in blocks) == text
    assert max(len(block.source) for block in blocks) < 2 * MAX_BLOCK + 700


def test_a_long_table_goes_on_under_its_header() -> None:
    rows = [f"| {number} | value |\n" for number in range(600)]
    blocks = blocks_of(["| n | v |\n|---|---|\n", *rows])
    assert len(blocks) > 1
    assert all(block.html.startswith('<table class="grid"') for block in blocks)
    assert sum(block.html.count("<tr>") - 1 for block in blocks) == 600


def test_a_line_of_a_megabyte_is_broken() -> None:
    blocks = blocks_of(["word " * 200_000])
    assert max(len(block.source) for block in blocks) < 2 * MAX_BLOCK
    assert sum(block.source.count("word") for block in blocks) == 200_000


@pytest.mark.parametrize(
    "text",
    [
        ">" * 1000 + "deep", "- " * 1000 + "deep", "\n".join("  " * depth + "- a" for depth in range(1000)),
        "[" * 20_000, "![" * 10_000, "*a **b " * 5_000, "`" * 20_000, "|" * 5_000 + "\n" + "|-" * 5_000 + "\n",
        "\u200b" * 10_000, "\u202e" * 5_000, "<" * 20_000, "&" * 20_000, "$" * 20_001, "\\(" * 10_000,
        "~~a" * 5_000, "\n" * 100_000, "\\[" * 3_000 + "$ a" * 3_000,
    ],
)  # fmt: skip
def test_hostile_text_is_shown_and_does_not_hang(text: str) -> None:
    blocks = blocks_of([text])
    for block in blocks:
        assert block.kind is not BlockKind.TEXT or block.html


def test_raw_html_is_text_and_only_web_and_mail_links_are_links() -> None:
    assert render("<script>x</script>") == "<p>&lt;script&gt;x&lt;/script&gt;</p>"
    assert render("[a](javascript:x) [b](file:///etc) [c](d.md)").count("<a ") == 0
    assert render("[a](https://b.c)") == '<p><a href="https://b.c">a</a></p>'
    assert "<img" not in render("![cat](https://b.c/cat.png)")


@pytest.mark.parametrize("formula", ["$a_b + c_d$", "$$x*y*z$$", "\\(a_1 * b\\)", "\\[ \\frac{a}{b} \\]"])
def test_formulas_are_left_as_they_are(formula: str) -> None:
    assert formula in render(f"see {formula} there")


def test_prices_are_not_formulas() -> None:
    assert "math" not in render("from $5 to $10 each")


def test_deep_nesting_is_shown_as_it_was_written() -> None:
    assert render("> " * 100 + "deep").startswith('<p class="plain">')
