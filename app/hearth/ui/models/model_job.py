"""Something that takes a while and is done to one model: how far it is, and a way to stop it."""

from __future__ import annotations

import time
from enum import StrEnum
from threading import Event

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from hearth.i18n import tr
from hearth.ui.theme import Space
from hearth.ui.wording import size_text, time_left_text

_STEPS = 1000
_SECONDS_BETWEEN = 0.1


class JobKind(StrEnum):
    """What is done."""

    VERIFY = "verify"
    MEASURE = "measure"
    ADD = "add"


class ModelJob(QObject):
    """Lives on the main thread; `tell` and `is_cancelled` may be called on any.

    Attributes:
        name: the model.
        done, total: bytes, or runs of a measurement; 0 while they are not known.

    Signals:
        moved: it has gone on, or is being stopped.
    """

    moved = Signal()
    _told = Signal(float, float)  # a Qt int has 32 bits

    def __init__(self, kind: JobKind, name: str, parent: QObject) -> None:
        super().__init__(parent)
        self.kind = kind
        self.name = name
        self.done = self.total = 0
        self._began = time.monotonic()
        self._last = 0.0
        self._cancelled = Event()
        self._told.connect(self._on_told)

    def tell(self, done: int, total: int) -> None:
        """`done` of `total` are done."""
        now = time.monotonic()
        if now - self._last >= _SECONDS_BETWEEN or done == total or self.kind is JobKind.MEASURE:
            self._last = now
            self._told.emit(float(done), float(total))

    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Stop as soon as that can be."""
        self._cancelled.set()
        self.moved.emit()

    def title(self) -> str:
        """What is done, as a heading."""
        match self.kind:
            case JobKind.VERIFY:
                return tr("Verifying the files")
            case JobKind.MEASURE:
                return tr("Measuring the speed")
            case JobKind.ADD:
                return tr("Adding")

    def words(self) -> str:
        """How far it is, and how long it will still take."""
        if self.is_cancelled():
            return tr("Cancelling…")
        if not self.total:
            return tr("Loading the model…") if self.kind is JobKind.MEASURE else tr("Starting…")
        if self.kind is JobKind.MEASURE:
            text = tr("{done} of {total} runs", done=self.done, total=self.total)
        else:
            text = tr("{done} of {total}", done=size_text(self.done), total=size_text(self.total))
        passed = time.monotonic() - self._began
        if 0 < self.done < self.total and passed > 1:
            text += " · " + time_left_text(passed * (self.total - self.done) / self.done)
        return text

    @Slot(float, float)
    def _on_told(self, done: float, total: float) -> None:
        if not self.total and self.kind is JobKind.MEASURE:
            self._began = time.monotonic()  # loading is no run
        self.done, self.total = int(done), int(total)
        self.moved.emit()


class JobCard(QFrame):
    """Shows a job, or nothing while there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("notice")
        self.job: ModelJob | None = None
        self._title = QLabel(self)
        self._title.setProperty("kind", "title")
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.words = QLabel(self)
        self.words.setProperty("kind", "secondary")
        self.words.setWordWrap(True)
        self.cancel_button = QPushButton(tr("Cancel"), self)
        self.cancel_button.clicked.connect(self._on_cancel)
        foot = QHBoxLayout()
        foot.addWidget(self.words, 1)
        foot.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Space.L, Space.M, Space.L, Space.M)
        layout.setSpacing(Space.S)
        layout.addWidget(self._title)
        layout.addWidget(self.bar)
        layout.addLayout(foot)
        self.hide()

    def show_job(self, job: ModelJob | None) -> None:
        """Show this job from now on; None shows nothing."""
        if job is not self.job:
            if self.job is not None:
                self.job.moved.disconnect(self._on_moved)
            self.job = job
            if job is not None:
                job.moved.connect(self._on_moved)
        self.setVisible(job is not None)
        if job is not None:
            self._title.setText(job.title())
            self.bar.setAccessibleName(f"{job.title()}: {job.name}")
            self.cancel_button.setAccessibleName(f"{tr('Cancel')}: {job.title()}")
            self._on_moved()

    @Slot()
    def _on_moved(self) -> None:
        job = self.job
        if job is None:
            return
        self.bar.setRange(0, _STEPS if job.total else 0)
        if job.total:
            self.bar.setValue(round(_STEPS * job.done / job.total))
        self.words.setText(job.words())
        self.cancel_button.setEnabled(not job.is_cancelled())

    @Slot()
    def _on_cancel(self) -> None:
        if self.job is not None:
            self.job.cancel()
