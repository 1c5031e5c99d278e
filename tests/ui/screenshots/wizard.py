"""Pictures of the wizard that adds a model."""

from __future__ import annotations

import threading
from dataclasses import replace
from unittest import mock

from PySide6.QtWidgets import QMessageBox, QScrollArea, QWidget

from adding import CHECKPOINT, GATED, SMALL, know_machine
from camera import Camera
from hearth.errors import DiskFull
from hearth.models.catalogue import catalogue
from hearth.services.install_events import InstallState, InstallStep
from hearth.ui.add_model.add_model_window import AddModelWindow
from hub_server import HubServer
from window_life import live, until


class WizardCamera(Camera):
    """The wizard that adds a model, page by page, with usual and with large text."""

    def take_all(self, server: HubServer) -> None:
        window = self.window
        know_machine()
        until(lambda: window.hearth is not None and window.models.entries is not None)
        window.welcome.widget.finished.emit()
        window.actions_.add_model.trigger()
        wizard = window.add_model.wizard
        until(lambda: any(row.verdict for row in wizard.choose.list.rows()))
        self._take_both("add-choose")
        wizard.choose.search.setText("nothing like it")
        self._take_both("add-nothing")
        wizard.choose.search.setText("tiny")
        wizard.choose.search_hub()
        until(lambda: [row.title for row in wizard.choose.list.rows()] == [CHECKPOINT])
        self._take_both("add-found")
        wizard.choose.search.setText(GATED)
        wizard.choose.search_hub()
        until(lambda: wizard.details.forms)
        self._take_both("add-gated")
        wizard.choose.source = next(entry for entry in catalogue() if entry.repository == SMALL)
        wizard.choose.went_on.emit()
        until(lambda: wizard.details.forms and wizard.details.forms.title != GATED)
        self._take_both("add-ready-made")
        wizard.choose.source = CHECKPOINT
        wizard.choose.went_on.emit()
        until(lambda: wizard.details.forms and wizard.details.forms.title == "Tiny-Llama")
        self._take_both("add-details")
        self._take_end(wizard, wizard.details, "add-name")
        arrives = threading.Event()

        def hold(_sent: int) -> None:
            arrives.wait(60)

        server.on_sent = hold
        wizard.next.click()
        until(lambda: wizard.page() is wizard.progress)
        self._take_both("add-progress")
        self.take("add-strip")
        self._take_states(wizard)
        arrives.set()
        until(lambda: wizard.page() is wizard.ready)
        self._take_both("add-ready")
        wizard.ready.more_button.click()
        self._take_end(wizard, wizard.ready, "add-figures")
        self.close()

    def _take_states(self, wizard: AddModelWindow) -> None:
        """The page of progress in the states that pass by too quickly here."""
        page, real = wizard.progress, wizard.progress.status
        made = replace(real, state=InstallState.RUNNING, step=InstallStep.QUANTIZE, done=37, total=100)
        room = DiskFull(path="/home/somebody/.local/share/hearth/models")
        show = page.show_status
        with mock.patch.object(page, "show_status"):  # what really happens would take its place
            for name, status in (
                ("quantizing", replace(made, seconds_left=1260.0)),
                ("paused", replace(real, state=InstallState.PAUSED, done=real.total // 3)),
                ("failed", replace(made, state=InstallState.FAILED, error=room)),
            ):
                show(status)
                self._take_both(f"add-{name}")
        show(real)
        page.cancel_button.click()
        box = wizard.findChild(QMessageBox)
        live(250)
        self.save("add-cancel", box.grab())
        box.reject()

    def _take_end(self, wizard: AddModelWindow, page: QWidget, name: str) -> None:
        """The page scrolled to its end."""
        bar = page.findChild(QScrollArea).verticalScrollBar()
        live(250)
        bar.setValue(bar.maximum())
        live(100)
        self.save(name, wizard.grab())

    def _take_both(self, name: str) -> None:
        window = self.window
        for scale, ending in ((1.0, ""), (2.0, "-large")):
            window.set_text_size(scale)
            live(600)  # where the machine is busy, rows take their height late
            self.save(name + ending, window.add_model.wizard.grab())
        window.set_text_size(1.0)
