"""A second start on the same home brings the first window to the front and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QObject, Qt
from PySide6.QtNetwork import QLocalServer, QLocalSocket
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from hearth.errors import WindowNotAnswering
from hearth.home import ensure_home
from hearth.ui.single_instance import SingleInstance
from hearth.ui.to_front import bring_to_front

APP = Path(__file__).parents[2] / "app"


# The program itself, but with less patience.
IMPATIENT = """
from hearth.main import run
from hearth.ui.single_instance import SingleInstance
SingleInstance.__init__.__kwdefaults__["patience_seconds"] = 0.5
run()
"""


def start(home: Path, *arguments: str, program: Sequence[str] = ("-m", "hearth")) -> subprocess.Popen[str]:
    """The program itself, in a process of its own."""
    environment = {**os.environ, "HEARTH_HOME": str(home), "PYTHONPATH": str(APP)}
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def listens(home: Path) -> bool:
    """Whether a window on that home has said where it listens."""
    file = home / "window.lock"
    return file.exists() and bool(file.read_text("utf-8"))


def connects(name: str) -> bool:
    socket = QLocalSocket()
    socket.connectToServer(name)
    connected = socket.waitForConnected(1000)
    socket.abort()
    return connected


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def first(hearth_home: Path) -> Iterator[subprocess.Popen[str]]:
    """A window that is open, in a process of its own."""
    process = start(hearth_home)
    until(lambda: listens(hearth_home) or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    yield process
    process.kill()
    process.communicate()


def test_the_second_of_two_processes_ends_at_once(first: subprocess.Popen[str], hearth_home: Path) -> None:
    second = start(hearth_home)
    out, err = second.communicate(timeout=60)
    assert (second.returncode, out, err) == (0, "", "")
    assert first.poll() is None


def test_another_home_has_a_window_of_its_own(first: subprocess.Popen[str], tmp_path: Path) -> None:
    other = start(tmp_path / "other")
    until(lambda: listens(tmp_path / "other"))
    assert other.poll() is None
    other.kill()
    other.communicate()


def test_the_command_line_is_not_limited(first: subprocess.Popen[str], hearth_home: Path) -> None:
    command = start(hearth_home, "models", "list", "--json")
    _, err = command.communicate(timeout=60)
    assert (command.returncode, err) == (0, "")
    assert first.poll() is None


@pytest.mark.skipif(sys.platform == "win32", reason="a process is ended by a signal")
def test_a_start_while_the_first_one_closes_is_the_next_first_one(
    first: subprocess.Popen[str], hearth_home: Path
) -> None:
    until((hearth_home / "hearth.db").exists)
    first.send_signal(signal.SIGTERM)
    second = start(hearth_home)
    first.communicate(timeout=60)
    assert first.returncode == 0
    # Either it was still answered, or it has become the first.
    until(lambda: second.poll() is not None or listens(hearth_home))
    assert second.poll() in (None, 0)
    second.kill()
    second.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="a process is killed by a signal")
def test_what_a_killed_window_left_behind_is_taken_over(
    first: subprocess.Popen[str], hearth_home: Path
) -> None:
    first.kill()
    first.communicate()
    assert listens(hearth_home), "the file is still there"
    third = start(hearth_home)
    until(lambda: connects((hearth_home / "window.lock").read_text("utf-8")))
    assert third.poll() is None
    third.kill()
    third.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="a process is paused by a signal")
def test_a_window_that_hangs_is_said_in_one_line(first: subprocess.Popen[str], hearth_home: Path) -> None:
    first.send_signal(signal.SIGSTOP)
    try:
        second = start(hearth_home, program=("-c", IMPATIENT))
        out, err = second.communicate(timeout=60)
    finally:
        first.send_signal(signal.SIGCONT)
    assert (second.returncode, out) == (1, "")
    assert err.startswith("hearth: Hearth is open already, but its window does not answer.")
    assert err.count("\n") == 1


@pytest.fixture
def claimed(qtbot: QtBot) -> Iterator[SingleInstance]:
    """This process has the first window."""
    ensure_home()
    instance = SingleInstance()
    assert instance.claim()
    yield instance
    instance.release()


def ask(home: Path, qtbot: QtBot) -> subprocess.Popen[str]:
    """A second start, while this process goes on."""
    second = start(home)
    qtbot.waitUntil(lambda: second.poll() is not None, timeout=60_000)
    second.communicate()
    return second


def test_a_minimised_window_comes_back(claimed: SingleInstance, qtbot: QtBot, hearth_home: Path) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    claimed.asked_to_show.connect(lambda: bring_to_front(window))
    window.showMaximized()
    window.setWindowState(window.windowState() | Qt.WindowState.WindowMinimized)
    assert window.isMinimized()
    assert ask(hearth_home, qtbot).returncode == 0
    assert not window.isMinimized()
    assert window.isMaximized()
    assert window.isActiveWindow()


def test_a_hidden_window_is_shown(claimed: SingleInstance, qtbot: QtBot, hearth_home: Path) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    claimed.asked_to_show.connect(lambda: bring_to_front(window))
    assert ask(hearth_home, qtbot).returncode == 0
    assert window.isVisible()


def test_a_launchers_permission_is_passed_on(
    claimed: SingleInstance, qtbot: QtBot, hearth_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[Any] = []
    claimed.asked_to_show.connect(lambda: passed.append(os.environ.get("XDG_ACTIVATION_TOKEN")))
    monkeypatch.setenv("XDG_ACTIVATION_TOKEN", "of the second start")
    second = start(hearth_home)
    monkeypatch.setenv("XDG_ACTIVATION_TOKEN", "of the first start")
    qtbot.waitUntil(lambda: second.poll() is not None, timeout=60_000)
    second.communicate()
    assert passed == ["of the second start"]


def test_only_this_user_can_reach_it(claimed: SingleInstance, hearth_home: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("has no file for it")
    socket = Path((hearth_home / "window.lock").read_text("utf-8"))
    assert socket.stat().st_mode & 0o077 == 0


def test_a_first_one_that_neither_answers_nor_ends_is_an_error(claimed: SingleInstance) -> None:
    second = SingleInstance(patience_seconds=0.2)
    with pytest.raises(WindowNotAnswering):
        second.claim()


def test_a_first_one_that_cannot_be_reached_is_an_error(claimed: SingleInstance, hearth_home: Path) -> None:
    for text in ("", str(hearth_home / "nobody-listens-here")):
        (hearth_home / "window.lock").write_text(text, "utf-8")
        with pytest.raises(WindowNotAnswering):
            SingleInstance(patience_seconds=0.2).claim()


def test_a_stranger_that_says_nothing_does_not_disturb(claimed: SingleInstance, qtbot: QtBot) -> None:
    asked = QObject()
    claimed.asked_to_show.connect(lambda: asked.setObjectName("asked"))
    server = claimed.findChild(QLocalServer)
    assert server is not None
    stranger = QLocalSocket()
    stranger.connectToServer(server.fullServerName())
    assert stranger.waitForConnected(5000)
    stranger.write(b"no line")
    stranger.flush()
    qtbot.wait(50)
    stranger.abort()
    qtbot.wait(50)
    assert asked.objectName() == ""
    assert server.isListening()


def test_where_no_file_can_be_written_the_window_opens_and_says_why(hearth_home: Path) -> None:
    hearth_home.write_text("in the way")
    assert SingleInstance().claim()
    assert SingleInstance().claim()
