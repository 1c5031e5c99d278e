"""The wizard by keyboard alone: every control is reached, and focus is where one looks for it."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QLineEdit,
    QListWidget,
    QPushButton,
    QRadioButton,
    QWidget,
)

from adding import CHECKPOINT, GATED, GGUF, WizardHand
from hearth.models.hub.choices import Format
from hub_server import HubRepository, HubServer

ENTER = Qt.Key.Key_Return


def test_by_keyboard_alone(adding: WizardHand) -> None:
    hand, window = adding.hand, adding.window
    hand.key(Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    adding.activate()
    wizard = adding.wizard
    hand.wait(wizard.choose.list.hasFocus)
    hand.key(Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    hand.wait(wizard.choose.search.hasFocus)
    hand.type("smollm2 360m")
    hand.key(Qt.Key.Key_Down)
    assert [row.title for row in wizard.choose.list.rows()] == ["SmolLM2 360M"]
    hand.key(ENTER)
    hand.wait(lambda: wizard.details.forms is not None)
    hand.wait(wizard.next.hasFocus)
    assert wizard.details.heading.text() == "SmolLM2 360M"
    assert wizard.details.name.text() == "smollm2-360m"
    hand.key(ENTER)
    adding.wait_ready()
    assert "not measured" in wizard.ready.quality.text()  # others have made the file
    speed = wizard.ready.speed
    hand.key(Qt.Key.Key_Tab, Qt.KeyboardModifier.ShiftModifier)
    hand.key(Qt.Key.Key_Tab, Qt.KeyboardModifier.ShiftModifier)
    assert speed.button.hasFocus()
    hand.key(ENTER)
    assert speed.stop_button.isVisible()
    assert not wizard.next.isEnabled()
    hand.wait(lambda: not speed.is_running())
    assert speed.words.text().startswith("It writes ")
    wizard.next.setFocus()
    hand.key(ENTER)
    hand.wait_loaded("smollm2-360m")
    assert window.composer.edit.hasFocus() or window.isActiveWindow() is False


def test_every_control_of_each_page_is_reached_by_tab_and_has_a_name(
    adding: WizardHand, stopper: Event
) -> None:
    wizard = adding.open()
    assert unreached(adding) == set()
    adding.look_at(GATED)
    assert unreached(adding) == set()
    adding.hand.key(Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    wizard.choose.show_catalogue()
    adding.look_at(CHECKPOINT)
    assert unreached(adding) == set()
    adding.hand.click(wizard.next)
    adding.hand.wait(lambda: adding.on(wizard.progress))
    assert unreached(adding) == set()
    stopper.set()
    adding.wait_ready()
    assert unreached(adding) == set()


def unreached(adding: WizardHand) -> set[str]:
    """What can be used on the page, but not by keyboard, or without a name that a screen reader can say."""
    wizard = adding.wizard
    kinds = (QPushButton, QLineEdit, QComboBox, QRadioButton, QListWidget)
    wanted = {
        widget
        for kind in kinds
        for widget in wizard.findChildren(kind)
        if widget.isVisible() and widget.isEnabled()
    }
    met = set[QWidget | None]()
    for _ in range(3 * len(wanted)):
        met.add(QApplication.focusWidget())
        adding.hand.key(Qt.Key.Key_Tab)
    nameless = {
        widget
        for widget in wanted
        if not QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name)
    }
    return {f"{widget} {widget.objectName()}" for widget in (wanted - met) | nameless}


def test_the_form_is_chosen_by_arrows(adding: WizardHand, server: HubServer, tmp_path: Path) -> None:
    both = HubRepository({**server.repositories[CHECKPOINT].files, **server.repositories[GGUF].files})
    server.repositories["org/Both"] = both
    adding.open()
    adding.look_at("org/Both")
    choices = adding.wizard.details.choices
    before = choices.form().choice.format
    choices.buttons[before].setFocus()
    adding.hand.key(Qt.Key.Key_Down if before is Format.CHECKPOINT else Qt.Key.Key_Up)
    assert choices.form().choice.format is not before
    assert choices.boxes[choices.form().choice.format].isVisible()


@pytest.mark.parametrize("moves_on", [False, True])
def test_after_measuring_the_keyboard_is_where_it_was(
    adding: WizardHand, stories_float32: Path, moves_on: bool
) -> None:
    registry = adding.window.hearth.models
    registry.import_folder(stories_float32, name="stories")
    adding.open().show_entry(registry.get("stories"))
    speed = adding.wizard.ready.speed
    speed.button.setFocus()
    adding.hand.key(ENTER)
    adding.hand.wait(speed.stop_button.hasFocus)
    adding.hand.key(ENTER)
    if moves_on:
        adding.wizard.back.setFocus()
    adding.hand.wait(lambda: not speed.is_running())
    assert (adding.wizard.back if moves_on else speed.button).hasFocus()
