"""The chat view: streaming, following, actions, editing, selection and the keyboard, on real widgets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QColor, QEnterEvent, QGuiApplication, QTextDocument
from PySide6.QtWidgets import QApplication, QLineEdit, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from hearth.conversations.message import (
    AnswerUsage,
    Message,
    MessageError,
    MessageStatus,
    Part,
    PartKind,
    Role,
)
from hearth.ui import theme
from hearth.ui.chat.bubble import Bubble
from hearth.ui.chat.chat_view import ChatView
from hearth.ui.chat.code_block import CodeBlock
from hearth.ui.chat.footer import Footer
from hearth.ui.chat.lines import FailedLine, QuietLine
from hearth.ui.chat.message_editor import MessageEditor
from hearth.ui.chat.text_block import TextBlock

USAGE = AnswerUsage(
    prompt_tokens=500,
    cached_tokens=0,
    generated_tokens=312,
    seconds_to_first_token=0.41,
    seconds=12.0,
    tokens_per_second=24.31,
    finish_reason="stop",
    context_tokens=812,
    context_length=4096,
)
W = TypeVar("W", bound=QWidget)
STREAMING = MessageStatus.STREAMING


def message(
    number: int, text: str, status: MessageStatus = MessageStatus.COMPLETE, **more: object
) -> Message:
    """Message `m<number>`; even ones are the user's."""
    return Message(
        id=f"m{number}",
        conversation_id="c",
        parent_id=None,
        role=Role.ASSISTANT if number % 2 else Role.USER,
        status=status,
        parts=[Part(PartKind.TEXT, text)] if text else [],
        created_at=datetime.now(UTC),
        **more,
    )


def conversation(count: int) -> list[Message]:
    return [
        message(n, f"Answer {n}.\n\n- one\n- two\n\nMore **words** here." if n % 2 else f"Question {n}?")
        for n in range(count)
    ]


@pytest.fixture
def view(qtbot: QtBot) -> ChatView:
    shown = ChatView()
    qtbot.addWidget(shown)
    shown.resize(900, 600)
    shown.show()
    shown.activateWindow()
    qtbot.waitUntil(shown.isActiveWindow)
    return shown


def seen(view: ChatView, kind: type[W]) -> list[W]:
    """The visible widgets of a kind, from the top."""
    found = [w for w in view.viewport().findChildren(kind) if w.isVisible() and w.y() > -5_000]
    return sorted(found, key=lambda w: w.mapTo(view, QPoint(0, 0)).y())


def texts(view: ChatView) -> str:
    return "\n".join(block.toPlainText() for block in seen(view, TextBlock))


def lines(view: ChatView) -> list[str]:
    return [line.text() for line in seen(view, QuietLine)]


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


@pytest.mark.parametrize(
    ("status", "finish", "start"),
    [
        (MessageStatus.COMPLETE, "stop", ""),
        (MessageStatus.COMPLETE, "length", "The answer reached its limit.  "),
        (MessageStatus.INTERRUPTED, "abort", "Stopped.  "),
    ],
)
def test_the_line_under_an_answer_says_how_it_ended_and_what_it_cost(
    view: ChatView, status: MessageStatus, finish: str, start: str
) -> None:
    view.set_messages([message(0, "Hi"), message(1, "", STREAMING)])
    view.append_text("m1", "Hello")
    usage = msgspec.structs.replace(USAGE, finish_reason=finish)
    view.replace_message(message(1, "Hello", status, usage=usage))
    shown = [label.text() for label in seen(view, Footer)[-1].findChildren(QWidget) if hasattr(label, "text")]
    assert f"{start}24.3 tokens/s · 0.4 s to first token · 812 of 4,096 tokens of context" in shown


def test_a_failed_answer_keeps_its_text_and_offers_retry(qtbot: QtBot, view: ChatView) -> None:
    view.set_messages([message(0, "Hi"), message(1, "", STREAMING)])
    view.append_text("m1", "Half an ans")
    error = MessageError("host_crashed", {"name": "stories", "reason": "signal 9"})
    view.replace_message(message(1, "Half an ans", MessageStatus.FAILED, error=error))
    failed = seen(view, FailedLine)[0]
    assert failed.text().startswith("The engine of stories stopped unexpectedly (signal 9).")
    assert "Half an ans" in texts(view)
    with qtbot.waitSignal(view.retry_requested) as retry:
        qtbot.mouseClick(failed.retry_button, Qt.MouseButton.LeftButton)
    assert retry.args == ["m1"]


