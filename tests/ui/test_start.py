"""What keeps Hearth from starting is said in the window, with what to do; what does not is a banner."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QThread
from pytestqt.qtbot import QtBot

from golden_checkpoint import golden_checkpoint
from hearth.errors import HearthError
from hearth.models.registry import ModelRegistry
from hearth.paths import config_file, database_file
from hearth.services.downloads import Downloads
from hearth.services.hearth import Hearth
from hearth.services.install_events import InstallDone
from hearth.services.installs import Installs
from hearth.ui.main_window import MainWindow
from hearth.ui.worker_thread import qt_thread


@pytest.fixture
def starting(qtbot: QtBot) -> Iterator[MainWindow]:
    """A window that is not open yet."""
    window = MainWindow(lambda: Hearth.open(thread_factory=qt_thread))
    window.show()
    yield window
    window.close()
    qtbot.waitUntil(window.is_closed, timeout=30_000)
    window.deleteLater()


def _wait_for_problem(window: MainWindow, qtbot: QtBot) -> str:
    window.start()
    qtbot.waitUntil(lambda: window.pages.currentWidget() is window.problem, timeout=30_000)
    assert window.problem.heading() == "Hearth cannot start"
    return window.problem.text()


def test_a_home_that_is_a_file(starting: MainWindow, qtbot: QtBot, hearth_home: Path) -> None:
    """Stands for a home that cannot be written to, also where the tests run as root."""
    hearth_home.write_text("in the way")
    text = _wait_for_problem(starting, qtbot)
    assert "cannot write to its folder" in text
    assert "HEARTH_HOME" in text
    hearth_home.unlink()
    with qtbot.waitSignal(starting.ready, timeout=30_000):
        starting.problem.button.click()
    assert starting.pages.currentWidget() is starting.welcome.widget


def test_the_welcome_comes_back_after_a_start_that_failed_half_way(qtbot: QtBot) -> None:
    """The first try leaves a database behind, so that the second does not look like a first start."""
    tries: list[Hearth] = []

    def open_hearth() -> Hearth:
        tries.append(Hearth.open(thread_factory=qt_thread))
        if len(tries) == 1:
            tries[0].close()
            raise HearthError(detail="half way")
        return tries[-1]

    window = MainWindow(open_hearth)
    window.show()
    _wait_for_problem(window, qtbot)
    with qtbot.waitSignal(window.ready, timeout=30_000):
        window.problem.button.click()
    assert window.welcome.widget is not None
    assert window.pages.currentWidget() is window.welcome.widget
    window.close()
    qtbot.waitUntil(window.is_closed, timeout=30_000)
    window.deleteLater()


def test_no_column_is_painted_over_another_in_a_narrow_window(open_window: Callable[[], Any]) -> None:
    window = open_window().window
    window.resize(640, 600)
    assert window.width() == 640
    window.actions_.toggle_panel.setChecked(True)
    assert window.panel.isVisible()
    window.resize(100, 600)
    columns = [window.splitter.widget(place) for place in range(3)]
    for left, right in pairwise(columns):
        assert left.geometry().right() < right.geometry().left()
    assert window.panel.geometry().right() < window.splitter.width()
    window.actions_.toggle_panel.setChecked(False)
    window.resize(100, 600)
    assert window.width() < 640


def test_help_and_about_work_where_hearth_does_not_start(
    starting: MainWindow, qtbot: QtBot, hearth_home: Path
) -> None:
    hearth_home.write_text("in the way")
    _wait_for_problem(starting, qtbot)
    starting.actions_.help.trigger()
    beside = starting.side_windows
    qtbot.waitUntil(lambda: beside.help is not None and beside.help.page is not None, timeout=30_000)
    starting.actions_.about.trigger()
    assert beside.about is not None
    assert beside.about.isVisible()
    beside.about.close()
    assert beside.about is None
    assert not starting.actions_.settings.isEnabled()
    assert not starting.actions_.welcome.isEnabled()
    assert not starting.actions_.new_chat.isEnabled()


def test_a_database_from_the_future(starting: MainWindow, qtbot: QtBot) -> None:
    Hearth.open(thread_factory=qt_thread).close()
    with sqlite3.connect(database_file()) as connection:
        connection.execute("update alembic_version set version_num = 'ffffffffffff'")
    connection.close()
    text = _wait_for_problem(starting, qtbot)
    assert "newer version of Hearth" in text
    assert "Update Hearth" in text


def test_a_damaged_database(starting: MainWindow, qtbot: QtBot, hearth_home: Path) -> None:
    hearth_home.mkdir()
    database_file().write_bytes(b"no database at all" * 1000)
    text = _wait_for_problem(starting, qtbot)
    assert "cannot be read" in text
    starting.problem.second.click()
    qtbot.waitUntil(starting.is_closed, timeout=30_000)


def test_an_unknown_setting_is_a_banner_while_defaults_apply(
    open_window: Callable[[], Any], hearth_home: Path
) -> None:
    hearth_home.mkdir()
    config_file().write_text("[defaults]\ntemprature = 0.1\n", encoding="utf-8")
    hand = open_window()
    banner = hand.window.banner
    assert banner.isVisible()
    assert "temprature" in banner.text()
    assert "temperature" in banner.text()
    assert hand.window.hearth.config.defaults.temperature == 0.7
    hand.click(banner.close_button)
    assert not banner.isVisible()


@pytest.mark.timeout(300)
def test_a_window_goes_on_with_what_the_last_one_had_begun_to_install(
    open_window: Callable[[], Any], tmp_path: Path
) -> None:
    models = ModelRegistry()
    installs = Installs(models, Downloads(models))
    install = installs.add_checkpoint(golden_checkpoint("llama3", tmp_path), "tiny", "int8").id
    hand = open_window()
    told: list[tuple[QThread, Any]] = []
    main = QThread.currentThread()
    hand.window.bridge.install_changed.connect(lambda event: told.append((QThread.currentThread(), event)))
    hand.wait(lambda: told and isinstance(told[-1][1], InstallDone))
    assert {thread for thread, _ in told} == {main}
    assert {event.id for _, event in told} == {install}
    assert hand.window.hearth.models.get("tiny").manifest.quantization is not None


def test_a_window_that_is_closed_while_it_opens_ends(qtbot: QtBot) -> None:
    window = MainWindow(lambda: Hearth.open(thread_factory=qt_thread))
    window.show()
    window.start()
    window.close()
    qtbot.waitUntil(window.is_closed, timeout=30_000)
    window.deleteLater()


def test_a_window_whose_screen_is_gone_is_on_a_screen(
    open_window: Callable[[], Any], hearth_home: Path
) -> None:
    hearth_home.mkdir()
    (hearth_home / "window.ini").write_text(
        "[General]\ngeometry=nonsense\nfont_scale=many\n", encoding="utf-8"
    )
    window = open_window().window
    assert window.screen().availableGeometry().intersects(window.frameGeometry())
    window.move(20_000, 20_000)
    hand = open_window  # a second window reads what the first has saved
    window.close()
    again = hand().window
    assert again.screen().availableGeometry().intersects(again.frameGeometry())


def test_what_is_typed_while_hearth_opens_is_in_the_field(starting: MainWindow, qtbot: QtBot) -> None:
    Hearth.open(thread_factory=qt_thread).close()  # not the first start
    with qtbot.waitSignal(starting.ready, timeout=30_000):
        starting.start()
        assert starting.focusWidget() is starting.composer.edit
        qtbot.keyClicks(starting.focusWidget(), "Hello")
    assert starting.composer.text() == "Hello"
