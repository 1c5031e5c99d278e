"""The models on their way to another folder: how far they are, and a way to stop."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QCloseEvent, QFont
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from hearth.errors import MoveCancelled
from hearth.i18n import tr
from hearth.ui.settings.page import hint_label
from hearth.ui.tasks import Lane, Tasks
from hearth.ui.theme import FontSize, Space, font
from hearth.ui.transfer_progress import TransferProgress

if TYPE_CHECKING:
    from hearth.models.copying import CancelledCallback, ProgressCallback

Move = Callable[["ProgressCallback", "CancelledCallback"], None]


class MoveDialog(QDialog):
    """Moves while it is open. Cancel and Esc stop the move; the dialog closes when everything is in order again.

    Signals:
        failed: an exception; stopping is none.
    """

    failed = Signal(object)

    def __init__(self, move: Move, tasks: Tasks, parent: QWidget | None = None) -> None:
        """`move` does it, on a worker thread."""
        super().__init__(parent)
        self.setObjectName("moveDialog")
        self.setWindowTitle(tr("Moving Your Models"))
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setMinimumWidth(420)
        self._cancelled = Event()
        heading = QLabel(tr("Moving your models…"), self)
        heading.setProperty("kind", "title")
        heading.setFont(font(FontSize.TITLE, weight=QFont.Weight.DemiBold))
        self.progress = TransferProgress(tr("Progress of the move"), self)
        self.cancel_button = QPushButton(tr("&Cancel"), self)
        self.cancel_button.clicked.connect(self.reject)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Space.XL, Space.XL, Space.XL, Space.L)
        layout.setSpacing(Space.M)
        layout.addWidget(heading)
        layout.addWidget(
            hint_label(tr("Until the end, the models stay where they are. Cancelling loses nothing."), self)
        )
        layout.addWidget(self.progress)
        layout.addLayout(buttons)
        tell, cancelled = self.progress.tell, self._cancelled.is_set
        tasks.run(lambda: move(tell, cancelled), owner=self, lane=Lane.FILES).success(
            lambda _: self.accept()
        ).failure(self._on_failed)

    def reject(self) -> None:
        if not self._cancelled.is_set():
            self._cancelled.set()
            self.cancel_button.setEnabled(False)
            self.progress.say(tr("Cancelling…"))

    def closeEvent(self, event: QCloseEvent) -> None:
        event.ignore()
        self.reject()

    def _on_failed(self, error: Exception) -> None:
        super().reject()
        if not isinstance(error, MoveCancelled):
            self.failed.emit(error)
