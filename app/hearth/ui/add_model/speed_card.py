"""How fast the new model is: the estimate, a button that measures, and what was measured."""

from __future__ import annotations

from PySide6.QtCore import QLocale, Qt, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from hearth.i18n import tr
from hearth.model_folder.speed import SpeedReport
from hearth.ui.add_model.page import card, section_label
from hearth.ui.text_scale import text_label
from hearth.ui.theme import Space
from hearth.ui.wording import error_text, speed_text

_AS_EXPECTED = 0.15


class SpeedCard(QWidget):
    """`tell` may be called on any thread.

    Signals:
        measure_wanted: the model shall be measured.
        stop_wanted: measuring shall stop.
    """

    measure_wanted = Signal()
    stop_wanted = Signal()
    _moved = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._expected = 0.0
        frame, column = card(self)
        column.addWidget(section_label(frame, tr("Speed")))
        self.words = text_label(frame)
        self.more = text_label(frame, kind="secondary")
        self.bar = QProgressBar(frame)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(tr("Progress of the measurement"))
        self.problem = text_label(frame, kind="danger")
        self.button = QPushButton(tr("Measure Speed"), frame)
        self.button.clicked.connect(self._on_measure)
        self.stop_button = QPushButton(tr("Stop"), frame)
        self.stop_button.clicked.connect(self._on_stop)
        buttons = QHBoxLayout()
        buttons.setSpacing(Space.S)
        buttons.addWidget(self.button)
        buttons.addWidget(self.stop_button)
        buttons.addStretch(1)
        for part in (self.words, self.more, self.bar, self.problem):
            column.addWidget(part)
        column.addSpacing(Space.XS)
        column.addLayout(buttons)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(frame)
        self._moved.connect(self._on_moved, Qt.ConnectionType.QueuedConnection)

    def show_expected(self, write_speed: float) -> None:
        """Not measured yet; 0 where nothing is expected."""
        self._expected = write_speed
        if write_speed:
            text = tr("It should write about {n} tokens a second here.", n=speed_text(write_speed))
        else:
            text = tr("How fast it is here is not known yet.")
        self.words.setText(text)
        self.button.setText(tr("Measure Speed"))
        self.more.setText(tr("Measuring takes a minute or two, and unloads other models for it."))
        self._show(running=False)

    def show_report(self, report: SpeedReport) -> None:
        """It was measured."""
        write, read = report.write_speed, report.read_speed
        if write is None:
            self.words.setText(tr("It wrote nothing that could be measured."))
        elif not self._expected:
            self.words.setText(tr("It writes {n} tokens a second.", n=speed_text(write)))
        else:
            template = tr("It writes {n} tokens a second, where {expected} were expected.")
            if abs(write / self._expected - 1) < _AS_EXPECTED:
                template = tr("It writes {n} tokens a second, as expected.")
            self.words.setText(template.format(n=speed_text(write), expected=speed_text(self._expected)))
        more = ""
        if read and report.load_seconds:
            seconds = QLocale().toString(report.load_seconds, "f", 1)
            more = tr(
                "It reads {n} tokens a second, and is loaded in {seconds} s.",
                n=speed_text(read),
                seconds=seconds,
            )
        self.more.setText(more)
        self.button.setText(tr("Measure Again"))
        self._show(running=False)

    def show_not_measured(self, error: Exception | None) -> None:
        """It could not be measured; None: it was stopped."""
        self.show_expected(self._expected)
        if error is not None:
            self.problem.setText(error_text(error))
            self.problem.show()

    def tell(self, done: int, total: int) -> None:
        """So many of the runs are done."""
        self._moved.emit(done, total)

    def is_running(self) -> bool:
        return not self.bar.isHidden()

    def _show(self, *, running: bool) -> None:
        # Stop has the keyboard, or had it when it was pressed, and nothing else has taken it since.
        focused = self.window().focusWidget()
        had_keyboard = focused is self.stop_button or (not self.stop_button.isEnabled() and focused is None)
        self.bar.setVisible(running)
        self.stop_button.setVisible(running)
        self.stop_button.setEnabled(True)
        self.button.setVisible(not running)
        if had_keyboard and not running and self.isVisible():
            self.button.setFocus()
        self.more.setVisible(bool(self.more.text()))
        self.problem.hide()

    @Slot()
    def _on_measure(self) -> None:
        self.bar.setRange(0, 0)
        self.words.setText(tr("Measuring…"))
        self.more.setText("")
        self._show(running=True)
        self.stop_button.setFocus()
        self.measure_wanted.emit()

    @Slot()
    def _on_stop(self) -> None:
        self.stop_button.clearFocus()  # else Qt hands it to the next control when this one is disabled
        self.stop_button.setEnabled(False)
        self.words.setText(tr("Stopping…"))
        self.stop_wanted.emit()

    @Slot(int, int)
    def _on_moved(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)
