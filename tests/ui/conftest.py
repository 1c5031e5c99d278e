"""A window on real services, driven by clicks and keys."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPushButton,
    QTextEdit,
)
from pytestqt.qtbot import QtBot

from hands import PATIENCE, Hands
from hearth.conversations.message import Message, MessageStatus, Role
from hearth.conversations.store import ConversationStore
from hearth.home import ensure_home
from hearth.model_folder.manifest import Manifest, write_manifest
from hearth.paths import database_file
from hearth.services.events import ModelState
from hearth.services.hearth import Hearth
from hearth.storage.database import Database
from hearth.ui import theme
from hearth.ui.garbage import MainThreadGarbage
from hearth.ui.import_dialog import ImportDialog
from hearth.ui.main_window import MainWindow
from hearth.ui.qt_language import use_qt_language
from hearth.ui.welcome.controller import WELCOMED
from hearth.ui.worker_thread import qt_thread


def pytest_itemcollected(item: pytest.Item) -> None:
    """The offscreen platform complains of every pop-up that it cannot raise or grab the keyboard."""
    item.add_marker(pytest.mark.qt_log_ignore("This plugin does not support", extend=True))


class Hand(Hands):
    """What a person does with the window, and what they see."""

    def __init__(self, window: MainWindow, qtbot: QtBot) -> None:
        self.window = window
        self.qtbot = qtbot

    def close(self) -> None:
        """Close as the user does, and wait until everything has ended."""
        self.window.close()
        self.wait(self.window.is_closed)

    def choose_folder(self, folder: Path) -> None:
        """Answer the folder chooser that is open."""
        self.wait(lambda: self.window.findChild(QFileDialog))
        chooser = self.window.findChild(QFileDialog)
        line = chooser.findChild(QLineEdit)
        line.setText(str(folder))
        accept = next(button for button in chooser.findChildren(QPushButton) if "Choose" in button.text())
        self.click(accept)
        self.wait(lambda: self.window.models.dialog is not None)

    def dialog(self) -> ImportDialog:
        self.wait(lambda: self.window.models.dialog is not None)
        dialog = self.window.models.dialog
        assert dialog is not None
        return dialog

    def import_model(self, folder: Path, name: str = "stories") -> None:
        """Import a model by clicks and wait until it is loaded."""
        self.window.actions_.import_model.trigger()
        self.choose_folder(folder)
        dialog = self.dialog()
        self.wait(dialog.import_button.isEnabled)
        dialog.name_field.selectAll()
        self.qtbot.keyClicks(dialog.name_field, name)
        self.click(dialog.import_button)
        self.wait_loaded(name)

    def wait_loaded(self, name: str) -> None:
        hearth = self.window.hearth
        assert hearth is not None
        self.wait(lambda: self.window.models.current == name)
        self.wait(lambda: hearth.pool.status(name).state is ModelState.READY)
        self.wait(lambda: self.window.picker.status(name).state is ModelState.READY)

    def ask(self, text: str) -> None:
        """Type a question and press Enter."""
        self.activate()
        self.window.composer.focus()
        self.type(text)
        self.key(Qt.Key.Key_Return)

    def answer(self) -> Message | None:
        """The last answer on view."""
        return self.window.session.last(Role.ASSISTANT)

    def wait_answer(self, *, after: str | None = None) -> Message:
        """Wait until the last answer has ended; `after` is the id of an older one that does not count."""

        def ended() -> bool:
            answer = self.answer()
            return bool(
                answer
                and answer.id != after
                and answer.status is not MessageStatus.STREAMING
                and not self.window.session.is_busy()
            )

        self.wait(ended)
        answer = self.answer()
        assert answer is not None
        return answer

    def wait_text(self, characters: int = 1) -> Message:
        """Wait until the answer on view streams and has that much text."""
        live = self.window.session.live_text
        self.wait(lambda: len(live()) >= characters)
        answer = self.answer()
        assert answer is not None
        return answer

    @contextmanager
    def paused_host(self, name: str = "stories") -> Iterator[int]:
        """The model's host stands still, so that an answer cannot end by itself; gives its process id."""
        if sys.platform == "win32":
            pytest.skip("a process cannot be paused by a signal on Windows")
        hearth = self.window.hearth
        assert hearth is not None
        client = hearth.pool.load(name).client
        assert client is not None
        os.kill(client.pid, signal.SIGSTOP)
        try:
            yield client.pid
        finally:
            with suppress(ProcessLookupError):  # the test may have killed it
                os.kill(client.pid, signal.SIGCONT)

    def chat_button(self, name: str) -> QAbstractButton:
        """The last button of that name in the chat view."""
        self.wait(lambda: self._chat_buttons(name))
        return self._chat_buttons(name)[-1]

    def _chat_buttons(self, name: str) -> list[QAbstractButton]:
        view = self.window.view
        found = [
            button
            for button in view.findChildren(QAbstractButton)
            if button.accessibleName() == name and button.isVisible() and button.isEnabled()
        ]
        return sorted(found, key=lambda button: button.mapTo(view, QPoint(0, 0)).y())

    def chat_text(self) -> str:
        """All text that the chat view shows."""
        labels = self.window.view.findChildren(QLabel)
        edits = self.window.view.findChildren(QTextEdit)
        return "\n".join(
            [label.text() for label in labels if label.isVisible()]
            + [edit.toPlainText() for edit in edits if edit.isVisible()]
        )

    def set_parameter(self, name: str, value: str) -> None:
        """Type a value into the parameters panel."""
        if not self.window.panel.isVisible():
            self.click(self.window.panel_button)
        field = self.window.panel.rows[name].field
        field.setFocus()
        field.selectAll()
        self.qtbot.keyClicks(field, value)
        self.key(Qt.Key.Key_Tab, widget=field)

    def conversations(self) -> list[str]:
        """The titles in the list, from the top."""
        model = self.window.list.model
        return [str(model.index(row).data()) for row in range(model.rowCount())]


