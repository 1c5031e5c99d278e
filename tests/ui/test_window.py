"""A story by clicks and keys, and the conversations that come of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget

from hearth.conversations.message import MessageStatus, Role
from hearth.model_folder.manifest import RemoteModel
from hearth.models.registry import ModelRegistry
from hearth.services.hearth import Hearth
from hearth.ui.chat.message_editor import MessageEditor
from hearth.ui.worker_thread import qt_thread

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def select(hand: Any, row: int) -> None:
    """Click a row of the conversation list."""
    view = hand.window.list.view
    hand.qtbot.mouseClick(
        view.viewport(),
        Qt.MouseButton.LeftButton,
        pos=view.visualRect(hand.window.list.model.index(row)).center(),
    )


def on_view(hand: Any, title: str) -> bool:
    conversation = hand.window.session.conversation
    return conversation is not None and conversation.title == title


def ask_two(hand: Any) -> None:
    """Two conversations, each with one short answer; the second is on view and on top."""
    hand.set_parameter("max_tokens", "4")
    hand.ask("A dog")
    hand.wait_answer()
    hand.window.actions_.new_chat.trigger()
    hand.set_parameter("max_tokens", "4")
    hand.ask("A cat")
    hand.wait_answer()
    hand.wait(lambda: hand.conversations() == ["A cat", "A dog"])


@pytest.fixture(scope="module")
def golden(shared_data: Path) -> str:
    """The first words of the model's greedy story."""
    text: str = json.loads((shared_data / "models/stories260k/golden.json").read_text())["text"]
    return text.replace("<0x0A>", "\n")


def test_an_empty_home_leads_to_the_import(hand: Any) -> None:
    window = hand.window
    assert window.middle.currentWidget() is window.empty
    assert window.empty.second.text() == "Import a Model Folder…"
    assert not window.composer.button.isEnabled()
    hand.click(window.empty.second)
    hand.wait(lambda: window.findChild(QApplication.activeModalWidget().__class__))
    QApplication.activeModalWidget().reject()


def test_a_typed_beginning_streams_the_golden_story(hand_with_model: Any, golden: str) -> None:
    hand = hand_with_model
    hand.set_parameter("temperature", "0")
    hand.ask("Once upon a time")
    hand.wait_text()
    answer = hand.wait_answer()
    assert answer.status is MessageStatus.COMPLETE
    assert ("Once upon a time" + answer.text).startswith(golden.strip())
    assert answer.usage is not None
    assert answer.usage.context_length == 512
    assert hand.conversations() == ["Once upon a time"]
    assert hand.window.windowTitle() == "Once upon a time – Hearth"
    stored = hand.window.hearth.conversations.branch(answer.conversation_id)
    assert [message.text for message in stored] == ["Once upon a time", answer.text]


def test_enter_loads_a_model_that_is_not_loaded(hand_with_model: Any) -> None:
    hand = hand_with_model
    hand.click(hand.window.picker)
    row = hand.window.picker.popup.rows["stories"]
    assert row.action_button.text() == "Unload"
    hand.click(row.action_button)
    hand.wait(lambda: row.action_button.text() == "Load")
    hand.window.picker.popup.hide()
    hand.set_parameter("max_tokens", "4")
    hand.ask("Once upon a time")
    assert hand.wait_answer().status is MessageStatus.COMPLETE


def test_a_model_is_loaded_from_the_list(hand_with_model: Any) -> None:
    hand = hand_with_model
    hand.window.hearth.pool.unload("stories")
    hand.wait(lambda: hand.window.picker.status("stories").state == "unloaded")
    hand.click(hand.window.picker)
    hand.click(hand.window.picker.popup.rows["stories"].action_button)
    hand.window.picker.popup.hide()
    hand.wait_loaded("stories")


