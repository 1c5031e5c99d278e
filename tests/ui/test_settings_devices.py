"""The devices page: what there is, what was measured, and what the user wants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from hearth.paths import config_file
from hearth.services.devices import measure_again
from hearth.services.hearth import Hearth
from settings_desk import Desk, open_desk


@pytest.fixture
def desk(qtbot: QtBot) -> Iterator[Desk]:
    with open_desk(qtbot) as desk:
        desk.dialog.show_page("devices")
        desk.wait(lambda: desk.dialog.devices.states)
        yield desk


def test_every_device_is_listed_with_how_it_is(desk: Desk) -> None:
    states = {name: label.text() for name, label in desk.dialog.devices.states.items()}
    assert set(states) == {"cuda", "directml", "coreml", "webgpu", "openvino", "cpu"}
    assert states["cpu"].startswith(("used (", "can be used ("))
    assert "not tried by anybody yet" in states["webgpu"]
    assert "not tried by anybody yet" not in states["cpu"]
    assert desk.dialog.devices.measured == {}


def test_a_chosen_device_is_kept_and_automatic_is_the_default(desk: Desk) -> None:
    page = desk.dialog.devices
    desk.choose(page.device, "CPU")
    desk.wait(lambda: desk.kept().engine.device == "cpu")
    desk.wait(lambda: page.states["cpu"].text().startswith("used (config.toml says so)"))
    desk.choose(page.device, "What is fastest")
    desk.wait(lambda: desk.kept().engine.device == "auto")
    assert 'device = "cpu"' not in config_file().read_text("utf-8")


def test_only_what_can_be_used_is_offered(desk: Desk) -> None:
    box = desk.dialog.devices.device
    offered = {box.itemData(row) for row in range(box.count())}
    usable = {
        name for name, label in desk.dialog.devices.states.items() if not label.text().startswith("not used")
    }
    assert offered == {"auto"} | usable


def test_a_measured_model_is_shown_and_can_be_measured_again(
    hearth_home: Path, qtbot: QtBot, stories_int8: Path
) -> None:
    hearth = Hearth.open()
    hearth.models.import_folder(stories_int8, name="stories")
    measure_again(hearth, "stories")
    hearth.close()
    with open_desk(qtbot) as desk:
        page = desk.dialog.devices
        desk.dialog.show_page("devices")
        desk.wait(lambda: page.measured)
        before = page.measured["stories"].text()
        assert before.startswith("CPU, ")
        assert "tokens a second" in before
        desk.click(page.again_buttons["stories"])
        assert page.measured["stories"].text() == "Measuring…"
        desk.wait(lambda: "chosen" in page.measured["stories"].text())


def test_a_refused_device_is_said_in_the_window(hearth_home: Path, hand: Any, stories_int8: Path) -> None:
    hand.window.hearth.change_settings({"engine.device": "cuda"})
    hand.import_model(stories_int8)
    hand.wait(hand.window.toast.isVisible)
    assert hand.window.toast.text().startswith("NVIDIA CUDA is not used: ")