@pytest.fixture(scope="session", autouse=True)
def _main_thread_garbage(qapp: QApplication) -> None:
    """As in the real program."""
    MainThreadGarbage(qapp)


@pytest.fixture(autouse=True)
def _no_leaked_widgets(qapp: QApplication) -> Iterator[None]:
    """A test that leaves a window, a dialog or a menu behind fails."""
    before = set(qapp.topLevelWidgets())
    yield
    for _ in range(3):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        qapp.processEvents()
    left = [widget for widget in qapp.topLevelWidgets() if widget not in before]
    assert not left, f"left behind: {left}"


@pytest.fixture(autouse=True)
def _hearth_looks(qapp: QApplication) -> None:
    QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    theme.theme().apply("light")
    use_qt_language(qapp)


def read_welcome() -> None:
    """This test's home is that of somebody who has read the welcome."""
    ensure_home()
    database = Database.open(database_file())
    ConversationStore(database).set_setting(WELCOMED, True)
    database.close()


@pytest.fixture
def open_window(qtbot: QtBot) -> Iterator[Callable[..., Hand]]:
    """Opens windows on this test's home; those that are still open at its end are closed."""
    opened: list[MainWindow] = []

    def open_(*, welcome: bool = False) -> Hand:
        """`welcome`: as at the first start, with the welcome on view."""
        if not welcome:
            read_welcome()
        window = MainWindow(lambda: Hearth.open(thread_factory=qt_thread))
        opened.append(window)
        with qtbot.waitSignal(window.ready, timeout=PATIENCE):
            window.show()
            window.start()
        hand = Hand(window, qtbot)
        hand.wait(lambda: window.models.entries is not None)
        hand.activate()
        return hand

    yield open_
    for window in opened:
        Hand(window, qtbot).close()
        window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def starter(stories_float32: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a model that is part of Hearth; a story model stands in for the real one."""
    folder = tmp_path / "resources" / "model"
    shutil.copytree(stories_float32, folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    write_manifest(folder, Manifest(version=1, name="hearth-starter", sampling={"temperature": 0.25}))
    monkeypatch.setattr("hearth.models.registry.built_in_folders", lambda: (folder,))
    return "hearth-starter"


@pytest.fixture
def hand(open_window: Callable[..., Hand]) -> Hand:
    """A window on an empty home."""
    return open_window()


@pytest.fixture
def hand_with_model(hand: Hand, stories_float32: Path) -> Hand:
    """A window whose model is loaded."""
    hand.import_model(stories_float32)
    return hand
