"""What the window does when a model, its host or Hearth itself fails."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication

from hearth.conversations.message import MessageStatus
from hearth.errors import HostCrashed
from hearth.services.events import ModelState
from hearth.ui.app import UnexpectedErrors

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a process is killed by a signal")


def test_a_killed_host_fails_the_answer_keeps_its_text_and_retry_works(hand_with_model: Any) -> None:
    hand = hand_with_model
    hand.ask("Once upon a time")
    hand.wait_text()
    with hand.paused_host() as pid:
        os.kill(pid, signal.SIGKILL)
    failed = hand.wait_answer()
    assert failed.status is MessageStatus.FAILED
    assert failed.text
    assert failed.error.code == HostCrashed.code
    assert hand.window.hearth.conversations.message(failed.id).text == failed.text
    hand.wait(lambda: hand.window.picker.status("stories").state is ModelState.FAILED)
    hand.wait(lambda: "stopped unexpectedly" in hand.chat_text())
    hand.click(hand.chat_button("Retry"))
    answer = hand.wait_answer(after=failed.id)
    assert answer.status is MessageStatus.COMPLETE
    assert answer.versions == 2
    assert hand.window.picker.status("stories").state is ModelState.READY


def test_an_idle_host_that_is_killed_is_said_with_retry(hand_with_model: Any) -> None:
    hand = hand_with_model
    os.kill(hand.window.hearth.pool.load("stories").client.pid, signal.SIGKILL)
    hand.wait(hand.window.toast.isVisible)
    assert "stopped unexpectedly" in hand.window.toast.text()
    hand.click(hand.window.toast.button)
    hand.wait_loaded("stories")


def test_a_model_that_was_damaged_after_its_import(hand: Any, stories_float32: Path) -> None:
    hand.import_model(stories_float32)
    hand.window.hearth.pool.unload("stories")
    hand.wait(lambda: hand.window.picker.status("stories").state is ModelState.UNLOADED)
    (entry,) = hand.window.hearth.models.list()
    (entry.path / "model.onnx.data").write_bytes(b"short")
    hand.ask("Once upon a time")
    answer = hand.wait_answer()
    assert answer.status is MessageStatus.FAILED
    assert answer.error.code == "model_file_truncated"
    assert hand.window.picker.status("stories").state is ModelState.FAILED
    assert "too short" in hand.window.picker.toolTip()


def test_a_prompt_that_is_too_long_fails_its_answer(hand_with_model: Any) -> None:
    hand = hand_with_model
    hand.window.composer.set_text("Once upon a time there was a dog. " * 100)
    hand.click(hand.window.composer.button)
    answer = hand.wait_answer()
    assert answer.status is MessageStatus.FAILED
    assert answer.error.code == "prompt_too_long"


def test_parameters_that_make_no_sense_are_refused_by_the_fields(hand_with_model: Any) -> None:
    hand = hand_with_model
    hand.set_parameter("top_p", "7")
    assert hand.window.panel.settings().top_p in (None, 1.0, 0.7)


def test_an_unexpected_error_is_logged_and_said(
    hand: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, qapp: QApplication
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    errors = UnexpectedErrors(hand.window)
    errors.happened.connect(hand.window.show_error)
    errors.install()
    try:
        raise ZeroDivisionError
    except ZeroDivisionError as error:
        with caplog.at_level(logging.CRITICAL):
            sys.excepthook(type(error), error, error.__traceback__)
    assert hand.window.toast.isVisible()
    assert "hearth.log" in hand.window.toast.text()
    assert "unexpected error" in caplog.text


def test_a_background_job_that_fails_is_logged_and_said(hand: Any, caplog: pytest.LogCaptureFixture) -> None:
    hand.window.tasks.run(lambda: 1 // 0)
    hand.wait(hand.window.toast.isVisible)
    assert "Something went wrong" in hand.window.toast.text()
    assert "ZeroDivisionError" in caplog.text
