"""The first five minutes: the welcome, and three clicks to an answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from adding import know_machine
from hearth import i18n
from hearth.config import load_config
from hearth.conversations.message import MessageStatus, Role
from hearth.services.events import ModelState
from hearth.services.hearth import Hearth
from hearth.ui.main_window import MainWindow
from hearth.ui.worker_thread import qt_thread

OpenWindow = Callable[..., Any]


@pytest.fixture
def first(open_window: OpenWindow, starter: str) -> Any:
    """The first start of a Hearth that has its starter."""
    return open_window(welcome=True)


def on_welcome(hand: Any) -> bool:
    return hand.window.pages.currentWidget() is hand.window.welcome.widget


def at_work(hand: Any) -> bool:
    return hand.window.pages.currentWidget() is hand.window.splitter


def read_through(hand: Any) -> None:
    hand.click(hand.window.welcome.widget.next)
    hand.click(hand.window.welcome.widget.next)
    assert at_work(hand)


def test_three_clicks_lead_to_an_answer(first: Any, starter: str) -> None:
    window = first.window
    assert on_welcome(first)
    assert window.welcome.widget.next.text() == "Continue"
    first.wait_loaded(starter)  # while the welcome is read
    first.click(window.welcome.widget.next)
    assert window.welcome.widget.next.text() == "Start Chatting"
    first.click(window.welcome.widget.next)
    texts = [button.text() for button in window.empty.suggestions]
    assert texts == ["What can you do?", "What is 27 + 58?", "How do I get a bigger model?"]
    first.click(window.empty.suggestions[0])
    answer = first.wait_answer()
    assert answer.status is MessageStatus.COMPLETE
    assert answer.text
    assert answer.model == starter
    assert window.session.last(Role.USER).text == "What can you do?"
    assert window.composer.edit.hasFocus()


def test_by_keyboard_alone(first: Any, starter: str) -> None:
    welcome = first.window.welcome.widget
    first.wait(welcome.next.hasFocus)
    first.key(Qt.Key.Key_Return)
    assert welcome.page() == 1
    first.key(Qt.Key.Key_Escape)
    assert welcome.page() == 0
    first.key(Qt.Key.Key_Enter)
    assert welcome.page() == 1
    first.key(Qt.Key.Key_Tab, Qt.KeyboardModifier.ShiftModifier)
    assert welcome.back.hasFocus()
    first.key(Qt.Key.Key_Return)
    assert welcome.page() == 0
    first.key(Qt.Key.Key_Return)
    first.key(Qt.Key.Key_Return)
    assert at_work(first)
    first.type("Once upon a time")
    first.key(Qt.Key.Key_Return)
    assert first.wait_answer().status is MessageStatus.COMPLETE


def test_a_thing_to_try_is_reached_by_tab_and_sent_by_enter(first: Any) -> None:
    read_through(first)
    suggestions = first.window.empty.suggestions
    for _ in range(10):
        first.key(Qt.Key.Key_Tab, Qt.KeyboardModifier.ShiftModifier)
        if QApplication.focusWidget() is suggestions[1]:
            break
    assert suggestions[1].hasFocus()
    first.key(Qt.Key.Key_Return)
    first.wait_answer()
    assert first.window.session.last(Role.USER).text == "What is 27 + 58?"


def test_an_impatient_double_click_asks_once(first: Any) -> None:
    read_through(first)
    button = first.window.empty.suggestions[0]
    first.click(button)
    button.click()
    first.wait_answer()
    assert len(first.window.hearth.conversations.list()) == 1
    assert [message.role for message in first.window.session.messages] == [Role.USER, Role.ASSISTANT]


def test_once_read_it_does_not_come_again(first: Any, open_window: OpenWindow) -> None:
    read_through(first)
    first.close()
    again = open_window(welcome=True)
    assert at_work(again)
    assert again.window.welcome.widget is None


def test_closed_half_way_it_comes_again(first: Any, open_window: OpenWindow) -> None:
    first.click(first.window.welcome.widget.next)
    first.close()
    again = open_window(welcome=True)
    assert on_welcome(again)
    assert again.window.welcome.page() == 0


def test_escape_on_the_first_page_puts_it_away(first: Any, open_window: OpenWindow) -> None:
    first.key(Qt.Key.Key_Escape)
    assert at_work(first)
    assert first.window.composer.edit.hasFocus()
    first.close()
    assert at_work(open_window(welcome=True))


def test_from_the_menu_and_back_to_where_one_was(hand_with_model: Any) -> None:
    hand = hand_with_model
    hand.set_parameter("max_tokens", "4")
    hand.ask("A dog")
    hand.wait_answer()
    hand.type("half a question")
    hand.window.actions_.welcome.trigger()
    assert on_welcome(hand)
    work = (hand.window.actions_.new_chat, hand.window.actions_.delete, hand.window.actions_.import_model)
    assert not any(action.isEnabled() for action in work)
    assert hand.window.actions_.help.isEnabled()
    hand.key(Qt.Key.Key_Escape)
    assert at_work(hand)
    assert hand.window.composer.text() == "half a question"
    assert all(action.isEnabled() for action in work)


def test_the_machine_is_measured_and_told(first: Any) -> None:
    values = first.window.welcome.widget.machine.values
    first.wait(lambda: "GB" in values["memory"].text() and "core" in values["processor"].text())
    told = [values[fit].text() for fit in ("well", "slowly", "not")]
    assert "70" in told[1] + told[2] + told[0]
    assert all(text.endswith(("billion", "sizes")) for text in told)


def test_the_language_acts_at_once(first: Any) -> None:
    window = first.window
    first.click(window.welcome.widget.privacy.languages["zh"])
    first.wait(lambda: window.welcome.widget.next.text() == "继续")
    assert on_welcome(first)
    first.wait(window.welcome.widget.privacy.languages["zh"].hasFocus)
    assert window.actions_.new_chat.text().startswith("新")
    assert load_config().language == "zh"
    assert i18n.language() == "zh"
    read_through(first)
    assert window.empty.suggestions[0].text() == "你能做什么？"
    first.click(window.empty.suggestions[0])
    first.wait_answer()
    assert window.session.last(Role.USER).text == "你能做什么？"


def test_the_language_by_keyboard(first: Any) -> None:
    welcome = first.window.welcome.widget
    for _ in range(5):
        first.key(Qt.Key.Key_Tab)
        if welcome.privacy.languages["en"].hasFocus():
            break
    first.key(Qt.Key.Key_Right)
    first.wait(lambda: first.window.welcome.widget.next.text() == "继续")
    first.wait(first.window.welcome.widget.privacy.languages["zh"].hasFocus)
    first.key(Qt.Key.Key_Return)
    assert first.window.welcome.page() == 1


def test_a_language_that_cannot_be_kept_is_said(first: Any, hearth_home: Path) -> None:
    (hearth_home / "config.toml").write_text("language = \n", "utf-8")
    languages = first.window.welcome.widget.privacy.languages
    first.click(languages["zh"])
    first.wait(first.window.toast.isVisible)
    assert "config.toml" in first.window.toast.text()
    assert languages["en"].isChecked()
    assert first.window.welcome.widget.next.text() == "Continue"


@pytest.fixture
def slow_start(qtbot: QtBot, starter: str) -> Any:
    """A window at its first start whose Hearth is not open yet, and what opens it."""
    gate = threading.Event()

    def open_hearth() -> Hearth:
        gate.wait()
        return Hearth.open(thread_factory=qt_thread)

    window = MainWindow(open_hearth)
    window.show()
    window.start()
    yield window, gate
    gate.set()
    window.close()
    qtbot.waitUntil(window.is_closed, timeout=30_000)
    window.deleteLater()


def test_it_is_there_before_hearth_is_open(slow_start: Any, qtbot: QtBot) -> None:
    window, gate = slow_start
    assert window.pages.currentWidget() is window.welcome.widget
    qtbot.mouseClick(window.welcome.widget.next, Qt.MouseButton.LeftButton)
    gate.set()
    qtbot.waitUntil(lambda: window.hearth is not None, timeout=30_000)
    assert window.welcome.page() == 1
    qtbot.waitUntil(lambda: window.models.current == "hearth-starter", timeout=30_000)
    qtbot.waitUntil(lambda: window.models.status().state is ModelState.READY, timeout=30_000)


def test_what_is_chosen_before_hearth_is_open_counts(slow_start: Any, qtbot: QtBot) -> None:
    window, gate = slow_start
    qtbot.mouseClick(window.welcome.widget.privacy.languages["zh"], Qt.MouseButton.LeftButton)
    qtbot.mouseClick(window.welcome.widget.next, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(window.welcome.widget.next, Qt.MouseButton.LeftButton)
    assert window.pages.currentWidget() is window.splitter
    gate.set()
    qtbot.waitUntil(lambda: window.composer.edit.placeholderText() == "输入消息", timeout=30_000)
    qtbot.waitUntil(lambda: window.hearth.conversations.get_setting("window.welcomed"), timeout=30_000)
    assert load_config().language == "zh"


def test_without_any_model_the_way_to_one_is_shown(open_window: OpenWindow) -> None:
    hand = open_window(welcome=True)
    read_through(hand)
    assert hand.window.middle.currentWidget() is hand.window.empty
    assert hand.window.empty.button.text() == "Add a Model…"
    assert hand.window.empty.second.text() == "Import a Model Folder…"
    assert hand.window.empty.suggestions == []


def test_the_starter_says_what_it_is_and_leads_to_a_bigger_model(
    open_window: OpenWindow, starter: str
) -> None:
    hand = open_window()
    window = hand.window
    assert window.models.current == starter
    assert window.models.status().state is ModelState.UNLOADED  # only the first start loads it unasked
    assert "small starter" in window.empty.note()
    assert not window.empty.button.isVisible()
    hand.click(window.empty.link)
    assert window.add_model.wizard is not None
    assert window.add_model.wizard.isVisible()


def test_the_users_own_model_takes_over(open_window: OpenWindow, starter: str, stories_float32: Path) -> None:
    hand = open_window()
    hand.import_model(stories_float32)
    assert hand.window.empty.suggestions == []
    assert hand.window.empty.note() == ""
    hand.close()
    again = open_window()
    assert again.window.models.current == "stories"
    hand.wait(lambda: again.window.picker.text().startswith("stories"))


def test_a_model_that_was_never_chosen_is_preferred_to_the_starter(
    open_window: OpenWindow, starter: str, stories_float32: Path, hearth_home: Path
) -> None:
    hearth_home.mkdir()
    hearth = Hearth.open()
    hearth.models.import_folder(stories_float32, name="zz-mine")
    hearth.close()
    hand = open_window()
    assert [entry.name for entry in hand.window.models.entries] == [starter, "zz-mine"]
    assert hand.window.models.current == "zz-mine"


def test_the_machine_page_leads_to_a_model_for_this_machine(open_window: OpenWindow, starter: str) -> None:
    know_machine()
    first = open_window(welcome=True)
    window = first.window
    first.click(window.welcome.widget.next)
    first.click(window.welcome.widget.machine.find_button)
    assert at_work(first)
    assert window.add_model.wizard.isVisible()