@pytest.mark.parametrize("place", ["top", "bottom"])
def test_forty_models_stay_on_the_screen_and_in_reach_of_the_keyboard(
    open_window: Callable[..., Any], place: str
) -> None:
    registry = ModelRegistry()
    for number in range(40):
        registry.add_remote(f"model-{number:02}", RemoteModel(address="http://127.0.0.1:9", model="m"))
    hand = open_window()
    window, picker, popup = hand.window, hand.window.picker, hand.window.picker.popup
    screen = window.screen().availableGeometry()
    window.move(0, 0 if place == "top" else screen.bottom() - 200)
    window.set_text_size(1.5)
    picker.setFocus()
    hand.key(Qt.Key.Key_Space, widget=picker)
    assert popup.isVisible()
    assert len(popup.rows) == 40
    assert screen.contains(popup.geometry())
    rows = list(popup.rows.values())

    def can_be_seen(widget: QWidget) -> bool:
        return not widget.visibleRegion().isEmpty() and widget.visibleRegion().boundingRect() == widget.rect()

    for _ in range(20):  # each row has two buttons
        hand.key(Qt.Key.Key_Down)
    assert rows[10].name_button.hasFocus()
    assert can_be_seen(rows[10].name_button)
    hand.key(Qt.Key.Key_End)
    assert rows[-1].name_button.hasFocus()
    assert can_be_seen(rows[-1])
    assert all(
        can_be_seen(button)
        for button in (popup.add_button, popup.import_button, popup.file_button, popup.manage_button)
    )
    hand.key(Qt.Key.Key_Space)
    hand.wait(lambda: window.models.current == "model-39")
    hand.key(Qt.Key.Key_Space, widget=picker)
    assert popup.rows["model-39"].name_button.hasFocus()
    assert can_be_seen(popup.rows["model-39"])
    hand.key(Qt.Key.Key_Home)
    assert can_be_seen(popup.rows["model-00"])
    popup.hide()


def test_stop_keeps_what_there_is(hand_with_model: Any) -> None:
    hand = hand_with_model
    hand.ask("Once upon a time")
    hand.wait_text()
    with hand.paused_host():
        hand.key(Qt.Key.Key_Escape, widget=hand.window.composer.edit)
    answer = hand.wait_answer()
    assert answer.status is MessageStatus.INTERRUPTED
    assert answer.text
    assert answer.usage.generated_tokens < 500
    assert not hand.window.session.is_busy()


def test_the_stop_button_stops(hand_with_model: Any) -> None:
    hand = hand_with_model
    hand.ask("Once upon a time")
    hand.wait_text()
    with hand.paused_host():
        hand.click(hand.window.composer.button)
    assert hand.wait_answer().status is MessageStatus.INTERRUPTED


def test_regenerate_makes_another_version(hand_with_model: Any) -> None:
    hand = hand_with_model
    hand.set_parameter("max_tokens", "5")
    hand.ask("Once upon a time")
    first = hand.wait_answer()
    hand.key(Qt.Key.Key_R, CTRL)
    second = hand.wait_answer(after=first.id)
    assert (second.version, second.versions) == (2, 2)
    hand.click(hand.chat_button("Previous version"))
    hand.wait(lambda: hand.answer().id == first.id)
    assert hand.answer().text == first.text
    assert hand.answer().versions == 2
    hand.click(hand.chat_button("Next version"))
    hand.wait(lambda: hand.answer().id == second.id)
    hand.click(hand.chat_button("Answer again"))
    assert hand.wait_answer(after=second.id).version == 3


def test_an_edited_question_is_answered_beside_the_old_one(hand_with_model: Any) -> None:
    hand = hand_with_model
    hand.set_parameter("max_tokens", "5")
    hand.ask("Once upon a time")
    first = hand.wait_answer()
    hand.activate()
    hand.window.composer.focus()
    hand.key(Qt.Key.Key_Up)
    editor = hand.window.view.findChild(MessageEditor)
    hand.wait(editor.edit.hasFocus)
    editor.edit.selectAll()
    hand.type("There was a dog")
    hand.click(editor.send_button)
    answer = hand.wait_answer(after=first.id)
    assert [message.text for message in hand.window.session.messages] == ["There was a dog", answer.text]
    hand.click(hand.chat_button("Previous version"))
    hand.wait(lambda: hand.answer().id == first.id)
    assert hand.window.session.last(Role.USER).text == "Once upon a time"


