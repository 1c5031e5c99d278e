"""Where the keyboard is after each act, and what the keys of the menus do while it is in the message field."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLineEdit

from hearth.conversations.message import Part, PartKind, Role
from hearth.ui.chat.message_editor import MessageEditor

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def three(hand: Any) -> Any:
    """A window with the conversations C, B and A, from the top; C is on view, and holds a question."""
    store = hand.window.hearth.conversations
    for title in "ABC":
        made = store.create(title=title)
    store.add_message(made.id, parent_id=None, role=Role.USER, parts=[Part(PartKind.TEXT, "Who?")])
    hand.wait(lambda: hand.conversations() == ["C", "B", "A"])
    hand.window.session.open(made.id)
    hand.wait(lambda: shown(hand) == "C" and hand.window.session.messages)
    hand.activate()
    hand.window.composer.focus()
    return hand


def shown(hand: Any) -> str:
    conversation = hand.window.session.conversation
    return conversation.title if conversation else ""


def click_row(hand: Any, row: int) -> None:
    view = hand.window.list.view
    place = view.visualRect(hand.window.list.model.index(row)).center()
    hand.qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)


def test_arrow_keys_walk_through_the_list_and_enter_or_a_click_leads_to_the_field(three: Any) -> None:
    hand, view, field = three, three.window.list.view, three.window.composer.edit
    view.setFocus(Qt.FocusReason.TabFocusReason)
    for title in "BA":
        hand.key(Qt.Key.Key_Down)
        hand.wait(lambda title=title: shown(hand) == title)
        assert view.hasFocus()
    hand.key(Qt.Key.Key_Return)
    assert field.hasFocus()
    view.setFocus(Qt.FocusReason.TabFocusReason)
    click_row(hand, 0)
    hand.wait(lambda: shown(hand) == "C")
    assert field.hasFocus()


def test_undo_in_the_untouched_field_brings_a_conversation_back(three: Any) -> None:
    hand = three
    hand.window.actions_.delete.trigger()
    hand.wait(lambda: hand.conversations() == ["B", "A"] and shown(hand) == "B")
    hand.wait(hand.window.actions_.undo_delete.isEnabled)
    field = hand.window.composer.edit
    hand.wait(field.hasFocus)
    hand.type("x")
    hand.key(Qt.Key.Key_Z, CTRL)
    assert field.text == ""
    assert hand.conversations() == ["B", "A"]
    hand.window.composer.set_text("")
    hand.key(Qt.Key.Key_Z, CTRL)
    hand.wait(lambda: hand.conversations() == ["C", "B", "A"] and shown(hand) == "C")


def test_a_word_is_deleted_by_the_key_that_deletes_words_and_a_conversation_by_its_own(three: Any) -> None:
    hand, field = three, three.window.composer.edit
    hand.type("one two")
    hand.key(Qt.Key.Key_Backspace, CTRL)
    assert field.text == "one "
    assert hand.window.toast.isHidden()
    hand.key(Qt.Key.Key_Backspace, CTRL | SHIFT)
    hand.wait(lambda: hand.conversations() == ["B", "A"])


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Escape])
def test_a_new_title_leads_back_to_the_field(three: Any, key: Qt.Key) -> None:
    hand, view = three, three.window.list.view
    hand.key(Qt.Key.Key_F2)
    editor = view.findChild(QLineEdit)
    hand.wait(editor.hasFocus)
    hand.key(key, widget=editor)
    hand.wait(hand.window.composer.edit.hasFocus)


def test_a_field_that_is_clicked_while_a_title_is_edited_keeps_the_keyboard(three: Any) -> None:
    hand = three
    hand.window.actions_.toggle_panel.setChecked(True)
    hand.key(Qt.Key.Key_F2)
    hand.wait(lambda: isinstance(QApplication.focusWidget(), QLineEdit))
    hand.qtbot.mouseClick(hand.window.panel.prompt.viewport(), Qt.MouseButton.LeftButton)
    hand.wait(lambda: hand.window.list.view.findChild(QLineEdit) is None)
    assert hand.window.panel.prompt.hasFocus()


def test_a_question_that_is_left_as_it_was_leads_back_to_the_field(three: Any) -> None:
    hand = three
    hand.key(Qt.Key.Key_Up)
    editor = hand.window.view.findChild(MessageEditor)
    hand.wait(editor.edit.hasFocus)
    hand.key(Qt.Key.Key_Escape)
    hand.wait(hand.window.composer.edit.hasFocus)


@pytest.mark.parametrize("other", ["help", "models"])
def test_quit_quits_from_the_windows_beside_too(hand: Any, other: str) -> None:
    actions = hand.window.actions_
    {"help": actions.help, "models": actions.manage_models}[other].trigger()
    hand.wait(lambda: getattr(hand.window.side_windows, other).isVisible())
    widget = getattr(hand.window.side_windows, other)
    widget.activateWindow()
    hand.wait(widget.isActiveWindow)
    hand.key(Qt.Key.Key_Q, CTRL, widget=widget)
    hand.wait(hand.window.is_closed)
