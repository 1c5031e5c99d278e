"""Blocks of code: they grow, scroll sideways, are coloured and copied."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from hearth.ui import theme
from hearth.ui.chat.chat_style import ChatStyle
from hearth.ui.chat.code_block import MAX_LINE, CodeBlock
from hearth.ui.chat.markdown import Block, BlockKind


@pytest.fixture
def code(qtbot: QtBot) -> Iterator[CodeBlock]:
    window = QWidget()
    qtbot.addWidget(window)
    window.resize(600, 600)
    made = CodeBlock(ChatStyle(), window)
    made.setGeometry(0, 0, 600, 400)
    window.show()
    yield made
    window.close()


def colours_of(code: CodeBlock, line: int) -> list[str]:
    block = code.lines.document().findBlockByNumber(line)
    return [form.format.foreground().color().name() for form in block.layout().formats()]


def test_known_languages_are_coloured_and_the_colours_follow_the_growth(
    qtbot: QtBot, code: CodeBlock
) -> None:
    block = Block(BlockKind.CODE, language="python", code="import os\n")
    code.bind(block)
    qtbot.waitUntil(lambda: theme.theme().colours.code_keyword in colours_of(code, 0))
    for number in range(300):
        block.append_code(f"value = {number}  # comment\n")
        code.bind(block)
    qtbot.waitUntil(lambda: theme.theme().colours.code_comment in colours_of(code, 300))
    assert theme.theme().colours.code_number in colours_of(code, 150)
    assert theme.theme().colours.code_keyword in colours_of(code, 0)


def test_an_unknown_language_stays_plain(qtbot: QtBot, code: CodeBlock) -> None:
    code.bind(Block(BlockKind.CODE, language="no-such-language", code="import os"))
    qtbot.wait(120)
    assert colours_of(code, 0) == []
    assert code.lines.toPlainText() == "import os"


def test_copy_gives_the_code_and_says_so(qtbot: QtBot, code: CodeBlock) -> None:
    code.bind(Block(BlockKind.CODE, code="x" * (2 * MAX_LINE) + "\ny = 1"))
    qtbot.mouseClick(code.copy_button, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == "x" * (2 * MAX_LINE) + "\ny = 1"
    assert code.copy_button.text() == "Copied"
    qtbot.waitUntil(lambda: code.copy_button.text() == "Copy")


def test_a_wide_line_scrolls_and_does_not_wrap(qtbot: QtBot, code: CodeBlock) -> None:
    code.bind(Block(BlockKind.CODE, code="short\n" + "long " * 100))
    bar = code.lines.horizontalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 0)
    assert code.lines.document().blockCount() == 2
    assert code.height_for(600) == CodeBlock.estimate(Block(BlockKind.CODE, code="a\nb"), ChatStyle())


def test_lines_have_one_height_whatever_their_script(code: CodeBlock) -> None:
    style = ChatStyle()
    code.bind(Block(BlockKind.CODE, code="latin\n你好，世界\nשלום\n\U0001f525"))
    document = code.lines.document()
    layout = document.documentLayout()
    heights = {layout.blockBoundingRect(document.findBlockByNumber(n)).height() for n in range(4)}
    assert heights == {style.code_line}


def test_another_block_starts_afresh(code: CodeBlock) -> None:
    code.bind(Block(BlockKind.CODE, language="python", code="first"))
    code.bind(Block(BlockKind.CODE, language="js", code="second"))
    assert code.lines.toPlainText() == "second"
    assert code.lines.accessibleName() == "Code in js"


def test_its_ground_is_that_of_the_theme(code: CodeBlock) -> None:
    code.bind(Block(BlockKind.CODE, code="x"))
    assert code.grab().toImage().pixelColor(300, 3) == QColor(theme.theme().colours.code)