def test_a_conversation_is_renamed_in_place(hand_with_model: Any) -> None:
    hand = hand_with_model
    ask_two(hand)
    hand.activate()
    select(hand, 1)
    hand.wait(lambda: on_view(hand, "A dog"))
    hand.key(Qt.Key.Key_F2, widget=hand.window.list.view)
    editor = hand.window.list.view.findChild(QLineEdit)
    editor.selectAll()
    hand.qtbot.keyClicks(editor, "My dog")
    hand.key(Qt.Key.Key_Return, widget=editor)
    hand.wait(lambda: "My dog" in [row.title for row in hand.window.hearth.conversations.list()])
    hand.wait(lambda: "My dog" in hand.conversations())
    hand.wait(lambda: hand.window.windowTitle() == "My dog – Hearth")


def test_a_deleted_conversation_comes_back(hand_with_model: Any) -> None:
    hand = hand_with_model
    ask_two(hand)
    hand.activate()
    hand.window.list.view.setFocus()
    hand.key(Qt.Key.Key_Delete, widget=hand.window.list.view)
    hand.wait(lambda: hand.conversations() == ["A dog"])
    hand.wait(lambda: on_view(hand, "A dog"))
    hand.wait(hand.window.toast.isVisible)
    assert hand.window.toast.text() == "“A cat” was deleted."
    hand.click(hand.window.toast.button)
    hand.wait(lambda: hand.conversations() == ["A cat", "A dog"])
    hand.wait(lambda: on_view(hand, "A cat"))
    assert not hand.window.actions_.undo_delete.isEnabled()


def test_the_last_conversation_deleted_leaves_a_new_chat(hand_with_model: Any) -> None:
    hand = hand_with_model
    hand.set_parameter("max_tokens", "4")
    hand.ask("A dog")
    hand.wait_answer()
    hand.window.actions_.delete.trigger()
    hand.wait(lambda: hand.window.session.conversation is None and not hand.conversations())
    assert hand.window.middle.currentWidget() is hand.window.empty
    hand.wait(hand.window.toast.isVisible)


def test_arrow_keys_move_between_conversations(hand_with_model: Any) -> None:
    hand = hand_with_model
    ask_two(hand)
    hand.activate()
    hand.window.list.view.setFocus()
    hand.key(Qt.Key.Key_Down, widget=hand.window.list.view)
    hand.wait(lambda: on_view(hand, "A dog"))
    hand.key(Qt.Key.Key_Up, widget=hand.window.list.view)
    hand.wait(lambda: on_view(hand, "A cat"))


def test_a_second_conversation_while_the_first_streams(hand_with_model: Any) -> None:
    hand = hand_with_model
    window = hand.window
    hand.ask("Once upon a time")
    first = hand.wait_text()
    with hand.paused_host():
        hand.activate()
        hand.key(Qt.Key.Key_N, CTRL, widget=window.composer.edit)
        assert window.session.messages == []
        hand.ask("There was a cat")
        hand.wait(hand.answer)
        second = hand.answer()
        store = window.hearth.conversations
        assert store.message(first.id).status is MessageStatus.STREAMING
        assert second.status is MessageStatus.STREAMING
        assert second.conversation_id != first.conversation_id
    assert hand.wait_answer().id == second.id
    hand.wait(lambda: store.message(first.id).status is MessageStatus.COMPLETE)
    select(hand, hand.conversations().index("Once upon a time"))
    hand.wait(lambda: on_view(hand, "Once upon a time"))
    assert hand.wait_answer().id == first.id
    assert hand.answer().text == store.message(first.id).text


def test_a_streaming_conversation_that_is_opened_again_misses_nothing(hand_with_model: Any) -> None:
    hand = hand_with_model
    window = hand.window
    hand.ask("Once upon a time")
    answer = hand.wait_text()
    with hand.paused_host():
        window.actions_.new_chat.trigger()
        select(hand, 0)
        hand.wait(lambda: on_view(hand, "Once upon a time"))
        assert hand.answer().text
        assert hand.answer().text in window.session.live_text()
        assert window.session.is_busy()
    assert hand.wait_answer().id == answer.id


