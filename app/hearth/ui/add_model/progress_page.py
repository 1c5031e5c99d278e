"""The third page of the wizard: how far a model on its way is, and the ways to pause, cancel or try again."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from hearth.errors import ModelNotFinite
from hearth.i18n import tr
from hearth.services.install_events import InstallState, InstallStatus, InstallStep
from hearth.ui.add_model.install_wording import STEPS, state_text, step_text
from hearth.ui.add_model.page import AddModelPage, card
from hearth.ui.text_scale import text_label
from hearth.ui.theme import Space, icon, theme
from hearth.ui.wording import error_text

_BAR_STEPS = 1000


@dataclass(slots=True)
class _StepRow:
    """The widgets of one step."""

    whole: QWidget
    icon: QLabel
    title: QLabel
    state: QLabel
    bar: QProgressBar
    words: QLabel
    look: tuple[str, str] = ("", "")


class ProgressPage(AddModelPage):
    """Shows one install.

    Attributes:
        status: where it stands; None while none is on view.

    Signals:
        pause_wanted, resume_wanted, cancel_wanted: with its id.
    """

    pause_wanted = Signal(str)
    resume_wanted = Signal(str)
    cancel_wanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", "", parent)
        self.status: InstallStatus | None = None
        content, column = self.add_scrolled()
        frame, inner = card(content)
        inner.setSpacing(Space.L)
        self.rows = {step: self._build_row(frame, inner, step) for step in InstallStep}
        self.problem = text_label(frame, kind="danger")
        inner.addWidget(self.problem)
        self.pause_button = QPushButton(frame)
        self.pause_button.clicked.connect(self._on_pause)
        self.cancel_button = QPushButton(tr("Cancel…"), frame)
        self.cancel_button.setProperty("kind", "danger")
        self.cancel_button.clicked.connect(self._on_cancel)
        buttons = QHBoxLayout()
        buttons.setSpacing(Space.S)
        buttons.addWidget(self.pause_button)
        buttons.addWidget(self.cancel_button)
        buttons.addStretch(1)
        inner.addLayout(buttons)
        column.addWidget(frame)
        self.hint = text_label(content, kind="faint")
        column.addWidget(self.hint)
        column.addStretch(1)
        theme().changed.connect(self._restyle)

    def show_status(self, status: InstallStatus) -> None:
        """Where the install on view stands now."""
        self.status = status
        heading = tr("{name} is on its way", name=status.name)
        if self.heading.text() != heading:
            source = tr("From {repository}", repository=status.repository) if status.repository else ""
            self.say(heading, source)
        here = status.steps.index(status.step) if status.step in status.steps else 0
        for step, row in self.rows.items():
            row.whole.setVisible(step in status.steps)
            if step in status.steps:
                place = status.steps.index(step)
                self._show_row(row, status, is_done=place < here, is_here=place == here)
        self._say_problem("" if status.error is None else error_text(status.error))
        self._show_pause(status)
        text = tr("You can close this window: it goes on, and the main window shows how far it is.")
        if status.elsewhere:
            text = tr("Another program of Hearth's is at work on it; it can be stopped there.")
        elif status.state is InstallState.PAUSED:
            text = tr("What is done is kept. It goes on when you press Resume, also after a restart.")
        elif isinstance(status.error, ModelNotFinite):  # was not kept, and comes out the same the next time
            text = ""
        elif status.state is InstallState.FAILED:
            text = tr("What is done is kept. Try again when the cause is gone.")
        self.hint.setText(text)
        self.show_buttons(tr("Close"), back=tr("Add Another"), enabled=True)

    def show_failure(self, error: Exception) -> None:
        """What the user wanted of it could not be done."""
        self._say_problem(error_text(error))

    def _say_problem(self, text: str) -> None:
        """What is wrong, in view; empty where nothing is."""
        is_new = bool(text) and (self.problem.isHidden() or self.problem.text() != text)
        self.problem.setText(text)
        self.problem.setVisible(bool(text))
        if is_new:
            self.reveal(self.problem)

    # Building

    def _build_row(self, frame: QWidget, column: QVBoxLayout, step: InstallStep) -> _StepRow:
        whole = QWidget(frame)
        title = text_label(whole, tr(STEPS[step]))
        title.setWordWrap(False)
        state = text_label(whole, kind="secondary")
        state.setWordWrap(False)
        picture = QLabel(whole)
        picture.setFixedWidth(Space.ICON)
        bar = QProgressBar(whole)
        bar.setRange(0, _BAR_STEPS)
        bar.setTextVisible(False)
        bar.setAccessibleName(title.text())
        words = text_label(whole, kind="secondary")
        grid = QGridLayout(whole)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(Space.M)
        grid.setVerticalSpacing(Space.S)
        grid.setColumnStretch(1, 1)
        grid.addWidget(picture, 0, 0)
        grid.addWidget(title, 0, 1)
        grid.addWidget(state, 0, 2)
        grid.addWidget(bar, 1, 1, 1, 2)
        grid.addWidget(words, 2, 1, 1, 2)
        column.addWidget(whole)
        return _StepRow(whole, picture, title, state, bar, words)

    def _show_row(self, row: _StepRow, status: InstallStatus, *, is_done: bool, is_here: bool) -> None:
        failed = is_here and status.state is InstallState.FAILED
        look = ("check", "success") if is_done else ("more", "text_faint")
        if is_here:
            look = ("warning", "danger") if failed else ("arrow-down", "accent")
            if status.step is not InstallStep.DOWNLOAD and not failed:
                look = ("regenerate", "accent")
        text = tr("Done") if is_done else state_text(status) if is_here else ""
        row.state.setText(text)
        row.title.setProperty("kind", "" if is_here or is_done else "faint")
        row.title.style().polish(row.title)
        row.bar.setVisible(is_here)
        row.words.setVisible(is_here)
        if is_here:
            row.bar.setValue(round(_BAR_STEPS * min(1.0, status.done / status.total)) if status.total else 0)
            row.words.setText(step_text(status))
        row.whole.setAccessibleName(f"{row.title.text()}: {text}" if text else row.title.text())
        if look != row.look:
            row.look = look
            row.icon.setPixmap(icon(*look).pixmap(Space.ICON, Space.ICON))

    def _show_pause(self, status: InstallStatus) -> None:
        text = {InstallState.FAILED: tr("Try Again"), InstallState.PAUSED: tr("Resume")}
        self.pause_button.setText(text.get(status.state, tr("Pause")))
        self.pause_button.setEnabled(not status.elsewhere)
        self.cancel_button.setEnabled(not status.elsewhere)

    # What the user does

    @Slot()
    def _on_pause(self) -> None:
        status = self.status
        if status is None:
            return
        if status.state in (InstallState.FAILED, InstallState.PAUSED):
            self._say_problem("")  # until it is met again
            self.resume_wanted.emit(status.id)
        else:
            self.pause_wanted.emit(status.id)

    @Slot()
    def _on_cancel(self) -> None:
        status = self.status
        if status is None:
            return
        box = QMessageBox(self)
        box.setObjectName("addModelCancel")
        box.setIcon(QMessageBox.Icon.Question)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(tr("Cancel {name}?", name=status.name))
        box.setInformativeText(tr("What was fetched and made of it so far is deleted."))
        box.addButton(tr("Cancel and Delete"), QMessageBox.ButtonRole.DestructiveRole).clicked.connect(
            lambda: self.cancel_wanted.emit(status.id)
        )
        keep = box.addButton(tr("Keep Going"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(keep)
        box.setEscapeButton(keep)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    @Slot()
    def _restyle(self) -> None:
        for row in self.rows.values():
            if row.look[0]:
                row.icon.setPixmap(icon(*row.look).pixmap(Space.ICON, Space.ICON))
