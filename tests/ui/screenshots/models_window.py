"""Pictures of the window Models."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from unittest import mock

from PySide6.QtWidgets import QWidget

from app_layouts import ollama_model
from camera import Camera
from hearth.model_folder.manifest import RemoteModel
from hearth.services.events import ModelState
from homes import GGUF, MODEL
from window_life import live, until


class ModelsCamera(Camera):
    """The window Models: empty, with a model of each kind, and its dialogs."""

    def take_all(self) -> None:
        window = self.window
        until(lambda: window.hearth is not None and window.models.entries is not None)
        window.welcome.widget.finished.emit()
        window.actions_.manage_models.trigger()
        models = window.side_windows.models
        until(lambda: models.right.currentWidget() is models.empty)
        self._take(models, "models-empty")
        registry = window.hearth.models
        registry.import_folder(MODEL, name="stories")
        registry.import_folder(GGUF, name="stories-gguf", in_place=True)
        registry.add_remote(
            "cloud", RemoteModel(address="https://example.org/v1", model="large", has_key=True)
        )
        models.controller.refresh()
        until(lambda: len(models.controller.models) == 3)
        for name in ("cloud", "stories-gguf", "stories"):
            models.show_model(name)
            self._take(models, f"models-{name}")
        models.page.load_button.click()
        until(lambda: window.picker.status("stories").state is ModelState.READY)
        self._take(models, "models-loaded")
        models.page.tabs.setCurrentIndex(1)
        live(1000)
        self._take(models, "models-settings-loaded")
        models.list.filter.setText("nothing like it")
        self._take(models, "models-filtered")
        models.list.filter.clear()
        models.add_server()
        self._take(models.dialog, "models-server")
        models.dialog.close()
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, OLLAMA_MODELS=folder):
            story = GGUF.read_bytes()
            ollama_model(Path(folder), "registry.ollama.ai/library/stories/latest", story)
            ollama_model(Path(folder), "registry.ollama.ai/library/damaged/7b", b"GGUF")
            models.show_others()
            until(lambda: models.controller.findings)
            self._take(models, "models-ollama")
        self.close()

    def _take(self, widget: QWidget, name: str) -> None:
        live(400)
        self.save(name, widget.grab())
