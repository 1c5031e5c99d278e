"""Whoever may want a model in a moment finds a host that is ready to load it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psutil
import pytest
from PySide6.QtCore import Qt

from hearth.ui import model_controller


@pytest.fixture(autouse=True)
def _none_from_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_controller, "_OPENING_MILLISECONDS", 3_600_000)


def hosts() -> set[int]:
    """Of this process, engine hosts of every kind."""
    found = set()
    for child in psutil.Process().children():
        try:
            if "hearth.engine.host" in child.cmdline():
                found.add(child.pid)
        except psutil.NoSuchProcess:
            pass
    return found


def pid_of(hand: Any, model: str) -> int:
    hearth = hand.window.hearth
    assert hearth is not None
    client = hearth.pool.load(model).client
    assert client is not None
    return int(client.pid)


@pytest.fixture
def hand_with_starter(open_window: Callable[..., Any], starter: str) -> Any:
    hand = open_window()
    hand.wait(lambda: hand.window.models.current == starter)
    return hand


def test_the_first_letter_of_a_question_gets_a_host_ready_that_answers(
    hand_with_starter: Any, starter: str
) -> None:
    hand = hand_with_starter
    hand.wait(lambda: not hosts())  # those of other tests end
    hand.window.composer.focus()
    hand.type("H")
    hand.wait(hosts)
    (waiting,) = hosts()
    hand.type("ello")
    hand.key(Qt.Key.Key_Return)
    hand.wait_answer()
    assert pid_of(hand, starter) == waiting
    hand.type("And then?")
    assert hosts() == {waiting}, "none waits beside a model that is loaded"


def test_the_list_of_models_gets_a_host_ready(hand_with_starter: Any) -> None:
    hand = hand_with_starter
    hand.click(hand.window.picker)
    hand.wait(hosts)
    hand.window.picker.popup.hide()


def test_a_window_that_has_been_opened_gets_a_host_ready(
    open_window: Callable[..., Any], starter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = open_window()
    hand.wait(lambda: hand.window.models.current == starter)
    monkeypatch.setattr(model_controller, "_OPENING_MILLISECONDS", 0)
    hand.window.models.start(None)
    hand.wait(hosts)


def test_without_a_model_nothing_waits(
    open_window: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hearth.models.registry.built_in_folders", tuple)
    hand = open_window()
    hand.window.models.expect_answer()
    hearth = hand.window.hearth
    assert hearth is not None
    assert hearth.pool._spare._waiting is None
