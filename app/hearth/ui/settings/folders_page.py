"""Where Hearth keeps its files, how much they are, and where the models shall be."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from PySide6.QtCore import QDir, QEvent, Qt, Slot
from PySide6.QtWidgets import QMessageBox, QPushButton, QWidget

from hearth import paths
from hearth.config import Config
from hearth.errors import HearthError
from hearth.i18n import ntr, tr
from hearth.ui.folder_chooser import choose_folder
from hearth.ui.settings.folder_row import FolderRow
from hearth.ui.settings.move_dialog import MoveDialog
from hearth.ui.settings.page import SettingsPage
from hearth.ui.tasks import Lane, Tasks
from hearth.ui.wording import size_text

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth


@dataclass(frozen=True, slots=True)
class OwnModels:
    """The models that would be moved: all but those that are part of Hearth.

    Attributes:
        bytes: of those whose files are Hearth's; those used where they lie stay there.
    """

    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class FolderSizes:
    """How the folders are.

    Attributes:
        home, models, logs: bytes of all files; None where the folder is not there.
        problem: why the models cannot be listed, in words.
        stopped: the sizes are not all of it.
    """

    home: int | None
    models: int | None
    logs: int | None
    own: OwnModels
    problem: str
    stopped: bool


def own_models(hearth: Hearth) -> OwnModels:
    """What is in the models folder; worker thread.

    Raises:
        HearthError: it cannot be read.
    """
    own = [entry for entry in hearth.models.list() if not entry.built_in]
    return OwnModels(len(own), sum(entry.bytes for entry in own if not entry.in_place))


def measure(hearth: Hearth, stopped: Event) -> FolderSizes:
    """Look at all folders; worker thread. Stops early once `stopped` is set."""
    own, problem = OwnModels(0, 0), ""
    try:
        own = own_models(hearth)
    except HearthError as error:
        problem = error.what_text()
    folders = (paths.home(), hearth.models.root, paths.log_file().parent)
    home, models, logs = (folder_bytes(folder, stopped) for folder in folders)
    return FolderSizes(home, models, logs, own, problem, stopped.is_set())


def folder_bytes(folder: Path, stopped: Event) -> int | None:
    """The size of all files in `folder`, links not followed; None where it is not there.

    What may not be read is not counted.
    """
    if not folder.is_dir():
        return None
    total = 0
    for place, _, files in os.walk(folder):
        for file in files:
            if stopped.is_set():
                return total
            try:
                total += Path(place, file).lstat().st_size
            except OSError:  # gone by now
                continue
    return total


class FoldersPage(SettingsPage):
    """Sizes are measured while the page is on view; moving the models is a dialog of its own.

    Attributes:
        moving: the dialog, while the models are moved.
        question: what shall become of the models, while that is asked.
    """

    key = "folders"

    def __init__(self, hearth: Hearth, tasks: Tasks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._hearth = hearth
        self._tasks = tasks
        self._stopped = Event()
        self.moving: MoveDialog | None = None
        self.question: QMessageBox | None = None
        self.home = FolderRow(tr("Hearth's folder"), self)
        self.models = FolderRow(tr("Models folder"), self)
        self.logs = FolderRow(tr("Log folder"), self)
        self.change_button = QPushButton(tr("Chan&ge…"), self)
        self.change_button.setAccessibleName(tr("Change the models folder"))
        self.change_button.clicked.connect(self._on_change)
        self.default_button = QPushButton(tr("Use &Default"), self)
        self.default_button.setAccessibleName(tr("Use the default models folder"))
        self.default_button.clicked.connect(lambda: self._on_target(paths.models_folder()))
        for button in (self.change_button, self.default_button):
            self.models.add_button(button)
        for row in (self.home, self.models, self.logs):
            self.column.addWidget(row)
        self.column.addStretch(1)

    def show_config(self, config: Config) -> None:
        self.home.show_path(paths.home())
        self.models.show_path(self._hearth.models.root)
        self.logs.show_path(paths.log_file().parent)
        self.default_button.setVisible(self._hearth.models.root != paths.models_folder())
        if self.isVisible():
            self._measure()

    def stop(self) -> None:
        self._stopped.set()
        if self.moving:
            self.moving.reject()

    def event(self, event: QEvent) -> bool:
        # On the way back from elsewhere, too: a disk may have been connected, a folder emptied.
        if event.type() in (QEvent.Type.Show, QEvent.Type.WindowActivate) and self.isVisible():
            self._measure()
        elif event.type() == QEvent.Type.Hide:
            self._stopped.set()
        return super().event(event)

    # Sizes

    def _measure(self) -> None:
        self._stopped.set()
        self._stopped = stopped = Event()
        hearth = self._hearth
        for row in (self.home, self.models, self.logs):
            if not row.state_text():
                row.show_state(tr("Measuring…"), exists=True)
        self._tasks.run(
            lambda: measure(hearth, stopped), owner=self, view="settings.folders", lane=Lane.FILES
        ).success(self._on_measured)

    def _on_measured(self, sizes: FolderSizes) -> None:
        if sizes.stopped:
            return
        inside = self.home.path in self.models.path.parents
        self.home.show_state(
            f"{size_text(sizes.home or 0)} · "
            + (
                tr("Everything that Hearth keeps")
                if inside
                else tr("Everything that Hearth keeps but the models")
            ),
            exists=sizes.home is not None,
        )
        self.logs.show_state(
            f"{size_text(sizes.logs or 0)} · "
            + tr("What Hearth did and what failed, never what you or a model wrote"),
            exists=sizes.logs is not None,
        )
        self._show_models(sizes)

    def _show_models(self, sizes: FolderSizes) -> None:
        if sizes.problem:
            self.models.show_state(sizes.problem, exists=sizes.models is not None, wrong=True)
        elif sizes.models is None and self.models.path != paths.models_folder():
            text = tr("This folder is not there. If it is on another disk, connect that disk.")
            self.models.show_state(text, exists=False, wrong=True)
        elif not sizes.own.count:
            self.models.show_state(tr("No models of your own yet"), exists=sizes.models is not None)
        else:
            count = ntr("{n} model", "{n} models", sizes.own.count)
            self.models.show_state(f"{size_text(sizes.models or 0)} · {count}", exists=True)

    # Another folder for the models

    @Slot()
    def _on_change(self) -> None:
        choose_folder(self, tr("Choose a folder for your models"), self._on_target)

    def _on_target(self, target: Path) -> None:
        """Use `target` for the models; ask first what shall become of those that are there."""
        if target == self._hearth.models.root:
            return
        hearth = self._hearth
        self._tasks.run(lambda: own_models(hearth), owner=self, lane=Lane.FILES).success(
            lambda own: self._ask(target, own) if own.count else self._use(target)
        ).failure(self.failed.emit)

    def _ask(self, target: Path, own: OwnModels) -> None:
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Question)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(ntr("Move your model, too?", "Move your {n} models, too?", own.count))
        box.setInformativeText(
            tr(
                "Hearth will look for models in {folder} from now on. Those that are not moved are kept, but not shown.",
                folder=QDir.toNativeSeparators(str(target)),
            )
        )
        move = box.addButton(
            ntr("Move {n} Model ({size})", "Move {n} Models ({size})", own.count, size=size_text(own.bytes)),
            QMessageBox.ButtonRole.AcceptRole,
        )
        use = box.addButton(tr("Use the New Folder Only"), QMessageBox.ButtonRole.ActionRole)
        box.addButton(tr("Cancel"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(move)
        move.clicked.connect(lambda: self._move(target))
        use.clicked.connect(lambda: self._use(target))
        box.finished.connect(self._on_answered)
        self.question = box
        box.open()

    @Slot()
    def _on_answered(self) -> None:
        if self.question:
            self.question.deleteLater()
            self.question = None

    def _use(self, target: Path) -> None:
        chosen = None if target == paths.models_folder() else str(target)
        self.change_wanted.emit({"folders.models": chosen})

    def _move(self, target: Path) -> None:
        hearth = self._hearth
        self.moving = MoveDialog(
            lambda progress, cancelled: hearth.move_models(target, progress=progress, cancelled=cancelled),
            self._tasks,
            self,
        )
        self.moving.failed.connect(self.failed)
        self.moving.finished.connect(self._on_moved)
        self.moving.open()

    @Slot()
    def _on_moved(self) -> None:
        if self.moving:
            self.moving.deleteLater()
            self.moving = None
        self.show_config(self._hearth.config)
