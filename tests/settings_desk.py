"""The settings dialog on real services, and the hand that uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from hands import Hands
from hearth.config import Config, load_config
from hearth.services.hearth import Hearth
from hearth.ui.settings.choice_box import ChoiceBox
from hearth.ui.settings.settings_dialog import SettingsDialog
from hearth.ui.tasks import Tasks
from hearth.ui.worker_thread import qt_thread


@contextmanager
def open_desk(qtbot: QtBot) -> Iterator[Desk]:
    """Hearth on the home of this test, with the dialog open."""
    hearth, tasks = Hearth.open(thread_factory=qt_thread), Tasks()
    desk = Desk(hearth, tasks, qtbot)
    try:
        yield desk
    finally:
        desk.close()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        tasks.close()
        hearth.close()


class Desk(Hands):
    """What a person does with the dialog, and what is kept of it."""

    def __init__(self, hearth: Hearth, tasks: Tasks, qtbot: QtBot) -> None:
        self.hearth = hearth
        self.tasks = tasks
        self.qtbot = qtbot
        self.told: list[Config] = []
        hearth.settings_changed.subscribe(self.told.append)
        self.dialog = self.open()

    @property
    def window(self) -> SettingsDialog:
        return self.dialog

    def open(self, text_size: float = 1.0) -> SettingsDialog:
        self.dialog = SettingsDialog(self.hearth, self.tasks, text_size)
        self.dialog.show()
        self.activate()
        return self.dialog

    def close(self) -> None:
        """Close by the button, as a user does, and let go."""
        if self.dialog.isVisible():
            self.dialog.close()
            self.wait(lambda: not self.dialog.isVisible())
        self.dialog.deleteLater()

    def reopen(self) -> SettingsDialog:
        self.close()
        return self.open()

    def settle(self) -> None:
        """Wait until everything that was asked for is done."""
        done: list[Any] = []
        self.tasks.run(lambda: None).success(done.append)
        self.wait(lambda: done)

    def kept(self) -> Config:
        """What stands in the settings file."""
        return load_config()

    def choose(self, box: ChoiceBox, text: str) -> None:
        """Open the box, go to `text` with the arrow keys and take it with Enter."""
        self.activate()
        box.setFocus()
        self.key(Qt.Key.Key_Space)
        view = box.view()
        self.wait(view.isVisible)
        rows = [box.itemText(row) for row in range(box.count())]
        steps = rows.index(text) - box.currentIndex()
        for _ in range(abs(steps)):
            self.qtbot.keyClick(view, Qt.Key.Key_Down if steps > 0 else Qt.Key.Key_Up)
        self.qtbot.keyClick(view, Qt.Key.Key_Return)
        self.wait(lambda: not view.isVisible())

    def set_number(self, name: str, text: str) -> None:
        """Type a number into a row of Model Defaults."""
        field = self.dialog.defaults.rows[name].field
        field.setFocus()
        field.selectAll()
        self.type(text)
        self.key(Qt.Key.Key_Tab)

    def wheel(self, widget: QWidget) -> None:
        middle = QPointF(widget.rect().center())
        event = QWheelEvent(
            middle,
            QPointF(widget.mapToGlobal(middle.toPoint())),
            QPoint(0, 0),
            QPoint(0, -120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(widget, event)

    def button(self, within: QWidget, text: str) -> QPushButton:
        """The button of that text, its mnemonic aside."""
        found = [
            button
            for button in within.findChildren(QPushButton)
            if button.text().replace("&", "") == text and button.isVisible()
        ]
        assert len(found) == 1, f"{len(found)} buttons “{text}”"
        return found[0]
