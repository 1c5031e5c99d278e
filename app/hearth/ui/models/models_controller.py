"""What is done to models from their window: off the main thread, and told when it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from hearth.errors import HearthError, MeasuringCancelled, ModelNotFound, VerifyCancelled
from hearth.i18n import tr
from hearth.models.names import clean_name, free_name
from hearth.services.events import ModelState, ModelStatus
from hearth.services.model_manager import ModelManager
from hearth.services.model_overview import ModelOverview
from hearth.services.other_apps import Finding
from hearth.ui.models.model_job import JobKind, ModelJob
from hearth.ui.tasks import Lane

if TYPE_CHECKING:
    from hearth.model_folder.speed import SpeedReport
    from hearth.models.other_apps.found_model import FoundModel
    from hearth.models.registry import ModelEntry, RemovedModel
    from hearth.services.hearth import Hearth
    from hearth.ui.bridge import UiBridge
    from hearth.ui.tasks import Task, Tasks

_LOOK_MILLISECONDS = 2000
_SOON_MILLISECONDS = 150

# What there is in the models folder: names, and when and how the manifests were last written.
_Signature = tuple[tuple[str, int, int], ...]


class ModelsController(QObject):
    """Lives as long as Hearth is open, so that what was removed can be brought back, and jobs go on, in any window.

    Attributes:
        models: all there are, as they were last read; None until they have been.
        findings: the models of other apps; None until somebody has looked.
        jobs: what is being done, by model; for one that is being added, by its reference.
        problems: what verifying found, by model.
        made: names of the models that are being made of unquantized ones, by the references of these.
        removed: what can be brought back, the last one last.

    Signals:
        refreshed: `models` was read anew.
        found: `findings` was read anew.
        status_changed: ModelStatus of any model.
        jobs_changed: something begins or has ended.
        renamed: a model's old name and its new one.
        said: a sentence, and whether Undo belongs to it.
        failed: an exception that the user should be told of.
        models_changed: models came, went or changed, whoever did it.
    """

    refreshed = Signal()
    found = Signal()
    status_changed = Signal(object)
    jobs_changed = Signal()
    renamed = Signal(str, str)
    said = Signal(str, bool)
    failed = Signal(object)
    models_changed = Signal()

    def __init__(self, hearth: Hearth, bridge: UiBridge, tasks: Tasks, parent: QObject) -> None:
        super().__init__(parent)
        self.hearth = hearth
        self.tasks = tasks
        self._manager = ModelManager(hearth)
        self.models: list[ModelOverview] | None = None
        self.findings: list[Finding] | None = None
        self.jobs: dict[str, ModelJob] = {}
        self.problems: dict[str, str] = {}
        self.made: dict[str, str] = {}
        self.removed: list[RemovedModel] = []
        self._leaving: set[str] = set()
        self._signature: _Signature | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON_MILLISECONDS)
        self._soon.timeout.connect(self.refresh)
        self._look = QTimer(self)
        self._look.setInterval(_LOOK_MILLISECONDS)
        self._look.timeout.connect(self._on_look)
        bridge.model_changed.connect(self._on_status)
        bridge.answer_started.connect(self._refresh_soon)
        bridge.answer_ended.connect(self._refresh_soon)
        bridge.settings_changed.connect(self._refresh_soon)

    def close(self) -> None:
        """Hearth ends: stop what is being done."""
        self.watch(False)
        for job in self.jobs.values():
            job.cancel()

    # What there is

    def model(self, name: str | None) -> ModelOverview | None:
        return next((model for model in self.models or () if model.name == name), None)

    def status(self, name: str) -> ModelStatus:
        return self.hearth.pool.status(name)

    def watch(self, on: bool) -> None:
        """Look for changes by others every other second, or no more."""
        if on:
            self._look.start()
            self.refresh()
        else:
            self._look.stop()
            self._soon.stop()

    @Slot()
    def refresh(self) -> None:
        """Read all models anew."""
        self._run(self._read, view="models.overviews").success(lambda read: self._on_read(*read))

    @Slot()
    def find_others(self) -> None:
        """Look for the models of other apps."""
        self._run(self._manager.find_other_apps, view="models.found").success(self._on_found)

    def _read(self) -> tuple[_Signature, list[ModelOverview]]:
        return self._sign(), self._manager.overviews()

    def _on_read(self, signature: _Signature, models: list[ModelOverview]) -> None:
        others_changed, self._signature = signature != self._signature, signature
        self.models = models
        self.refreshed.emit()
        if others_changed:
            self.models_changed.emit()

    def _on_found(self, findings: list[Finding]) -> None:
        self.findings = findings
        self.found.emit()

    @Slot()
    def _on_look(self) -> None:
        self._run(self._sign, view="models.signature").success(self._on_signature)

    def _on_signature(self, signature: _Signature) -> None:
        # Nobody tells when an answer lets go of its model.
        if signature != self._signature or any(model.is_answering for model in self.models or ()):
            self.refresh()

    def _sign(self) -> _Signature:
        found = []
        for folder in self.hearth.models.folders():
            try:
                state = (folder / "manifest.json").stat()
            except OSError:  # it has just been removed
                continue
            found.append((folder.name, state.st_mtime_ns, state.st_size))
        return tuple(found)

    @Slot(object)
    def _on_status(self, status: ModelStatus) -> None:
        self.status_changed.emit(status)
        if status.state is not ModelState.LOADING:
            self._refresh_soon()

    @Slot()
    def _refresh_soon(self) -> None:
        """Where somebody looks; who opens the window later reads everything anyway."""
        if self._look.isActive():
            self._soon.start()

    # What is done at once

    def load(self, name: str) -> None:
        try:
            self.hearth.pool.load(name)
        except HearthError as error:
            self.failed.emit(error)

    def unload(self, name: str) -> None:
        pool = self.hearth.pool
        self._run(lambda: pool.unload(name))

    def load_again(self, name: str) -> None:
        """Unload and load, for what counts from the next load."""
        pool = self.hearth.pool
        self._run(lambda: pool.unload_and_wait([name])).success(lambda _: self.load(name))

    def rename(self, name: str, typed: str) -> None:
        """Call the model what was typed, or the valid name nearest to it."""
        new = clean_name(typed)
        if new == name:
            return

        def done(entry: ModelEntry) -> None:
            self.problems.pop(name, None)
            self.renamed.emit(name, entry.name)
            self.said.emit(tr("“{old}” is “{name}” from now on.", old=name, name=entry.name), False)
            self._changed()

        self._run(lambda: self._manager.rename(name, new)).success(done)

    def remove(self, name: str) -> None:
        """Take the model out of the list, and offer to undo that."""
        if name in self._leaving:
            return
        self._leaving.add(name)
        model = self.model(name)
        stays = model is not None and model.in_place

        def done(removed: RemovedModel) -> None:
            self._leaving.discard(name)
            self.removed.append(removed)
            self.problems.pop(name, None)
            text = tr("“{name}” was removed.", name=name)
            if stays:
                text = tr("“{name}” was removed. Its files stay where they are.", name=name)
            self.said.emit(text, True)
            self._changed()

        def failed(error: Exception) -> None:
            self._leaving.discard(name)
            self._on_failed(error)

        self._run(lambda: self._manager.remove(name)).success(done).failure(failed)

    def undo(self) -> None:
        """Bring back what was removed last."""
        if not self.removed:
            return
        removed = self.removed.pop()

        def done(_: None) -> None:
            self.renamed.emit("", removed.name)  # so that it comes on view
            self.said.emit(tr("“{name}” is back.", name=removed.name), False)
            self._changed()

        def failed(error: Exception) -> None:
            if not isinstance(error, ModelNotFound):  # else it is gone for good
                self.removed.append(removed)
            self._on_failed(error)

        self._run(lambda: self._manager.restore(removed)).success(done).failure(failed)

    def reveal(self, name: str) -> None:
        self._run(lambda: self._manager.reveal(name))

    def change_settings(self, name: str, changes: Mapping[str, object | None]) -> None:
        """Set what the model uses of its own; see `ModelManager.change_settings`."""
        # One after the other, in the order in which they were asked for.
        task = self.tasks.run(
            lambda: self._manager.change_settings(name, changes), owner=self, lane=Lane.STORE
        )
        task.success(lambda _: self._changed()).failure(self._on_failed)

    def set_key(self, name: str, key: str) -> None:
        """Give a remote model another key, or none."""

        def done(_: ModelEntry) -> None:
            text = tr("{name} has its new key.", name=name) if key else tr("{name} has no key.", name=name)
            self.said.emit(text, False)
            self.unload(name)  # it was loaded with the old one
            self._changed()

        self._run(lambda: self._manager.set_key(name, key)).success(done)

    # What takes a while

    def verify(self, name: str) -> None:
        """Compare the model's files with their checksums."""

        def check(job: ModelJob) -> bool:
            """Whether there was something to compare with."""
            self._manager.verify(name, job.tell, job.is_cancelled)
            return bool(self.hearth.models.get(name).manifest.files)

        def done(compared: bool) -> None:
            self.problems.pop(name, None)
            text = tr("All files of “{name}” are as they should be.", name=name)
            if not compared:
                text = tr(
                    "{name} is sound, but has no checksums to compare with: it was not imported.", name=name
                )
            self.said.emit(text, False)

        def failed(error: Exception) -> None:
            if isinstance(error, HearthError):
                self.problems[name] = str(error)
            self.failed.emit(error)

        self._begin(ModelJob(JobKind.VERIFY, name, self), check, done, failed)

    def measure(self, name: str) -> None:
        """Measure the model's speed; all models are unloaded for it."""

        def done(_: SpeedReport) -> None:
            self.said.emit(tr("The speed of “{name}” was measured.", name=name), False)
            self._changed()

        self._begin(
            ModelJob(JobKind.MEASURE, name, self),
            lambda job: self._manager.measure(name, progress=job.tell, cancelled=job.is_cancelled),
            done,
            self.failed.emit,
        )

    def add_found(self, model: FoundModel) -> None:
        """Take a model of another app into the list, where it lies."""

        def done(entry: ModelEntry) -> None:
            self.said.emit(tr("“{name}” was added. Its files stay where they are.", name=entry.name), False)
            self._run(self._read).success(known)

        def known(read: tuple[_Signature, list[ModelOverview]]) -> None:
            self._on_read(*read)
            self.find_others()  # it is shown as added once its page can be

        self._begin(
            ModelJob(JobKind.ADD, model.reference, self),
            lambda job: self._manager.add_found(model, progress=job.tell, cancelled=job.is_cancelled),
            done,
            self.failed.emit,
        )

    def quantize(self, model: FoundModel) -> None:
        """Have a model made of an unquantized one of another app; the main window shows how far that is."""
        installs = self.hearth.installs

        def begin() -> str:
            name = free_name(model.good_name, self.hearth.models.taken_names())
            status = installs.add_checkpoint(model.path, name)
            installs.start()
            return status.name

        def done(name: str) -> None:
            self.made[model.reference] = name
            self.said.emit(
                tr("“{name}” is being made of it: the main window shows how far that is.", name=name), False
            )
            self.jobs_changed.emit()

        if model.reference not in self.made:
            self._run(begin).success(done)

    def is_measuring(self) -> bool:
        """Whether some model is being measured, which only one can be."""
        return any(job.kind is JobKind.MEASURE for job in self.jobs.values())

    def _begin(
        self,
        job: ModelJob,
        work: Callable[[ModelJob], object],
        done: Callable[..., None],
        failed: Callable[[Exception], None],
    ) -> None:
        if job.name in self.jobs:
            return
        self.jobs[job.name] = job
        self.jobs_changed.emit()

        def end() -> None:
            del self.jobs[job.name]
            job.deleteLater()
            self.jobs_changed.emit()

        def on_done(result: object) -> None:
            end()
            done(result)

        def on_failed(error: Exception) -> None:
            if not job.is_cancelled() and not isinstance(error, MeasuringCancelled | VerifyCancelled):
                failed(error)
            end()

        self.tasks.run(lambda: work(job), owner=self, lane=Lane.FILES).success(on_done).failure(on_failed)

    def added(self, name: str) -> None:
        """A model was added by somebody else in this window."""
        self.renamed.emit("", name)
        self._changed()

    def _changed(self) -> None:
        self.refresh()
        self.models_changed.emit()

    def _run(self, job: Callable[[], Any], view: str | None = None) -> Task[Any]:
        return self.tasks.run(job, owner=self, view=view, lane=Lane.FILES).failure(self._on_failed)

    def _on_failed(self, error: Exception) -> None:
        self.failed.emit(error)
        if self._look.isActive():
            self.refresh()
