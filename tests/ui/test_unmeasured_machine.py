"""A machine that was never measured: results are there at once, speeds come when they are known, and nothing is left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Lock
from typing import Any

import msgspec
import psutil
import pytest
from PySide6.QtCore import Qt

from adding import CHECKPOINT, SMALL, WizardHand, know_machine, repositories
from hearth.hardware.machine import read_machine
from hearth.models.experience import read_experience
from hearth.models.fit import Fit
from hearth.services import machine_speed, model_fit
from hearth.services.device_options import machine_text
from hearth.services.model_fit import experience_file
from hub_server import HubServer
from machine_speeds import speeds

# In the place of what measures: a process that answers when it is told to.
MEASURES = """
import os, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
(folder / f"{os.getpid()}.pid").touch()
while not (folder / "answer").exists():
    time.sleep(0.02)
sys.stdout.write((folder / "answer").read_text())
"""


class Measuring:
    """The processes that measure, in a folder that they share with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def pids(self) -> list[int]:
        """Of all that were started."""
        return [int(file.stem) for file in self.folder.glob("*.pid")]

    def is_running(self) -> bool:
        return any(psutil.pid_exists(pid) for pid in self.pids())

    def finish(self, answer: str = msgspec.json.encode(speeds(5e10)).decode()) -> None:
        """Have them answer, and those that come."""
        file = self.folder / "answer.new"
        file.write_text(answer)
        file.rename(self.folder / "answer")


@pytest.fixture
def measuring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Measuring:
    folder = tmp_path / "measuring"
    folder.mkdir()
    command = [sys.executable, "-c", MEASURES, str(folder)]
    monkeypatch.setattr(machine_speed, "own_command", lambda *_: command)
    return Measuring(folder)


@pytest.fixture
def adding(measuring: Measuring, open_window: Callable[..., Any]) -> WizardHand:
    """A window on the home of somebody who has never looked for a model."""
    return WizardHand(open_window())


