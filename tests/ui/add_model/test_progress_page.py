"""A model on its way, on the page of progress and in the window's strip: paused, cancelled, gone on with, in trouble."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from PySide6.QtWidgets import QMenu, QMessageBox
from pytestqt.qtbot import QtBot

from adding import CHECKPOINT, GGUF, SMALL, WizardHand, know_machine
from disks import enlarge, leave_no_room, small_disk
from hearth.errors import ModelNotFinite
from hearth.models.hub.choices import Format
from hearth.models.registry import ModelRegistry
from hearth.paths import models_folder
from hearth.services.downloads import Downloads
from hearth.services.install_events import InstallState, InstallStatus, InstallStep
from hearth.ui.add_model.progress_page import ProgressPage
from hub_server import HubRepository, HubServer


def test_closed_in_the_middle_it_goes_on_and_the_strip_leads_back(adding: WizardHand, stopper: Event) -> None:
    hand, window = adding.hand, adding.window
    adding.open()
    adding.get(GGUF, "stories")
    assert adding.wizard.next.text() == "Close"
    hand.click(adding.wizard.next)
    hand.wait(lambda: window.add_model.wizard is None)
    hand.wait(lambda: window.install_strip.words().startswith("stories: Downloading"))
    hand.click(window.install_strip)
    assert adding.on(adding.wizard.progress)
    assert adding.wizard.progress.status.name == "stories"
    adding.wizard.done(0)
    stopper.set()
    hand.wait(lambda: window.toast.text() == "stories is ready.")
    assert window.install_strip.isHidden()
    hand.click(window.toast.button)
    hand.wait_loaded("stories")


def test_what_an_earlier_run_has_left_is_in_the_strip_and_goes_on(
    adding: WizardHand, stopper: Event, open_window: Callable[..., Any]
) -> None:
    adding.open()
    adding.get(GGUF, "stories")
    adding.hand.wait(lambda: adding.wizard.progress.status.done)
    adding.hand.close()
    again = open_window()
    again.wait(again.window.install_strip.isVisible)
    assert again.window.install_strip.words().startswith("stories: ")
    stopper.set()
    again.wait(lambda: again.window.toast.text() == "stories is ready.")


def test_two_on_their_way_are_told_together(adding: WizardHand, stopper: Event) -> None:
    hand, window = adding.hand, adding.window
    adding.open()
    adding.get(GGUF, "one")
    hand.click(adding.wizard.back)
    adding.wizard.choose.show_catalogue()
    adding.get(f"{SMALL}-GGUF", "two")
    hand.wait(lambda: window.install_strip.words().startswith("2 models on their way"))
    adding.wizard.done(0)
    hand.click(window.install_strip)
    menu = window.install_strip.findChild(QMenu)
    action = next(action for action in menu.actions() if action.text().startswith("one: "))
    action.trigger()
    menu.close()
    assert adding.wizard.progress.status.name == "one"
    stopper.set()
    adding.wait_ready()
    assert adding.wizard.ready.entry.name == "one"


def test_paused_resumed_and_cancelled(adding: WizardHand, stopper: Event) -> None:
    hand, window = adding.hand, adding.window
    adding.open()
    adding.get(GGUF, "stories")
    progress = adding.wizard.progress

    def state() -> InstallState | None:
        return progress.status.state if progress.status else None

    hand.wait(lambda: state() is InstallState.RUNNING)
    hand.click(progress.pause_button)
    hand.wait(lambda: state() is InstallState.PAUSED)
    assert progress.pause_button.text() == "Resume"
    assert "Paused" in window.install_strip.words()
    hand.click(progress.pause_button)
    hand.wait(lambda: state() is InstallState.RUNNING)
    hand.click(progress.cancel_button)
    box = adding.wizard.findChild(QMessageBox)
    hand.click(next(button for button in box.buttons() if button.text() == "Keep Going"))
    assert state() is InstallState.RUNNING
    hand.click(progress.cancel_button)
    hand.wait(lambda: adding.wizard.findChild(QMessageBox))
    box = adding.wizard.findChildren(QMessageBox)[-1]
    hand.click(next(button for button in box.buttons() if button.text() == "Cancel and Delete"))
    hand.wait(lambda: adding.on(adding.wizard.choose))
    assert window.install_strip.isHidden()
    assert window.hearth.installs.list() == []
    assert window.hearth.models.list() == []


def test_what_cannot_be_done_to_a_model_on_its_way_is_said_on_its_page(
    adding: WizardHand, stopper: Event
) -> None:
    adding.open()
    adding.get(GGUF, "stories")
    progress = adding.wizard.progress
    adding.hand.wait(lambda: progress.status and progress.status.state is InstallState.RUNNING)
    adding.hand.click(progress.pause_button)
    adding.hand.wait(lambda: progress.status and progress.status.state is InstallState.PAUSED)
    other = Downloads(ModelRegistry(adding.window.hearth.models.root))  # as another program
    other.cancel(progress.status.id)
    adding.hand.click(progress.pause_button)
    adding.hand.wait(progress.problem.isVisible)
    assert progress.status.id in progress.problem.text()


def test_a_problem_on_the_way_is_said_and_tried_again(
    adding: WizardHand, server: HubServer, on_the_hub: dict[str, HubRepository]
) -> None:
    adding.open()
    adding.look_at(GGUF)
    server.repositories.pop(GGUF)
    adding.name("stories")
    adding.hand.click(adding.wizard.next)
    progress = adding.wizard.progress
    adding.hand.wait(lambda: progress.status and progress.status.state is InstallState.FAILED)
    assert "There is no repository" in progress.problem.text()
    assert progress.pause_button.text() == "Try Again"
    server.repositories[GGUF] = on_the_hub[GGUF]
    adding.hand.click(progress.pause_button)
    adding.wait_ready()


def test_a_problem_comes_into_view_where_the_window_is_low(adding: WizardHand, server: HubServer) -> None:
    wizard = adding.open()
    adding.make_low()
    adding.look_at(CHECKPOINT)
    server.repositories.pop(CHECKPOINT)
    adding.hand.click(wizard.next)
    adding.hand.wait(wizard.progress.problem.isVisible)
    adding.hand.wait(wizard.progress.area.verticalScrollBar().value)
    assert not wizard.progress.problem.visibleRegion().isEmpty()


@pytest.mark.parametrize("copy", ["whole", "gone"])
def test_a_damaged_note_is_said_and_tried_again_or_cancelled(
    adding: WizardHand, stopper: Event, open_window: Callable[..., Any], copy: str
) -> None:
    adding.open()
    adding.get(GGUF, "stories")
    adding.hand.wait(lambda: adding.wizard.progress.status.done)
    models = adding.window.hearth.models.root
    adding.hand.close()
    (folder,) = (models / ".downloads").iterdir()
    (folder / "download.json").write_bytes(b"\0" * 100)
    if copy == "gone":
        (folder / "download.copy.json").unlink()
    hand = open_window()
    again, strip = WizardHand(hand), hand.window.install_strip
    hand.wait(lambda: strip.words().endswith("Stopped by a problem"))
    hand.click(strip)
    progress = again.wizard.progress
    assert "cannot be read. Try again. If that does not help, cancel it" in progress.problem.text()
    assert progress.pause_button.text() == "Try Again"
    stopper.set()
    hand.click(progress.pause_button)  # what is wrong is not said until it is met again
    if copy == "whole":
        again.wait_ready()
        assert again.wizard.ready.entry.name == "stories"
        return
    hand.wait(progress.problem.isVisible)
    hand.click(progress.cancel_button)
    box = again.wizard.findChild(QMessageBox)
    hand.click(next(button for button in box.buttons() if button.text() == "Cancel and Delete"))
    hand.wait(strip.isHidden)
    assert not (models / ".downloads").exists()


def test_a_disk_that_fills_is_said_nothing_is_lost_and_it_goes_on_when_there_is_room(
    server: HubServer, open_window: Callable[..., Any], hearth_home: Path
) -> None:
    know_machine()
    with small_disk(models_folder(), 1 << 30) as disk:
        adding = WizardHand(open_window())

        def fill(sent: int) -> None:
            if sent > 100_000:
                server.on_sent = lambda _sent: None
                leave_no_room(disk)

        server.on_sent = fill
        adding.open()
        adding.get(GGUF, "stories")
        adding.hand.wait(adding.wizard.progress.problem.isVisible)
        adding.hand.close()
        adding = WizardHand(open_window())
        strip = adding.window.install_strip
        adding.hand.wait(lambda: strip.words() == "stories: Stopped by a problem")
        adding.hand.click(strip)
        progress = adding.wizard.progress
        assert progress.problem.text() == (
            f"There is not enough free space in {disk}. "
            "Free some space on that disk and try again; nothing was lost."
        )
        kept = progress.status.done
        assert kept > 0
        enlarge(disk, 1 << 30)
        server.asked.clear()
        adding.hand.click(progress.pause_button)
        adding.wait_ready()
        assert [asked.start for asked in server.asked if asked.path.endswith(".gguf")] == [kept]
        adding.hand.close()


def test_of_a_model_that_was_not_kept_nothing_is_said_to_be_kept(qtbot: QtBot) -> None:
    page = ProgressPage()
    qtbot.addWidget(page)
    page.show_status(
        InstallStatus(
            id="install-tiny",
            repository=CHECKPOINT,
            choice="",
            format=Format.CHECKPOINT,
            name="tiny",
            recipe="int8",
            steps=tuple(InstallStep),
            step=InstallStep.QUANTIZE,
            state=InstallState.FAILED,
            error=ModelNotFinite(),
        )
    )
    assert "It was not kept" in page.problem.text()
    assert page.hint.text() == ""
