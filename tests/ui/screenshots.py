"""Pictures of the window in its main states, light and dark: `make screenshots` writes them to screenshots/.

Each is taken from the real window on real services, in both languages, at the scale that QT_SCALE_FACTOR gives.
`ARGS="folder wizard"` takes some groups alone: first, main, wizard, models, problem. HEARTH_SCREENSHOT_MODES is
"light dark", or one of them.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))

from adding import CHECKPOINT, GATED, SMALL, know_machine, repositories
from app_layouts import ollama_model
from hub_server import HubServer
from window_life import live, until

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import shiboken6
from PySide6.QtCore import QCoreApplication, QRect, Qt
from PySide6.QtGui import QPainter, QPixmap
from PySide6.QtWidgets import QApplication, QMessageBox, QScrollArea, QWidget

from hearth import i18n, paths
from hearth.conversations.message import (
    AnswerUsage,
    MessageError,
    MessageStatus,
    Part,
    PartKind,
    Role,
)
from hearth.errors import DiskFull
from hearth.model_folder.manifest import Manifest, RemoteModel, write_manifest
from hearth.models import registry
from hearth.models.catalogue import catalogue
from hearth.services.events import ModelState
from hearth.services.hearth import Hearth
from hearth.services.install_events import InstallState, InstallStep
from hearth.ui import theme
from hearth.ui.add_model.add_model_window import AddModelWindow
from hearth.ui.main_window import MainWindow
from hearth.ui.qt_language import use_qt_language
from hearth.ui.worker_thread import qt_thread

ROOT = Path(__file__).parents[2]
MODEL = ROOT.parent / "shared" / "data" / "models" / "stories260k-onnx" / "float32"
SIZE = (1180, 780)
QUESTION = "How do I read a large CSV file line by line in Python, without loading all of it?"
ANSWER = """Use the standard library's `csv` module: it reads **one row at a time**, so the size of the file does not matter.

```python
import csv

with open("measurements.csv", newline="", encoding="utf-8") as file:
    for row in csv.DictReader(file):
        if float(row["temperature"]) > 40:
            print(row["station"], row["temperature"])
```

A few things to know:

1. `newline=""` leaves line ends to the `csv` module.
2. `DictReader` takes the names from the first line.
3. A generator keeps it lazy: `hot = (row for row in reader if ...)`.

| Way | Memory | Speed |
|---|---|---|
| `csv` | constant | good |
| `pandas.read_csv` | the whole file | best |
"""


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "screenshots"
    groups = sys.argv[2:] or ["first", "main", "wizard", "models", "problem"]
    folder.mkdir(parents=True, exist_ok=True)
    QCoreApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    app = QApplication(sys.argv[:1])
    app.setQuitOnLastWindowClosed(False)
    for mode in os.environ.get("HEARTH_SCREENSHOT_MODES", "light dark").split():
        theme.theme().apply(mode)
        for language in i18n.LANGUAGES:
            _speak(app, language)
            if "first" in groups:
                with _starter(), _home():
                    FirstMinutes(folder, mode).take_all()
            with _without_starter():
                if "main" in groups:
                    with _home():
                        Photographer(folder, mode).take_all()
                if "wizard" in groups:
                    with _home(), _hub() as server:
                        WizardCamera(folder, mode).take_all(server)
                if "models" in groups:
                    with _home():
                        ModelsCamera(folder, mode).take_all()
        _speak(app, "en")
        if "problem" in groups:
            with tempfile.NamedTemporaryFile() as file:
                os.environ["HEARTH_HOME"] = file.name
                Photographer(folder, mode).take_problem()
    return 0


def _speak(app: QApplication, language: str) -> None:
    os.environ["LANG"] = os.environ["LC_ALL"] = f"{language}.UTF-8"
    i18n.use_language(language)
    use_qt_language(app)


@contextmanager
def _home() -> Iterator[None]:
    """A new user's home, under a name that may be seen."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HEARTH_HOME"] = str(Path(folder, "Hearth"))
        yield


@contextmanager
def _starter() -> Iterator[None]:
    """Where the starter is not among the resources, a story model stands in for it."""
    if paths.resource("starter", "model").is_dir():
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model")
        shutil.copytree(MODEL, model, copy_function=shutil.copyfile)
        model.chmod(0o755)
        write_manifest(model, Manifest(version=1, name="hearth-starter"))
        with mock.patch.object(registry, "built_in_folders", return_value=(model,)):
            yield


def _without_starter() -> AbstractContextManager[object]:
    return mock.patch.object(registry, "built_in_folders", return_value=())


