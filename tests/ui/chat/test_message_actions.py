"""The line under a message: what an answer cost, copying, versions, answering again, and editing in place."""

from __future__ import annotations

import msgspec
import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QEnterEvent, QGuiApplication
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from chat_rows import STREAMING, conversation, message, seen, texts
from hearth.conversations.message import (
    AnswerUsage,
    MessageError,
    MessageStatus,
)
from hearth.ui import theme
from hearth.ui.chat.bubble import Bubble
from hearth.ui.chat.chat_view import ChatView
from hearth.ui.chat.footer import Footer
from hearth.ui.chat.lines import FailedLine
from hearth.ui.chat.message_editor import MessageEditor

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
