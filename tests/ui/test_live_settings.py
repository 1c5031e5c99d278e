"""Settings that are changed while the window is open take effect at once, and nobody loses their place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QLocale, QObject, Qt
from PySide6.QtWidgets import QApplication, QDialogButtonBox

from hearth import i18n
from hearth.conversations.message import MessageStatus
from hearth.errors import ModelFolderMissing
from hearth.ui import theme
from hearth.ui.colours import DARK

OpenWindow = Callable[..., Any]


def change(hand: Any, **settings: object) -> None:
    """Change settings as the dialog does, off the main thread."""
    hearth = hand.window.hearth
    hand.window.tasks.run(
        lambda: hearth.change_settings({k.replace("__", "."): v for k, v in settings.items()})
    )


def speaks(hand: Any, language: str) -> bool:
    """Whether the window has been built in that language, and is settled."""
    new = {"en": "New chat", "zh": "新聊天"}[language]
    return hand.window.new_chat_button.text() == new and hand.window.updatesEnabled()


def test_the_language_changes_while_an_answer_streams(hand_with_model: Any) -> None:
    hand = hand_with_model
    window = hand.window
    window.resize(900, 640)
    place = window.geometry()
    hand.set_parameter("max_tokens", "200")
    hand.ask("Once upon a time")
    before = hand.wait_text().id
    with hand.paused_host():
        hand.type("a draft")
        change(hand, language="zh")
        hand.wait(lambda: speaks(hand, "zh"))
        assert hand.answer().id == before
        assert hand.answer().status is MessageStatus.STREAMING
        assert window.session.is_busy()
        shown = window.session.live_text()
        assert shown
        assert shown.strip()[:20] in hand.chat_text()
    answer = hand.wait_answer()
    assert answer.id == before
    assert answer.status is MessageStatus.COMPLETE
    assert answer.text.startswith(shown)
    assert window.hearth.conversations.message(before).text == answer.text
    tail = "".join(answer.text.split())[-20:]  # lines are broken elsewhere on view
    hand.wait(lambda: tail in "".join(hand.chat_text().split()))
    assert window.composer.text() == "a draft"
    assert window.geometry() == place
    assert window.panel.isVisible()
    assert window.panel.rows["max_tokens"].value() == 200
    assert window.models.current == "stories"
    assert hand.conversations() == ["Once upon a time"]
    assert window.list.selected() == window.session.conversation.id


def test_the_window_works_after_the_language_has_changed(hand_with_model: Any) -> None:
    hand = hand_with_model
    hand.set_parameter("max_tokens", "4")
    hand.ask("A dog")
    first = hand.wait_answer()
    for language in ("zh", "en", "zh"):
        change(hand, language=language)
        hand.wait(lambda language=language: speaks(hand, language))
    hand.ask("A cat")
    assert hand.wait_answer(after=first.id).status is MessageStatus.COMPLETE
    assert len(hand.window.session.messages) == 4
    hand.key(Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    assert hand.window.session.conversation is None
    hand.window.conversations.delete(first.conversation_id)
    hand.wait(lambda: hand.conversations() == [])


def test_nothing_of_the_old_window_stays_behind(hand_with_model: Any, qapp: QApplication) -> None:
    hand = hand_with_model
    counts = []
    for language in ("zh", "en", "zh", "en", "zh"):
        change(hand, language=language)
        hand.wait(lambda language=language: speaks(hand, language))
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        counts.append((len(qapp.allWidgets()), len(hand.window.findChildren(QObject))))
    assert counts[0] == counts[2] == counts[4]


def test_what_was_asked_a_moment_before_is_answered(hand_with_model: Any) -> None:
    """The question is on its way to the database while the widgets are replaced."""
    hand = hand_with_model
    hand.set_parameter("max_tokens", "4")
    hand.activate()
    hand.window.composer.focus()
    hand.type("Once upon a time")
    change(hand, language="zh")
    hand.key(Qt.Key.Key_Return)  # before the main thread hears of the change
    hand.wait(lambda: speaks(hand, "zh"))
    (row,) = hand.window.hearth.conversations.list()
    hand.wait(lambda: len(hand.window.hearth.conversations.branch(row.id)) == 2)
    hand.wait(lambda: not hand.window.answers.is_busy(row.id))
    assert hand.window.hearth.conversations.branch(row.id)[-1].status is MessageStatus.COMPLETE


def test_a_new_chat_keeps_its_parameters_and_its_draft(hand_with_model: Any) -> None:
    hand = hand_with_model
    hand.set_parameter("temperature", "0.1")
    hand.activate()
    hand.window.composer.focus()
    hand.type("not sent yet")
    change(hand, language="zh")
    hand.wait(lambda: speaks(hand, "zh"))
    assert hand.window.session.settings.temperature == 0.1
    assert hand.window.panel.rows["temperature"].value() == 0.1
    assert hand.window.composer.text() == "not sent yet"


def test_a_question_that_is_being_edited_stays_open(hand_with_model: Any) -> None:
    hand = hand_with_model
    hand.set_parameter("max_tokens", "4")
    hand.ask("A dog")
    hand.wait_answer()
    hand.window.actions_.edit_last.trigger()
    hand.type(" and a cat")
    change(hand, language="zh")
    hand.wait(lambda: speaks(hand, "zh"))
    assert list(hand.window.view.edits().values()) == ["A dog and a cat"]
    hand.type(".")
    hand.key(Qt.Key.Key_Return)
    hand.wait(lambda: hand.window.session.messages[0].text == "A dog and a cat.")
    hand.wait_answer()


def test_the_reader_keeps_the_place_and_an_undo_stays_possible(hand_with_model: Any) -> None:
    hand = hand_with_model
    hand.set_parameter("max_tokens", "4")
    hand.ask("A dog")
    hand.wait_answer()
    hand.window.actions_.delete.trigger()
    hand.wait(hand.window.conversations.can_undo)
    hand.window.composer.set_text("A long question.\n" * 60)
    hand.click(hand.window.composer.button)
    hand.wait_answer()
    bar = hand.window.view.verticalScrollBar()
    hand.wait(lambda: bar.maximum() > 200)
    bar.setValue(100)
    place = hand.window.view.reading_place()
    assert place is not None
    change(hand, language="zh")
    hand.wait(lambda: speaks(hand, "zh"))
    hand.wait(lambda: hand.window.view.reading_place() == place)
    assert hand.window.actions_.undo_delete.isEnabled()
    hand.window.actions_.undo_delete.trigger()
    hand.wait(lambda: sorted(hand.conversations())[-1:] == ["A long question."])
    hand.wait(lambda: len(hand.conversations()) == 2)


def test_settings_and_help_stay_where_they_are(hand: Any) -> None:
    window = hand.window
    window.actions_.help.trigger()
    hand.wait(lambda: window.side_windows.help.page is not None)
    help_window = window.side_windows.help
    help_window.show_page("keyboard")
    hand.activate()
    window.actions_.settings.trigger()
    settings = window.side_windows.settings
    settings.move(60, 70)
    change(hand, language="zh")
    hand.wait(lambda: speaks(hand, "zh"))
    assert window.side_windows.settings is settings
    assert settings.isVisible()
    assert (settings.x(), settings.y()) == (60, 70)
    assert settings.page == "general"
    assert window.side_windows.help is help_window
    assert help_window.isVisible()
    hand.wait(lambda: help_window.windowTitle() == "Hearth 帮助")
    assert help_window.page.id == "keyboard"


def test_the_language_is_chosen_in_the_settings(hand: Any) -> None:
    window = hand.window
    hand.key(Qt.Key.Key_Comma, Qt.KeyboardModifier.ControlModifier)
    hand.wait(lambda: window.side_windows.settings is not None)
    settings = window.side_windows.settings
    box = settings.general.language
    box.setCurrentIndex(box.findData("zh"))
    box.activated.emit(box.currentIndex())
    hand.wait(lambda: speaks(hand, "zh"))
    hand.wait(lambda: settings.windowTitle() == "设置")
    settings.close()
    hand.wait(lambda: window.side_windows.settings is None)
    assert window.actions_.settings.text().startswith("设置")


def test_texts_and_numbers_of_qt_follow(hand: Any) -> None:
    change(hand, language="zh")
    hand.wait(lambda: speaks(hand, "zh"))
    assert QLocale().language() == QLocale.Language.Chinese
    box = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
    assert box.button(QDialogButtonBox.StandardButton.Cancel).text() == "取消"
    box.deleteLater()
    change(hand, language="en")
    hand.wait(lambda: speaks(hand, "en"))
    assert QLocale().language() == QLocale.Language.English
    box = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
    assert "Cancel" in box.button(QDialogButtonBox.StandardButton.Cancel).text()
    box.deleteLater()


def test_following_the_system_again_changes_the_language(hand: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    change(hand, language="zh")
    hand.wait(lambda: speaks(hand, "zh"))
    change(hand, language=None)
    hand.wait(lambda: speaks(hand, "en"))
    assert i18n.language() == "en"


def test_the_theme_changes_at_once(hand: Any) -> None:
    change(hand, theme="dark")
    hand.wait(lambda: theme.theme().dark)
    assert hand.window.palette().window().color().name() == DARK.window
    assert DARK.window in hand.window.styleSheet()
    change(hand, theme="light")
    hand.wait(lambda: not theme.theme().dark)


def test_new_defaults_are_in_the_panel(hand_with_model: Any) -> None:
    hand = hand_with_model
    hand.set_parameter("top_p", "0.5")
    change(hand, defaults__temperature=0.15, defaults__top_p=0.8, defaults__system_prompt="Be brief.")
    rows = hand.window.panel.rows
    hand.wait(lambda: rows["temperature"].field.value() == 0.15)
    assert rows["temperature"].value() is None, "the conversation itself sets nothing"
    assert rows["top_p"].value() == 0.5
    assert hand.window.panel.prompt.placeholderText() == "Be brief."


def test_what_the_models_maker_recommends_is_in_the_panel(
    open_window: OpenWindow, starter: str, stories_float32: Path
) -> None:
    hand = open_window()
    rows = hand.window.panel.rows
    assert rows["temperature"].field.value() == 0.25
    hand.import_model(stories_float32)
    assert rows["temperature"].field.value() == 0.7
    hand.window.models.choose(starter)
    assert rows["temperature"].field.value() == 0.25
    change(hand, defaults__temperature=0.9)
    hand.wait(lambda: rows["temperature"].field.value() == 0.9)


def test_an_empty_chat_takes_the_new_default_model(
    open_window: OpenWindow, starter: str, stories_float32: Path
) -> None:
    hand = open_window()
    hand.import_model(stories_float32)
    assert hand.window.models.current == "stories"
    change(hand, defaults__model=starter)
    hand.wait(lambda: hand.window.models.current == starter)
    assert hand.window.session.model == starter
    assert hand.window.empty.suggestions


def test_the_text_size_of_the_settings_is_that_of_the_window(hand: Any) -> None:
    window = hand.window
    window.actions_.zoom_in.trigger()
    window.actions_.settings.trigger()
    settings = window.side_windows.settings
    assert settings.general.text_size.currentData() == 1.1
    settings.text_size_chosen.emit(1.5)
    assert window.state.font_scale == 1.5
    settings.close()
    hand.wait(lambda: window.side_windows.settings is None)


def test_f1_opens_the_help_once(hand: Any) -> None:
    hand.key(Qt.Key.Key_F1)
    hand.wait(lambda: hand.window.side_windows.help is not None)
    opened = hand.window.side_windows.help
    hand.wait(lambda: opened.page is not None)
    opened.close()
    hand.activate()
    hand.key(Qt.Key.Key_F1)
    assert hand.window.side_windows.help is opened
    assert opened.isVisible()


def test_f1_brings_a_minimised_help_back(hand: Any) -> None:
    hand.key(Qt.Key.Key_F1)
    help_ = hand.window.side_windows.help
    help_.showMinimized()
    hand.activate()
    hand.key(Qt.Key.Key_F1)
    assert not help_.isMinimized()


@pytest.mark.parametrize("name", ["settings", "about"])
def test_f1_opens_the_help_from_a_dialog_and_it_can_be_used(hand: Any, name: str) -> None:
    windows = hand.window.side_windows
    getattr(hand.window.actions_, name).trigger()
    dialog = getattr(windows, name)
    hand.wait(dialog.isActiveWindow)
    hand.key(Qt.Key.Key_F1, widget=dialog)
    hand.wait(lambda: windows.help is not None and windows.help.page is not None)
    hand.wait(windows.help.isActiveWindow)
    windows.help.search_field.setFocus()
    hand.type("memory")
    assert windows.help.results.hits()
    dialog.close()
    hand.wait(lambda: getattr(windows, name) is None)


def test_a_banner_that_was_put_away_stays_away(open_window: OpenWindow, hearth_home: Path) -> None:
    hearth_home.mkdir(exist_ok=True)
    (hearth_home / "config.toml").write_text("[engine]\nspeed = 3\n", encoding="utf-8")
    hand = open_window()
    banner = hand.window.banner
    hand.click(banner.close_button)
    config = hand.window.hearth.config
    hand.window.bridge.settings_changed.emit(config)
    assert not banner.isVisible()
    hand.window.hearth.config_error = None
    hand.window.bridge.settings_changed.emit(config)
    hand.window.hearth.config_error = ModelFolderMissing(path="/gone")
    hand.window.bridge.settings_changed.emit(config)
    assert banner.isVisible()


def test_the_side_windows_close_with_the_window(hand: Any, qapp: QApplication) -> None:
    hand.window.actions_.help.trigger()
    hand.wait(lambda: hand.window.side_windows.help.page is not None)
    hand.window.actions_.settings.trigger()
    hand.close()
    assert [widget for widget in qapp.topLevelWidgets() if widget.isVisible()] == []