@contextmanager
def _hub() -> Iterator[HubServer]:
    """A model hub on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        server = HubServer(repositories(Path(folder), MODEL.parents[1] / "stories260k.gguf"))
    with server, mock.patch.dict(os.environ, {"HF_ENDPOINT": server.endpoint}):
        yield server


class Camera:
    """A window, and pictures of it."""

    def __init__(self, folder: Path, mode: str) -> None:
        self._folder = folder
        scale = os.environ.get("QT_SCALE_FACTOR", "1")
        language = "" if i18n.language() == "en" else f"-{i18n.language()}"
        self._suffix = f"{language}-{mode}" + ("" if float(scale) == 1 else f"@{scale}x")
        self.window = MainWindow(lambda: Hearth.open(thread_factory=qt_thread))
        self.window.resize(*SIZE)
        self.window.show()
        self.window.start()

    def take(self, name: str, over: QWidget | None = None) -> None:
        """A picture of the window, with a dialog or list that lies over it."""
        live(250)
        picture: QPixmap = self.window.grab()
        if over is not None:
            painter = QPainter(picture)
            place = over.mapToGlobal(over.rect().topLeft()) - self.window.mapToGlobal(
                self.window.rect().topLeft()
            )
            painter.drawPixmap(place, over.grab())
            painter.setPen(theme.colour("field_border"))  # stands for the frame that the system draws
            painter.drawRect(QRect(place, over.size()).adjusted(-1, -1, 0, 0))
            painter.end()
        self.save(name, picture)

    def save(self, name: str, picture: QPixmap) -> None:
        file = self._folder / f"{name}{self._suffix}.png"
        if not picture.save(str(file)):
            raise OSError(f"{file} cannot be written")
        print(file)

    def close(self) -> None:
        self.window.close()
        until(self.window.is_closed)
        shiboken6.delete(self.window)  # before the application


class FirstMinutes(Camera):
    """The first start, and what stands beside the chat."""

    def take_all(self) -> None:
        window = self.window
        until(lambda: window.hearth is not None and window.models.entries)
        welcome = window.welcome.widget
        self.take("welcome")
        window.resize(560, 420)
        self.take("welcome-small")
        window.resize(*SIZE)
        welcome.next.click()
        until(lambda: len(welcome.machine.values["memory"].text()) > 1)
        self.take("welcome-machine")
        window.resize(560, 420)
        self.take("welcome-machine-small")
        window.resize(*SIZE)
        welcome.next.click()
        until(lambda: window.models.status().state is ModelState.READY)
        self.take("starter")
        window.resize(560, 420)
        self.take("starter-small")
        window.resize(*SIZE)
        window.empty.suggestions[0].click()
        until(lambda: not window.session.is_busy() and window.session.last(Role.ASSISTANT) is not None)
        self.take("starter-answer")
        self._take_models()
        self._take_settings()
        self._take_about()
        self._take_help()
        self.close()

    def _take_models(self) -> None:
        self.window.actions_.manage_models.trigger()
        models = self.window.side_windows.models
        until(lambda: models.page.name)
        live(250)
        self.save("models-details", models.grab())
        models.page.tabs.setCurrentIndex(1)
        live(2000)
        self.save("models-settings", models.grab())
        models.show_others()
        until(lambda: models.controller.findings is not None)
        live(250)
        self.save("models-others", models.grab())
        models.close()

    def _take_settings(self) -> None:
        self.window.actions_.settings.trigger()
        settings = self.window.side_windows.settings
        for page in ("general", "defaults", "folders", "devices"):
            settings.show_page(page)
            live(250)
            self.take(f"settings-{page}", settings)
        settings.close()
        until(lambda: self.window.side_windows.settings is None)

    def _take_about(self) -> None:
        self.window.actions_.about.trigger()
        about = self.window.side_windows.about
        for place, name in enumerate(("about", "licences", "diagnostics")):
            about.tabs.setCurrentIndex(place)
            live(2000 if name == "diagnostics" else 250)
            self.take(name, about)
        about.close()

    def _take_help(self) -> None:
        window = self.window
        window.open_help("bigger-model")
        until(lambda: window.side_windows.help.page is not None)
        page = window.side_windows.help
        live(250)
        self.save("help", page.grab())
        page.search_field.setText("Ctrl+N")
        live(250)
        self.save("help-search", page.grab())


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
        registry.import_folder(MODEL.parents[1] / "stories260k.gguf", name="stories-gguf", in_place=True)
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
            story = (MODEL.parents[1] / "stories260k.gguf").read_bytes()
            ollama_model(Path(folder), "registry.ollama.ai/library/stories/latest", story)
            ollama_model(Path(folder), "registry.ollama.ai/library/damaged/7b", b"GGUF")
            models.show_others()
            until(lambda: models.controller.findings)
            self._take(models, "models-ollama")
        self.close()

    def _take(self, widget: QWidget, name: str) -> None:
        live(400)
        self.save(name, widget.grab())


class Photographer(Camera):
    """Leads one window through its states and takes a picture of each."""

    def take_all(self) -> None:
        window = self.window
        until(lambda: window.hearth is not None and window.models.entries is not None)
        window.welcome.widget.finished.emit()
        self.take("no-model")
        self._import()
        self.take("empty-chat")
        window.panel.rows["temperature"].field.setValue(0)
        self._ask("Once upon a time")
        until(lambda: not window.session.is_busy() and window.session.last(Role.ASSISTANT) is not None)
        self.take("story")
        self._fill()
        window.conversations.refresh()
        until(lambda: window.list.model.rowCount() == 6)
        self._open("Reading a large CSV file")
        self.take("conversation")
        window.actions_.toggle_panel.setChecked(True)
        self.take("parameters")
        window.picker.open()
        self.take("models", window.picker.popup)
        window.picker.popup.hide()
        window.conversations.delete(window.list.model.conversations()[-1].id)
        until(window.toast.isVisible)
        self.take("undo")
        window.toast.hide()
        window.actions_.toggle_panel.setChecked(False)
        self._open("A failed answer")
        self.take("failed")
        self._open("中文和日本語")
        self.take("chinese")
        window.resize(620, 640)
        window.actions_.toggle_sidebar.setChecked(False)
        self.take("narrow")
        self.close()

    def take_problem(self) -> None:
        until(lambda: self.window.pages.currentWidget() is self.window.problem)
        self.take("problem")
        self.close()

    def _import(self) -> None:
        window = self.window
        window.models.import_folder(MODEL.parent / "gone")
        until(lambda: window.models.dialog is not None and window.models.dialog.error())
        self.take("import-problem", window.models.dialog)
        window.models.dialog.reject()
        window.models.import_folder(MODEL)
        until(lambda: window.models.dialog is not None and window.models.dialog.import_button.isEnabled())
        dialog = window.models.dialog
        dialog.name_field.setText("stories260k")
        self.take("import", dialog)
        dialog.import_button.click()
        until(lambda: window.models.current == "stories260k")
        until(lambda: window.picker.status("stories260k").state is ModelState.READY)

    def _ask(self, text: str) -> None:
        self.window.composer.set_text(text)
        self.window.composer.button.click()
        until(lambda: self.window.session.is_busy() or self.window.session.messages)

    def _fill(self) -> None:
        """Conversations as they are in use, written by the store."""
        store = self.window.hearth.conversations
        for title in ("Holiday in Lisbon", "Letter to the landlord"):
            store.create(title=title, model="stories260k")
        self._write(
            "中文和日本語",
            "春天的诗有哪些？日本の俳句も教えて。",
            "唐诗里写春天的名句很多：\n\n> 好雨知时节，当春乃发生。\n\n俳句では「古池や蛙飛び込む水の音」が有名です。",
        )
        self._write("A failed answer", "Tell me a long story.", "It was a dark night, and the", failed=True)
        self._write("Reading a large CSV file", QUESTION, ANSWER)

    def _write(self, title: str, question: str, answer: str, *, failed: bool = False) -> None:
        store = self.window.hearth.conversations
        conversation = store.create(title=title, model="stories260k")
        asked = store.add_message(
            conversation.id, parent_id=None, role=Role.USER, parts=[Part(PartKind.TEXT, question)]
        )
        reply = store.add_message(
            conversation.id,
            parent_id=asked.id,
            role=Role.ASSISTANT,
            parts=[],
            status=MessageStatus.STREAMING,
            model="stories260k",
        )
        usage = AnswerUsage(
            prompt_tokens=38,
            cached_tokens=0,
            generated_tokens=214,
            seconds_to_first_token=0.31,
            seconds=9.2,
            tokens_per_second=24.1,
            finish_reason="stop",
            context_tokens=252,
            context_length=4096,
        )
        error = MessageError("host_crashed", {"name": "stories260k", "reason": "killed by signal 9"})
        store.finish_answer(
            reply.id,
            [Part(PartKind.TEXT, answer)],
            MessageStatus.FAILED if failed else MessageStatus.COMPLETE,
            usage=None if failed else usage,
            error=error if failed else None,
        )

    def _open(self, title: str) -> None:
        window = self.window
        row = next(row for row in window.list.model.conversations() if row.title == title)
        window.session.open(row.id)
        until(lambda: window.session.conversation is not None and window.session.conversation.id == row.id)
        until(lambda: window.session.messages)


if __name__ == "__main__":
    sys.exit(main())
