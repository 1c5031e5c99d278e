"""What can be done with the models of this machine; the list and the pages of the window stand on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime

from hearth.hardware.machine import read_machine
from hearth.model_folder.speed import SpeedReport
from hearth.models.copying import CancelledCallback, ProgressCallback
from hearth.models.other_apps.found_model import FoundModel
from hearth.models.registry import ModelEntry, RemovedModel
from hearth.models.remote_keys import moved_key
from hearth.services import other_apps, remote_models
from hearth.services.device_options import machine_text
from hearth.services.file_manager import reveal
from hearth.services.hearth import Hearth
from hearth.services.model_overview import ModelOverview, overview
from hearth.services.other_apps import Finding
from hearth.services.remembered import LAST_MODEL


class ModelManager:
    """Acts on models by name or alias.

    Every method reads and writes files and the database, so none is for a window's main thread. A model that is
    answering is never renamed, removed or measured: ModelAnswering says so.
    """

    def __init__(self, hearth: Hearth) -> None:
        self._hearth = hearth

    def overviews(self) -> list[ModelOverview]:
        """Every model, in the order of `ModelRegistry.list`."""
        last_answers = self._hearth.conversations.last_answers()
        return [overview(self._hearth, entry, last_answers) for entry in self._hearth.models.list()]

    def overview(self, name: str) -> ModelOverview:
        """One model. Raises ModelNotFound."""
        hearth = self._hearth
        return overview(hearth, hearth.models.get(name), hearth.conversations.last_answers())

    def rename(self, name: str, new: str) -> ModelEntry:
        """Give a model another name; it is unloaded for that.

        The old name becomes an alias, so whoever says it still finds the model. Conversations, messages and settings
        name it anew.

        Raises:
            ModelAnswering: it is in use.
            KeyStoreUnusable: it is remote, and its key cannot be kept under the new name.
            HearthError: whatever `ModelRegistry.rename` and `Hearth.change_settings` find wrong.
        """
        hearth = self._hearth
        entry = hearth.models.check_rename(name, new)
        old, remote = entry.name, entry.manifest.remote
        if new == old:
            return entry
        self._unload(old)
        with moved_key(old, remote.address, new) if remote and remote.has_key else nullcontext():
            entry = hearth.models.rename(old, new)
        hearth.conversations.rename_model(old, entry.name)
        if hearth.conversations.get_setting(LAST_MODEL) == old:
            hearth.conversations.set_setting(LAST_MODEL, entry.name)
        named = {
            "defaults.model": hearth.config.defaults.model,
            "engine.draft_model": hearth.config.engine.draft_model,
        }
        changes = {key: entry.name for key, value in named.items() if value == old}
        if changes:
            hearth.change_settings(changes)
        return entry

    def remove(self, name: str) -> RemovedModel:
        """Take a model out of the list; `restore` undoes it until Hearth ends. A file used in place stays as it is.

        Raises:
            ModelAnswering: it is in use.
            HearthError: whatever `ModelRegistry.remove` finds wrong.
        """
        entry = self._hearth.models.get(name)
        if not entry.built_in:  # the registry refuses that
            self._unload(entry.name)
        return self._hearth.models.remove(entry.name)

    def restore(self, removed: RemovedModel) -> None:
        """Undo `remove`. Raises ModelNameTaken, ModelNotFound, ModelsBusy."""
        self._hearth.models.restore(removed)

    def verify(
        self,
        name: str,
        progress: ProgressCallback | None = None,
        cancelled: CancelledCallback | None = None,
    ) -> None:
        """Compare every file with its checksum. Raises HearthError where one is not what was imported.

        Args:
            progress: called with the bytes done and their total.
            cancelled: asked between pieces of 4 MB; True raises VerifyCancelled.
        """
        self._hearth.models.verify(name, progress, cancelled)

    def change_settings(self, name: str, changes: Mapping[str, object | None]) -> ModelEntry:
        """Set what the model uses of its own, by key of `ModelSettings`; None takes a setting away.

        What answers use counts from the next answer, `max_context` and `device` from the next load.

        Raises:
            ModelNotFound, ModelSettingUnknown, ModelSettingInvalid, ModelsBusy, HomeUnwritable, DiskFull
        """
        entry = self._hearth.models.change_settings(name, changes)
        self._hearth.pool.use_own_rest(entry.name, entry.manifest.settings.unload_minutes)
        return entry

    def measure(
        self,
        name: str,
        *,
        prompt_tokens: int = 512,
        repeat: int = 3,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> SpeedReport:
        """Measure how fast a model is here, alone and unhurried, and keep that with the model.

        Blocks for a minute or several. All models are unloaded for it, so that none disturbs.

        Args:
            progress: told how many runs are done, of how many, once the model is loaded.
            cancelled: asked often; True stops, in the middle of a run too, and nothing is kept.

        Raises:
            ModelAnswering: a model is in use.
            MeasuringCancelled: `cancelled` said so.
            HearthError: it cannot be loaded or measured.
        """
        from hearth.services.benchmark.benchmark import Plan, measure_model
        from hearth.services.benchmark.figures import What

        hearth = self._hearth
        name = hearth.models.get(name).name
        self._unload(*(status.name for status in hearth.pool.statuses()))
        plan = Plan(prompt_tokens=(prompt_tokens,), streams=(1,), contexts=(0,), repeat=repeat, noise=False)
        report = measure_model(hearth, name, plan, progress=progress, cancelled=cancelled)
        figures = {figure.what: figure for figure in report.figures}
        speeds = {what: figure.hearth for what, figure in figures.items()}
        memory = speeds.get(What.MEMORY_MOST)
        speed = SpeedReport(
            machine=machine_text(read_machine()),
            measured_at=datetime.now(UTC),
            provider=report.provider,
            threads=report.threads,
            prompt_tokens=figures[What.PREFILL].tokens,
            read_speed=speeds.get(What.PREFILL),
            write_speed=speeds.get(What.DECODE),
            load_seconds=speeds.get(What.LOAD_WARM),
            memory_bytes=None if memory is None else int(memory),
        )
        hearth.models.note(name, speed=speed)
        return speed

    def reveal(self, name: str) -> None:
        """Show the model's files in the file manager. Raises ModelNotFound, ModelFolderMissing, FileManagerMissing."""
        reveal(self._hearth.models.get(name).file)

    def find_other_apps(self) -> list[Finding]:
        """The models of other apps on this machine, and which of them Hearth has already."""
        return other_apps.find(self._hearth.models)

    def add_found(
        self,
        model: FoundModel,
        *,
        name: str | None = None,
        progress: ProgressCallback | None = None,
        cancelled: CancelledCallback | None = None,
    ) -> ModelEntry:
        """Take a model of another app into the list, where it lies; see `other_apps.add`."""
        return other_apps.add(self._hearth.models, model, name=name, progress=progress, cancelled=cancelled)

    def server_models(self, address: str, key: str) -> list[str]:
        """What a server calls its models; see `remote_models.server_models`."""
        return remote_models.server_models(address, key)

    def add_remote(self, name: str, *, address: str, model: str, key: str) -> ModelEntry:
        """Take a server's model into the list; see `remote_models.add_remote`."""
        return remote_models.add_remote(self._hearth.models, name, address=address, model=model, key=key)

    def set_key(self, name: str, key: str) -> ModelEntry:
        """Give a remote model another key, or none; see `remote_models.set_key`. It counts from the next load."""
        return remote_models.set_key(self._hearth.models, name, key)

    def _unload(self, *names: str) -> None:
        """Raises ModelAnswering where one of them is in use; then none is unloaded."""
        self._hearth.pool.unload_and_wait(names, only_idle=True)