def test_the_final_text_replaces_one_that_streamed_differently(view: ChatView) -> None:
    view.set_messages([message(0, "Hi"), message(1, "", STREAMING)])
    view.append_text("m1", "Something\n\nelse")
    view.flush()
    view.replace_message(message(1, "The whole answer."))
    assert "The whole answer." in texts(view)
    assert "else" not in texts(view)


def test_copy_gives_the_markdown_source(qtbot: QtBot, view: ChatView) -> None:
    source = "Some **bold** text\n\n```python\nx = 1\n```\n"
    view.set_messages([message(0, "Hi"), message(1, source)])
    qtbot.mouseClick(seen(view, Footer)[-1].copy_button, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == source
    assert seen(view, Footer)[-1].copy_button.accessibleName() == "Copied"


def test_actions_name_their_message(qtbot: QtBot, view: ChatView) -> None:
    view.set_messages([message(0, "Hi", version=1, versions=2), message(1, "Hello", version=2, versions=3)])
    question, answer = seen(view, Footer)
    with qtbot.waitSignal(view.regenerate_requested) as regenerate:
        qtbot.mouseClick(answer.regenerate_button, Qt.MouseButton.LeftButton)
    assert regenerate.args == ["m1"]
    with qtbot.waitSignal(view.version_requested) as step:
        qtbot.mouseClick(answer.previous_button, Qt.MouseButton.LeftButton)
    assert step.args == ["m1", -1]
    with qtbot.waitSignal(view.version_requested) as step:
        qtbot.mouseClick(question.next_button, Qt.MouseButton.LeftButton)
    assert step.args == ["m0", 1]
    assert not question.previous_button.isEnabled()
    assert not answer.edit_button.isVisible()
    assert not question.regenerate_button.isVisible()


def test_actions_are_drawn_where_the_mouse_is(view: ChatView) -> None:
    view.set_messages(conversation(4))
    footer = seen(view, Footer)[0]
    assert not footer.copy_button.shown
    QApplication.sendEvent(seen(view, Bubble)[0], QEnterEvent(QPointF(1, 1), QPointF(1, 1), QPointF(1, 1)))
    assert footer.copy_button.shown
    QApplication.sendEvent(view.viewport(), QEvent(QEvent.Type.Leave))
    assert not footer.copy_button.shown
    assert seen(view, Footer)[-1].copy_button.shown


def test_a_question_is_edited_in_its_place(qtbot: QtBot, view: ChatView) -> None:
    view.set_messages(conversation(4))
    qtbot.mouseClick(seen(view, Footer)[0].edit_button, Qt.MouseButton.LeftButton)
    editor = seen(view, MessageEditor)[0]
    assert editor.edit.hasFocus()
    assert editor.edit.text == "Question 0?"
    height = editor.height()
    qtbot.keyClicks(editor.edit, " Really?")
    qtbot.keyClick(editor.edit, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClicks(editor.edit, "Yes")
    assert editor.height() > height
    with qtbot.waitSignal(view.edit_requested) as edit:
        qtbot.keyClick(editor.edit, Qt.Key.Key_Return)
    assert edit.args == ["m0", "Question 0? Really?\nYes"]
    assert seen(view, MessageEditor) == []


@pytest.mark.parametrize("way", ["escape", "cancel"])
def test_an_edit_can_be_given_up(qtbot: QtBot, view: ChatView, way: str) -> None:
    view.set_messages(conversation(4))
    view.edit_message("m2")
    editor = seen(view, MessageEditor)[0]
    qtbot.keyClicks(editor.edit, "x")
    with qtbot.assertNotEmitted(view.edit_requested):
        if way == "escape":
            qtbot.keyClick(editor.edit, Qt.Key.Key_Escape)
        else:
            qtbot.mouseClick(editor.cancel_button, Qt.MouseButton.LeftButton)
    assert seen(view, MessageEditor) == []
    assert "Question 2?" in texts(view)


def test_an_edit_survives_scrolling_away_and_a_change_of_theme(qtbot: QtBot, view: ChatView) -> None:
    view.set_messages(conversation(100))
    view.edit_message("m98")
    qtbot.keyClicks(seen(view, MessageEditor)[0].edit, "!")
    view.verticalScrollBar().setValue(0)
    assert seen(view, MessageEditor) == []
    view.scroll_to_end()
    assert seen(view, MessageEditor)[0].edit.text == "Question 98?!"
    theme.theme().apply("dark")
    assert seen(view, MessageEditor)[0].edit.text == "Question 98?!"


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


def test_links_are_only_reported_and_only_when_clicked(qtbot: QtBot, view: ChatView) -> None:
    view.set_messages(
        [message(0, "Hi"), message(1, "[here](https://example.org/a) and [no](file:///etc/passwd)")]
    )
    block = seen(view, TextBlock)[-1]
    assert block.toHtml().count("href=") == 1
    with qtbot.waitSignal(view.link_activated) as link:
        qtbot.mouseClick(block.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    assert link.args == ["https://example.org/a"]
    assert "here" in texts(view)


def test_nothing_is_loaded_for_a_text(view: ChatView) -> None:
    view.set_messages(
        [message(0, "Hi"), message(1, "![cat](https://example.org/cat.png) <img src='file:///x.png'>")]
    )
    block = seen(view, TextBlock)[-1]
    assert block.toPlainText() == "cat <img src='file:///x.png'>"
    assert block.loadResource(QTextDocument.ResourceType.ImageResource.value, QUrl("file:///x.png")) is None


def test_a_selection_reaches_over_blocks(qtbot: QtBot, view: ChatView) -> None:
    view.set_messages([message(0, "Hi"), message(1, "First one.\n\n```\ncode\n```\n\nLast one.")])
    blocks = [block for block in seen(view, TextBlock) if "one." in block.toPlainText()]
    first, last = blocks
    end = first.viewport().mapFromGlobal(last.viewport().mapToGlobal(QPoint(last.width() - 2, 8)))
    qtbot.mousePress(first.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(0, 8))
    for step in (QPoint(30, 12), QPoint(60, end.y() // 2), end):
        qtbot.mouseMove(first.viewport(), step)
    qtbot.mouseRelease(first.viewport(), Qt.MouseButton.LeftButton, pos=end)
    qtbot.keyClick(first, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "First one.\n\ncode\n\nLast one."


def test_select_all_takes_the_message_with_what_is_out_of_view(qtbot: QtBot, view: ChatView) -> None:
    view.set_messages([message(0, "Hi"), message(1, "".join(f"Paragraph {n}.\n\n" for n in range(200)))])
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    copied = QGuiApplication.clipboard().text()
    assert copied.startswith("Paragraph 0.\n\nParagraph 1.")
    assert copied.endswith("Paragraph 199.")


def test_keys_scroll(qtbot: QtBot, view: ChatView) -> None:
    view.set_messages(conversation(60))
    view.setFocus()
    bar = view.verticalScrollBar()
    qtbot.keyClick(view, Qt.Key.Key_Home)
    assert bar.value() == 0
    qtbot.keyClick(view, Qt.Key.Key_PageDown)
    assert 0 < bar.value() < 800
    qtbot.keyClick(view, Qt.Key.Key_End)
    assert view.following


def test_tab_reaches_every_control_and_leads_out(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    view, below = ChatView(), QLineEdit()
    column = QVBoxLayout(window)
    column.addWidget(view)
    column.addWidget(below)
    window.resize(900, 500)
    window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    view.set_messages([message(n, "[a](http://b.c)\n\n```\ncode\n```" if n % 2 else "Hi") for n in range(12)])
    qtbot.keyClick(view, Qt.Key.Key_Home)
    view.setFocus()
    names: list[str] = []
    for _ in range(100):
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        widget = QApplication.focusWidget()
        if widget is below:
            break
        assert widget is not None
        names.append(widget.accessibleName())
        assert view.isAncestorOf(widget)
    assert QApplication.focusWidget() is below
    assert names.count("Copy code") == 6
    assert names.count("Copy message") == 12
    assert names.count("Answer again") == names.count("Edit message") == 6
    for _ in range(100):
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab, Qt.KeyboardModifier.ShiftModifier)
        if QApplication.focusWidget() is view:
            break
    assert view.verticalScrollBar().value() < 200


def test_every_control_has_a_name(view: ChatView) -> None:
    error = MessageError("host_crashed", {"name": "a", "reason": "b"})
    view.set_messages(
        [
            message(0, "Hi", versions=2),
            message(1, "```\ncode\n```", MessageStatus.FAILED, error=error, versions=2),
        ]
    )
    view.edit_message("m0")
    for widget in view.findChildren(QWidget):
        if (
            widget.isVisible()
            and widget.focusPolicy() != Qt.FocusPolicy.NoFocus
            and hasattr(widget, "clicked")
        ):
            assert widget.accessibleName() or widget.text()


def test_light_and_dark(view: ChatView) -> None:
    view.set_messages(conversation(4))

    def ground() -> QColor:
        return view.grab().toImage().pixelColor(3, view.height() // 2)

    theme.theme().apply("light")
    assert ground() == QColor(theme.LIGHT.window)
    theme.theme().apply("dark")
    assert ground() == QColor(theme.DARK.window)


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