@pytest.fixture
def server(tmp_path: Path, stories_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer(repositories(tmp_path / "hub", stories_gguf)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        for name in ("HEARTH_HUB_TOKEN", "HEARTH_OFFLINE", "HTTP_PROXY", "http_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield server


def begin(adding: WizardHand, measuring: Measuring) -> None:
    """Open the wizard, and wait until the machine is being measured."""
    adding.window.actions_.add_model.trigger()
    adding.activate()
    adding.hand.wait(measuring.pids)


def wait_verdicts(adding: WizardHand) -> None:
    adding.hand.wait(lambda: all(row.verdict for row in adding.wizard.choose.list.rows()))


def test_what_needs_no_speeds_is_there_at_once_and_the_rest_when_they_are_known(
    adding: WizardHand, measuring: Measuring, server: HubServer
) -> None:
    begin(adding, measuring)
    hand, wizard, choose, details = adding.hand, adding.wizard, adding.wizard.choose, adding.wizard.details
    assert choose.count.text() == "34 models · measuring this machine…"
    assert all("of memory" in row.facts for row in choose.list.rows())
    assert not any(row.fit is Fit.WELL or row.badge for row in choose.list.rows())
    choose.search.setFocus()
    hand.type("tiny")
    hand.click(choose.search_button)
    hand.wait(lambda: [row.title for row in choose.list.rows()] == [CHECKPOINT])
    hand.click(wizard.next)
    hand.wait(lambda: details.forms is not None)
    assert details.licence.text() == "apache-2.0"
    assert details.fit.verdict.text().startswith("Fits: it needs")
    assert details.fit.measuring.isVisible()
    assert [cell.text() for cell in details.fit.cells[0][2:4]] == ["–", "–"]
    assert "to fetch" in details.fit.disk.text()
    box = details.choices.boxes["safetensors"]
    box.setFocus()
    hand.key(Qt.Key.Key_End, widget=box)
    adding.name("mine")

    measuring.finish()
    hand.wait(lambda: not details.fit.measuring.isVisible())
    assert details.fit.verdict.text().startswith("Runs well: it needs")
    assert "–" not in [cell.text() for cell in details.fit.cells[0][2:4]]
    assert "about a minute to compress it" in details.fit.disk.text()
    assert (details.choices.recipe(), details.name.text()) == ("int8", "mine")  # as it was left
    hand.click(wizard.back)
    choose.show_catalogue()
    wait_verdicts(adding)
    assert choose.list.rows()[0].badge == "Recommended for this machine"


def test_a_length_that_was_chosen_meanwhile_stays(
    adding: WizardHand, measuring: Measuring, server: HubServer
) -> None:
    adding.window.hearth.change_settings({"engine.kv_cache_mb": 256})  # so that memory decides by the length
    begin(adding, measuring)
    adding.look_at(f"{SMALL}-GGUF")
    box = adding.wizard.details.fit.context_box
    assert [box.itemText(place) for place in range(box.count())] == [
        "2,048 tokens (Fits)",
        "4,096 tokens (Fits)",
        "8,192 tokens (Does not fit)",
    ]
    assert box.currentIndex() == 1
    box.setFocus()
    adding.hand.key(Qt.Key.Key_Up, widget=box)
    measuring.finish()
    adding.hand.wait(lambda: box.itemText(1) == "4,096 tokens (Runs well)")
    assert box.currentText() == "2,048 tokens (Runs well)"


def test_the_speed_that_a_new_model_should_have_is_told_when_it_is_known(
    adding: WizardHand, measuring: Measuring, stories_float32: Path
) -> None:
    registry = adding.window.hearth.models
    registry.import_folder(stories_float32, name="stories")
    begin(adding, measuring)
    adding.wizard.show_entry(registry.get("stories"))
    words = adding.wizard.ready.speed.words
    assert "not known yet" in words.text()
    measuring.finish()
    adding.hand.wait(lambda: words.text().startswith("It should write about"))


def test_where_a_machine_cannot_be_measured_memory_alone_decides(
    adding: WizardHand, measuring: Measuring, server: HubServer
) -> None:
    begin(adding, measuring)
    adding.look_at(CHECKPOINT)
    measuring.finish("no answer")
    card = adding.wizard.details.fit
    adding.hand.wait(lambda: not card.measuring.isVisible())
    assert card.verdict.text().startswith("Runs well: it needs")
    adding.hand.click(adding.wizard.back)
    adding.wizard.choose.show_catalogue()
    wait_verdicts(adding)


def test_what_is_known_from_another_time_is_there_while_the_machine_is_measured_again(
    adding: WizardHand, measuring: Measuring
) -> None:
    know_machine(times=1)
    begin(adding, measuring)
    wait_verdicts(adding)
    before = adding.wizard.choose.list.rows()
    measuring.finish(msgspec.json.encode(speeds(1e9)).decode())
    adding.hand.wait(lambda: len(measured()) == 2)
    adding.hand.wait(lambda: "add-model-judge" not in adding.window.tasks._newest)
    assert adding.wizard.choose.list.rows() == before


def measured() -> tuple[Any, ...]:
    """All that is kept of this machine's speeds."""
    return read_experience(experience_file(), machine_text(read_machine())).measured


def test_closing_the_wizard_ends_the_measuring_and_the_next_one_measures(
    adding: WizardHand, measuring: Measuring
) -> None:
    begin(adding, measuring)
    adding.wizard.close()
    adding.hand.wait(lambda: not measuring.is_running())
    assert measured() == ()
    adding.window.actions_.add_model.trigger()
    adding.hand.wait(lambda: len(measuring.pids()) == 2)
    measuring.finish()
    wait_verdicts(adding)


@pytest.mark.parametrize("where", ["wizard", "welcome"])
def test_closing_the_window_ends_the_measuring(
    measuring: Measuring, open_window: Callable[..., Any], where: str, caplog: pytest.LogCaptureFixture
) -> None:
    hand = open_window(welcome=where == "welcome")
    if where == "wizard":
        hand.window.actions_.add_model.trigger()
    hand.wait(measuring.pids)
    hand.close()
    assert not measuring.is_running()
    assert "cannot be measured" not in caplog.text  # as after a minute without an answer
    assert measured() == ()


class WatchedLock:
    """A lock that tells when somebody waits for it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.is_waited_for = Event()

    def acquire(self, timeout: float) -> bool:
        got = self._lock.acquire(timeout=timeout)
        if not got:
            self.is_waited_for.set()
        return got

    def release(self) -> None:
        self._lock.release()


def test_the_wizard_that_the_welcome_leads_to_does_not_measure_beside_it(
    measuring: Measuring, open_window: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = WatchedLock()
    monkeypatch.setattr(model_fit, "_measuring", lock)
    hand = open_window(welcome=True)
    hand.wait(measuring.pids)
    hand.click(hand.window.welcome.widget.next)
    hand.click(hand.window.welcome.widget.machine.find_button)
    hand.wait(lock.is_waited_for.is_set)
    measuring.finish()
    wait_verdicts(WizardHand(hand))
    assert len(measuring.pids()) == len(measured()) == 1