def test_a_restart_remembers(open_window: Callable[[], Any], stories_float32: Path) -> None:
    hand = open_window()
    hand.import_model(stories_float32)
    ask_two(hand)
    hand.activate()
    select(hand, 1)
    hand.wait(lambda: on_view(hand, "A dog"))
    hand.window.resize(780, 500)
    hand.window.actions_.zoom_in.trigger()
    hand.window.actions_.toggle_sidebar.trigger()
    hand.close()

    again = open_window()
    again.wait(lambda: on_view(again, "A dog"))
    window = again.window
    assert window.models.current == "stories"
    assert (window.width(), window.height()) == (780, 500)
    assert window.state.font_scale == 1.1
    assert not window.sidebar.isVisible()
    assert window.panel.isVisible()
    assert window.panel.rows["max_tokens"].value() == 4


def test_a_conversation_of_another_process_appears(hand: Any) -> None:
    other = Hearth.open(thread_factory=qt_thread)
    try:
        other.conversations.create(title="From outside")
        hand.wait(lambda: hand.conversations() == ["From outside"])
    finally:
        other.close()


def test_closing_while_an_answer_streams_stores_it(
    open_window: Callable[[], Any], stories_float32: Path
) -> None:
    hand = open_window()
    hand.import_model(stories_float32)
    hand.ask("Once upon a time")
    answer = hand.wait_text()
    with hand.paused_host():
        hand.window.close()
        assert not hand.window.isVisible()
    hand.wait(hand.window.is_closed)
    again = open_window()
    again.wait(lambda: again.answer() is not None)
    assert again.answer().id == answer.id
    assert again.answer().status is MessageStatus.INTERRUPTED
    assert again.answer().text


def test_every_control_has_a_name_and_can_be_reached(hand_with_model: Any) -> None:
    window = hand_with_model.window
    window.actions_.toggle_panel.setChecked(True)
    hand_with_model.activate()
    window.composer.focus()
    reached = []
    widget = QApplication.focusWidget()
    while widget not in reached:
        reached.append(widget)
        hand_with_model.key(Qt.Key.Key_Tab, widget=widget)
        widget = QApplication.focusWidget()
    wanted = [
        window.composer.edit,
        window.picker,
        window.new_chat_button,
        window.panel.prompt,
        window.panel.seed,
    ]
    wanted += [row.field for row in window.panel.rows.values()]
    wanted += [window.sidebar_button, window.panel_button]
    assert [item.accessibleName() for item in wanted if item not in reached] == []
    nameless = [item for item in reached if not (item.accessibleName() or getattr(item, "text", str)())]
    assert nameless == []


def test_full_screen_leads_back_to_a_window_that_fills_the_screen(hand: Any) -> None:
    window = hand.window
    window.showMaximized()
    window.actions_.full_screen.trigger()
    assert window.isFullScreen()
    window.actions_.full_screen.trigger()
    assert not window.isFullScreen()
    assert window.isMaximized()


def test_the_window_has_its_icon(hand: Any) -> None:
    assert not hand.window.windowIcon().isNull()


def test_a_model_that_comes_back_answers_its_conversation_again(hand: Any, stories_float32: Path) -> None:
    window, registry = hand.window, hand.window.hearth.models
    registry.import_folder(stories_float32, name="other", in_place=True)
    registry.import_folder(stories_float32, name="stories", in_place=True)
    made = window.hearth.conversations.create(title="A", model="stories")
    window.models.refresh()
    window.session.open(made.id)
    hand.wait(lambda: window.models.current == window.session.model == "stories")
    registry.remove("stories")
    window.models.refresh()
    hand.wait(lambda: window.models.current == "other")
    registry.import_folder(stories_float32, name="stories", in_place=True)
    window.models.refresh()
    hand.wait(lambda: window.models.current == window.session.model == "stories")
