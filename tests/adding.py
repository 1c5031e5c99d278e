"""The wizard that adds a model, on a real window, with a hub that runs here; and the hand that uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt

from golden_checkpoint import golden_checkpoint
from hearth.hardware.machine import read_machine
from hearth.models.experience import Experience, write_experience
from hearth.paths import home
from hearth.services.device_options import machine_text
from hearth.services.model_fit import experience_file
from hearth.ui.add_model.add_model_window import AddModelWindow
from hub_server import HubRepository
from machine_speeds import speeds

CHECKPOINT, GGUF, GATED = "org/Tiny-Llama", "org/Stories-GGUF", "org/Gated-Stories"
SMALL = "HuggingFaceTB/SmolLM2-360M-Instruct"  # of the catalogue


def repositories(folder: Path, gguf: Path) -> dict[str, HubRepository]:
    """A tiny checkpoint, and a small story model; two of them under names that the catalogue has."""
    source = golden_checkpoint("llama3", folder)
    files = {file.name: file.read_bytes() for file in source.iterdir()}
    config = {"model_type": json.loads(files["config.json"])["model_type"]}
    story = {"stories-q8_0.gguf": gguf.read_bytes()}
    return {
        CHECKPOINT: HubRepository(files, config=config),
        GGUF: HubRepository(story | {"README.md": b"Hi"}),
        GATED: HubRepository(story | {"README.md": b"Hi"}, gated=True),
        f"{SMALL}-GGUF": HubRepository(story),
    }


def know_machine(bandwidth: float = 5e10, times: int = 3) -> None:
    """This machine was measured often enough, so a test need not wait for that, and finds the same every time."""
    home().mkdir(parents=True, exist_ok=True)
    experience = Experience(machine=machine_text(read_machine()), measured=times * (speeds(bandwidth),))
    write_experience(experience_file(), experience)


class WizardHand:
    """What a person does with the wizard; `hand` is theirs on the main window."""

    def __init__(self, hand: Any) -> None:
        self.hand = hand
        self.window = hand.window

    @property
    def wizard(self) -> AddModelWindow:
        wizard = self.window.add_model.wizard
        assert isinstance(wizard, AddModelWindow)
        return wizard

    def open(self) -> AddModelWindow:
        """By the menu; waits until the verdicts are there."""
        self.window.actions_.add_model.trigger()
        self.activate()
        self.hand.wait(lambda: any(row.verdict for row in self.wizard.choose.list.rows()))
        return self.wizard

    def activate(self) -> None:
        """The offscreen platform brings no window to the front by itself."""
        self.wizard.activateWindow()
        self.hand.wait(self.wizard.isActiveWindow)

    def look_at(self, repository: str) -> None:
        """Paste a repository's name, and wait until it is on view."""
        wizard = self.wizard
        wizard.choose.search.setFocus()
        self.hand.type(repository)
        self.hand.key(Qt.Key.Key_Return, widget=wizard.choose.search)
        self.hand.wait(lambda: wizard.details.forms is not None)

    def name(self, name: str) -> None:
        field = self.wizard.details.name
        field.selectAll()
        self.hand.qtbot.keyClicks(field, name)

    def get(self, repository: str, name: str) -> None:
        """Look at a repository, and have its model brought."""
        self.look_at(repository)
        self.name(name)
        self.hand.click(self.wizard.next)
        self.hand.wait(lambda: self.on(self.wizard.progress))

    def on(self, page: object) -> bool:
        return self.wizard.page() is page

    def wait_ready(self) -> None:
        self.hand.wait(lambda: self.on(self.wizard.ready))

    def make_low(self) -> None:
        """Large text on a screen of 1366 x 768 pixels at 200 %."""
        self.window.set_text_size(2.0)
        self.wizard.setMinimumSize(1, 1)
        self.wizard.resize(683, 348)
