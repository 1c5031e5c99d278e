"""The composer: what Enter, Shift+Enter, Escape and the up arrow do, and when it sends."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QMimeData, Qt
from PySide6.QtGui import QInputMethodEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from hearth.ui.chat.composer import Composer


@pytest.fixture
def composer(qtbot: QtBot) -> Composer:
    shown = Composer()
    qtbot.addWidget(shown)
    shown.resize(700, 80)
    shown.show()
    shown.activateWindow()
    qtbot.waitUntil(shown.isActiveWindow)
    shown.focus()
    return shown


def test_enter_sends_and_empties_the_field(qtbot: QtBot, composer: Composer) -> None:
    qtbot.keyClicks(composer.edit, "Once upon a time ")
    with qtbot.waitSignal(composer.submitted) as sent:
        qtbot.keyClick(composer.edit, Qt.Key.Key_Return)
    assert sent.args == ["Once upon a time"]
    assert composer.text() == ""


def test_shift_enter_breaks_the_line(qtbot: QtBot, composer: Composer) -> None:
    qtbot.keyClicks(composer.edit, "one")
    qtbot.keyClick(composer.edit, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClicks(composer.edit, "two")
    with qtbot.waitSignal(composer.submitted) as sent:
        qtbot.mouseClick(composer.button, Qt.MouseButton.LeftButton)
    assert sent.args == ["one\ntwo"]


@pytest.mark.parametrize("text", ["", "   ", "\n\n"])
def test_nothing_is_not_sent(qtbot: QtBot, composer: Composer, text: str) -> None:
    composer.set_text(text)
    with qtbot.assertNotEmitted(composer.submitted):
        qtbot.keyClick(composer.edit, Qt.Key.Key_Return)
    assert not composer.button.isEnabled()


def test_it_grows_to_ten_lines_and_then_scrolls(qtbot: QtBot, composer: Composer) -> None:
    heights = [composer.edit.height()]
    for _ in range(14):
        qtbot.keyClick(composer.edit, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
        heights.append(composer.edit.height())
    assert heights[:10] == sorted(set(heights[:10]))
    assert set(heights[9:]) == {heights[9]}
    assert composer.edit.verticalScrollBar().maximum() > 0
    composer.set_text("")
    assert composer.edit.height() == heights[0]


def test_a_long_line_makes_it_grow_too(composer: Composer) -> None:
    before = composer.edit.height()
    composer.set_text("word " * 60)
    assert composer.edit.height() > before


def test_enter_belongs_to_an_input_method_that_composes(qtbot: QtBot, composer: Composer) -> None:
    QApplication.sendEvent(composer.edit, QInputMethodEvent("ni hao", []))
    with qtbot.assertNotEmitted(composer.submitted):
        qtbot.keyClick(composer.edit, Qt.Key.Key_Return)
    done = QInputMethodEvent()
    done.setCommitString("你好")
    QApplication.sendEvent(composer.edit, done)
    with qtbot.waitSignal(composer.submitted) as sent:
        qtbot.keyClick(composer.edit, Qt.Key.Key_Return)
    assert sent.args == ["你好"]


def test_send_becomes_stop_while_an_answer_streams(qtbot: QtBot, composer: Composer) -> None:
    composer.set_text("next question")
    composer.set_busy(True)
    assert composer.button.accessibleName() == "Stop"
    with qtbot.assertNotEmitted(composer.submitted):
        qtbot.keyClick(composer.edit, Qt.Key.Key_Return)
    assert composer.text() == "next question"
    with qtbot.waitSignal(composer.stop_requested):
        qtbot.mouseClick(composer.button, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(composer.stop_requested):
        qtbot.keyClick(composer.edit, Qt.Key.Key_Escape)
    composer.set_busy(False)
    assert composer.button.accessibleName() == "Send"
    assert composer.button.isEnabled()


def test_the_reason_why_nothing_can_be_sent_is_shown_and_the_draft_stays(
    qtbot: QtBot, composer: Composer
) -> None:
    composer.set_enabled_reason("Import a model to begin")
    assert composer.edit.placeholderText() == "Import a model to begin"
    qtbot.keyClicks(composer.edit, "draft")
    with qtbot.assertNotEmitted(composer.submitted):
        qtbot.keyClick(composer.edit, Qt.Key.Key_Return)
    assert composer.text() == "draft"
    composer.set_enabled_reason(None)
    with qtbot.waitSignal(composer.submitted):
        qtbot.keyClick(composer.edit, Qt.Key.Key_Return)


def test_up_in_the_empty_field_edits_the_last_question(qtbot: QtBot, composer: Composer) -> None:
    with qtbot.waitSignal(composer.edit_last_requested):
        qtbot.keyClick(composer.edit, Qt.Key.Key_Up)
    composer.set_text("text")
    with qtbot.assertNotEmitted(composer.edit_last_requested):
        qtbot.keyClick(composer.edit, Qt.Key.Key_Up)


def test_pasted_text_is_plain(composer: Composer) -> None:
    data = QMimeData()
    data.setHtml("<b>bold</b>")
    data.setText("bold")
    composer.edit.insertFromMimeData(data)
    assert composer.text() == "bold"


def test_names_for_screen_readers(composer: Composer) -> None:
    assert composer.edit.accessibleName() == "Message"
    assert composer.button.accessibleName() == "Send"


def test_the_menu_has_the_usual_commands(qtbot: QtBot, composer: Composer) -> None:
    composer.set_text("some words")
    composer.edit.selectAll()
    menu = composer.edit.menu()
    names = [action.text() for action in menu.actions() if action.text()]
    assert names == ["Undo", "Redo", "Cut", "Copy", "Paste", "Select all"]
    next(action for action in menu.actions() if action.text() == "Cut").trigger()
    assert composer.text() == ""
    menu.deleteLater()


def test_the_placeholder_is_as_large_as_the_text(composer: Composer) -> None:
    def height() -> int:
        """Pixels from the first to the last row with ink."""
        picture = composer.edit.viewport().grab().toImage()
        ground = picture.pixel(picture.width() - 1, 0)
        rows = [
            y
            for y in range(picture.height())
            if any(picture.pixel(x, y) != ground for x in range(picture.width() // 2))
        ]
        return rows[-1] - rows[0]

    composer.edit.clearFocus()  # and with it the cursor
    before = height()
    composer.set_font_scale(2.0)
    assert height() > 1.6 * before
