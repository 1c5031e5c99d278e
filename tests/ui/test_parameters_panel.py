"""System prompt and sampling: shown, edited, reset, and kept with their conversation."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from pytestqt.qtbot import QtBot

from hearth.config import DefaultsSection
from hearth.conversations.message import ConversationSettings
from hearth.ui.parameters_panel import ParametersPanel

SETTINGS = ConversationSettings(
    system_prompt="Be brief.",
    temperature=0.0,
    top_k=40,
    top_p=0.5,
    min_p=0.1,
    repetition_penalty=1.2,
    presence_penalty=-0.5,
    frequency_penalty=0.25,
    max_tokens=100,
    seed=7,
    stop=("###", "a\nb", "back\\slash"),
)


@pytest.fixture
def panel(qtbot: QtBot) -> ParametersPanel:
    panel = ParametersPanel()
    qtbot.addWidget(panel)
    panel.set_defaults(msgspec.structs.asdict(DefaultsSection()))
    panel.show()
    return panel


def test_what_is_shown_is_what_is_read_back(panel: ParametersPanel) -> None:
    panel.show_settings(SETTINGS)
    assert panel.settings() == SETTINGS


def test_an_untouched_panel_sets_nothing(panel: ParametersPanel) -> None:
    panel.show_settings(ConversationSettings())
    assert panel.settings() == ConversationSettings()
    assert panel.rows["temperature"].field.value() == 0.7


def test_a_default_of_the_settings_file_is_shown(panel: ParametersPanel) -> None:
    panel.set_defaults(msgspec.structs.asdict(DefaultsSection(temperature=0.2, max_tokens=64)))
    panel.show_settings(ConversationSettings())
    assert panel.rows["temperature"].field.value() == 0.2
    assert panel.rows["max_tokens"].field.value() == 64
    panel.rows["max_tokens"].field.setValue(0)
    assert panel.settings().max_tokens == 0


def test_a_changed_value_can_be_reset(panel: ParametersPanel, qtbot: QtBot) -> None:
    panel.show_settings(ConversationSettings())
    row = panel.rows["temperature"]
    assert not row.reset_button.isVisible()
    row.field.setValue(1.5)
    assert panel.settings() == ConversationSettings(temperature=1.5)
    assert row.reset_button.isVisible()
    row.reset_button.click()
    assert panel.settings() == ConversationSettings()
    assert not row.reset_button.isVisible()


def test_all_values_can_be_reset_at_once(panel: ParametersPanel, qtbot: QtBot) -> None:
    panel.show_settings(SETTINGS)
    with qtbot.waitSignal(panel.settings_changed) as changed:
        panel.reset_button.click()
    assert changed.args == [ConversationSettings()]


def test_changes_are_told_once_and_soon(panel: ParametersPanel, qtbot: QtBot) -> None:
    panel.show_settings(ConversationSettings())
    told: list[Any] = []
    panel.settings_changed.connect(told.append)
    with qtbot.waitSignal(panel.settings_changed):
        panel.rows["top_k"].field.setValue(10)
        panel.rows["top_k"].field.setValue(20)
    assert told == [ConversationSettings(top_k=20)]


def test_showing_another_conversation_tells_nothing(panel: ParametersPanel) -> None:
    told: list[Any] = []
    panel.settings_changed.connect(told.append)
    panel.show_settings(SETTINGS)
    panel.flush()
    panel.show_settings(ConversationSettings())
    panel.flush()
    assert told == []


def test_the_slider_and_the_field_agree(panel: ParametersPanel) -> None:
    panel.show_settings(ConversationSettings(temperature=1.0))
    row = panel.rows["temperature"]
    assert row.slider is not None
    assert row.slider.value() * row.parameter.step == pytest.approx(1.0)
    row.slider.setValue(round(0.5 / row.parameter.step))
    assert panel.settings().temperature == pytest.approx(0.5)


def test_every_parameter_explains_itself(panel: ParametersPanel) -> None:
    for row in panel.rows.values():
        assert row.toolTip()
        assert row.field.accessibleName()
        assert row.field.accessibleDescription()


def test_settings_stay_with_their_conversation(hand_with_model: Any) -> None:
    hand = hand_with_model
    hand.set_parameter("max_tokens", "4")
    hand.ask("A dog")
    hand.wait_answer()
    hand.window.actions_.new_chat.trigger()
    assert hand.window.panel.settings() == ConversationSettings()
    hand.set_parameter("max_tokens", "6")
    hand.ask("A cat")
    answer = hand.wait_answer()
    assert answer.usage.generated_tokens == 6
    store = hand.window.hearth.conversations
    found = {row.title: row.settings.max_tokens for row in store.list()}
    assert found == {"A dog": 4, "A cat": 6}


def test_a_change_is_kept_when_the_user_goes_elsewhere_at_once(hand_with_model: Any) -> None:
    hand = hand_with_model
    hand.set_parameter("max_tokens", "4")
    hand.ask("A dog")
    hand.wait_answer()
    hand.set_parameter("temperature", "0")
    hand.window.actions_.new_chat.trigger()
    store = hand.window.hearth.conversations
    hand.wait(lambda: store.list()[0].settings.temperature == 0)
