"""The chat view: any length, streaming, following, and what it looks like, on real widgets."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from chat_rows import STREAMING, conversation, lines, message, seen, texts
from hearth.ui import theme
from hearth.ui.chat.bubble import Bubble
from hearth.ui.chat.chat_view import ChatView
from hearth.ui.chat.code_block import CodeBlock
from hearth.ui.chat.lines import QuietLine
from hearth.ui.chat.text_block import TextBlock
from hearth.ui.colours import DARK, LIGHT


def test_no_messages_show_nothing(view: ChatView) -> None:
    view.set_messages([])
    assert view.viewport().findChildren(QWidget) == []
    assert view.verticalScrollBar().maximum() == 0


def test_opening_a_conversation_shows_its_end_with_few_widgets(view: ChatView) -> None:
    view.set_messages(conversation(10_000))
    assert "Answer 9999." in texts(view)
    assert view.verticalScrollBar().value() == view.verticalScrollBar().maximum()
    assert len(view.viewport().findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly)) < 80


def test_scrolling_through_everything_reuses_widgets(view: ChatView) -> None:
    view.set_messages(conversation(400))
    bar = view.verticalScrollBar()
    while bar.value() > 0:
        before = bar.value()
        bar.setValue(before - 500)
        assert bar.value() < before
    assert "Question 0?" in texts(view)
    assert len(view.viewport().findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly)) < 250


def test_what_the_reader_looks_at_stays_while_heights_above_become_exact(view: ChatView) -> None:
    view.set_messages(conversation(400))
    bar = view.verticalScrollBar()
    bar.setValue(bar.maximum() // 2)
    top = next(block for block in seen(view, TextBlock) if block.y() > 100)
    text, y = top.toPlainText(), top.y()
    bar.setValue(bar.value() - 40)
    assert next(b for b in seen(view, TextBlock) if b.toPlainText() == text).y() == y + 40


def test_an_answer_grows_and_the_view_follows(view: ChatView) -> None:
    view.set_messages(conversation(20))
    view.append_message(message(20, "And now?"))
    view.append_message(message(21, "", STREAMING))
    for number in range(100):
        view.append_text("m21", f"Paragraph {number}.\n\n")
    view.flush()
    assert "Paragraph 99." in texts(view)
    assert view.following
    assert view.verticalScrollBar().value() == view.verticalScrollBar().maximum()


def test_scrolling_up_stops_following_and_the_button_goes_back(qtbot: QtBot, view: ChatView) -> None:
    view.set_messages([*conversation(20), message(21, "", STREAMING)])
    bar = view.verticalScrollBar()
    bar.setValue(bar.maximum() - 300)
    place = bar.value()
    view.append_text("m21", "More.\n\n" * 50)
    view.flush()
    assert bar.value() == place
    assert not view.following
    jump = next(b for b in view.findChildren(QWidget) if b.accessibleName() == "Jump to the end")
    assert jump.isVisible()
    qtbot.mouseClick(jump, Qt.MouseButton.LeftButton)
    assert view.following
    assert bar.value() == bar.maximum()
    assert not jump.isVisible()


def test_finished_blocks_keep_their_widgets_while_the_answer_grows(view: ChatView) -> None:
    view.set_messages([message(0, "Hi"), message(1, "", STREAMING)])
    view.append_text("m1", "First paragraph.\n\nSecond")
    view.flush()
    first = seen(view, TextBlock)[1]
    document, changes = first.document(), []
    document.contentsChanged.connect(lambda: changes.append(1))
    for word in ("half,", " third half.", "\n\n", "Another"):
        view.append_text("m1", word)
        view.flush()
    assert first.toPlainText() == "First paragraph."
    assert changes == []


def test_progress_is_shown_until_the_first_text(view: ChatView) -> None:
    view.set_messages([message(0, "Hi"), message(1, "", STREAMING)])
    view.set_prompt_progress("m1", 512, 2000)
    assert lines(view) == ["Reading the prompt… 512 of 2,000 tokens"]
    view.append_text("m1", "There")
    view.flush()
    assert lines(view) == []
    assert "There" in texts(view)


def test_a_notice_stands_above_the_answer(view: ChatView) -> None:
    view.set_messages([message(0, "Hi"), message(1, "Answer.")])
    view.set_notice("m1", "3 older turns did not fit and were left out.")
    assert lines(view) == ["3 older turns did not fit and were left out."]
    assert seen(view, QuietLine)[0].y() < seen(view, TextBlock)[-1].y()
    view.set_notice("m1", "")
    assert lines(view) == []


def test_the_final_text_replaces_one_that_streamed_differently(view: ChatView) -> None:
    view.set_messages([message(0, "Hi"), message(1, "", STREAMING)])
    view.append_text("m1", "Something\n\nelse")
    view.flush()
    view.replace_message(message(1, "The whole answer."))
    assert "The whole answer." in texts(view)
    assert "else" not in texts(view)


def test_another_version_keeps_the_reader_in_the_place(view: ChatView) -> None:
    messages = conversation(40)
    view.set_messages(messages)
    bar = view.verticalScrollBar()
    bar.setValue(bar.maximum() // 2)
    bubble = seen(view, Bubble)[1]
    text, y = bubble.text_block.toPlainText(), bubble.y()
    view.set_messages([*messages[:38], message(138, "Another question"), message(139, "Another answer")])
    again = next(b for b in seen(view, Bubble) if b.text_block.toPlainText() == text)
    assert again.y() == y
    assert view.message_ids()[-1] == "m139"


def test_another_conversation_opens_at_its_end(view: ChatView) -> None:
    view.set_messages(conversation(40))
    view.verticalScrollBar().setValue(0)
    other = [msgspec.structs.replace(m, id=f"x{m.id}", conversation_id="d") for m in conversation(40)]
    view.set_messages(other)
    assert "Answer 39." in texts(view)
    assert view.following


def test_light_and_dark(view: ChatView) -> None:
    view.set_messages(conversation(4))

    def ground() -> QColor:
        return view.grab().toImage().pixelColor(3, view.height() // 2)

    theme.theme().apply("light")
    assert ground() == QColor(LIGHT.window)
    theme.theme().apply("dark")
    assert ground() == QColor(DARK.window)


def test_a_larger_font_makes_taller_rows(view: ChatView) -> None:
    view.set_messages(conversation(4))
    before = seen(view, Bubble)[0].height()
    view.set_font_scale(1.6)
    assert seen(view, Bubble)[0].height() > before * 1.2


def test_a_narrow_window_wraps_the_text_and_a_wide_one_keeps_the_column(qtbot: QtBot, view: ChatView) -> None:
    view.set_messages([message(0, "Hi"), message(1, "word " * 100)])
    wide = seen(view, TextBlock)[-1].height()
    view.resize(400, 600)
    qtbot.waitUntil(lambda: seen(view, TextBlock)[-1].height() > wide)
    view.resize(1600, 600)
    qtbot.waitUntil(lambda: seen(view, TextBlock)[-1].width() == theme.Space.COLUMN)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ">" * 1000 + " deep",
        lambda: "\n".join("  " * depth + "- a" for depth in range(1000)),
        lambda: "x" * 1_000_000,
        lambda: "```\n" + "y" * 1_000_000,
        lambda: "```python\n" + "z = 1\n" * 50_000 + "```",
        lambda: "|" + "a|" * 3_000 + "\n|" + "-|" * 3_000 + "\n" + ("|" + "b|" * 100 + "\n") * 30,
        lambda: "\u200b" * 50_000 + "\u202e" * 1_000 + "שלום עולם",
        lambda: "\n" * 100_000,
    ],
    ids=["quotes", "lists", "line", "code line", "code lines", "table", "invisible", "empty lines"],
)
def test_hostile_answers_are_shown(view: ChatView, make: Callable[[], str]) -> None:
    text = make()
    view.set_messages([message(0, "Hi"), message(1, "", STREAMING)])
    view.append_text("m1", text[: len(text) // 2])
    view.flush()
    view.append_text("m1", text[len(text) // 2 :])
    view.flush()
    view.replace_message(message(1, text))
    view.verticalScrollBar().setValue(0)
    view.scroll_to_end()
    assert not view.grab().isNull()


def test_a_long_question_is_shown_in_parts(view: ChatView) -> None:
    text = "\n".join(f"Line {n} of a long question." for n in range(2_000))
    view.set_messages([message(0, text)])
    assert "Line 1999 of" in texts(view)
    view.verticalScrollBar().setValue(0)
    assert "Line 0 of" in texts(view)


def test_only_the_visible_lines_of_long_code_are_laid_out(view: ChatView) -> None:
    view.set_messages([message(0, "Hi"), message(1, "```\n" + "x = 1\n" * 20_000 + "```")])
    bar = view.verticalScrollBar()
    assert bar.maximum() > 200_000
    for place in (bar.maximum() // 2, bar.maximum(), 500):
        bar.setValue(place)
        code = next(block for block in view.viewport().findChildren(CodeBlock) if block.isVisible())
        assert code.lines.height() < 1_500
        top = code.lines.mapTo(view.viewport(), QPoint(0, 0)).y()
        assert top <= code.mapTo(view.viewport(), QPoint(0, 40)).y() or top <= 0
