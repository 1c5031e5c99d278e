"""Hearth put together: what every front opens."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock

from hearth import i18n
from hearth.config import (
    Config,
    DefaultsSection,
    FoldersSection,
    load_config,
    models_root,
    not_recommendable,
    with_recommended,
    write_default_config,
)
from hearth.conversations.store import ConversationStore
from hearth.errors import HearthError, ModelsBusy
from hearth.hardware.machine import read_machine
from hearth.home import ensure_home
from hearth.log import use_level
from hearth.models.copying import CancelledCallback, ProgressCallback
from hearth.models.registry import ModelEntry, ModelRegistry, check_models_folder
from hearth.paths import config_file, database_file, log_file
from hearth.services.assistant import AssistantService
from hearth.services.downloads import Downloads
from hearth.services.engine_options import engine_options
from hearth.services.events import Listeners
from hearth.services.fit_check import FitCheck
from hearth.services.installs import Installs
from hearth.services.model_memory import limit_bytes
from hearth.services.model_pool import ModelPool
from hearth.services.models_folder import finish_move, move_models
from hearth.services.packed_forms import delete_unwanted, purge_removed
from hearth.services.threads import ThreadFactory, plain_thread
from hearth.storage.database import Database

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Hearth:
    """The parts that fronts use.

    Attributes:
        config: the settings as they are now; replaced as a whole, so any thread may read them.
        config_error: what is wrong with the settings file or with the folder it names; None where nothing is.
        settings_changed: tells the new settings, on the thread that changed them.
    """

    config: Config
    config_error: HearthError | None
    database: Database
    conversations: ConversationStore
    models: ModelRegistry
    pool: ModelPool
    downloads: Downloads
    installs: Installs
    assistant: AssistantService = field(init=False)
    settings_changed: Listeners[Config] = field(init=False, default_factory=Listeners)
    _changing: RLock = field(init=False, default_factory=RLock)
    _told: set[str] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self.assistant = AssistantService(self.conversations, self.pool, self.defaults_for)

    @classmethod
    def open(cls, *, strict_config: bool = False, thread_factory: ThreadFactory = plain_thread) -> Hearth:
        """Open this user's Hearth. Reads and writes files: not on a window's main thread.

        Args:
            strict_config: raise what is wrong with the settings file, where nobody would see a banner.
            thread_factory: makes the threads that models are worked on.

        Raises:
            HomeUnwritable, DatabaseFromTheFuture, DatabaseDamaged, DatabaseBusy: it cannot be opened.
            ConfigUnknownKey, ConfigInvalid, ModelFolderMissing, ModelsFolderUnusable: where `strict_config` is set.
        """
        ensure_home()
        config, config_error = Config(), None
        try:
            write_default_config(config_file())
            config = load_config()
            config_error = _folder_error(config)
        except HearthError as error:
            config_error = error
        if config_error is not None:
            if strict_config:
                raise config_error
            log.warning("%s", config_error)
        database = Database.open(database_file())
        conversations = ConversationStore(database)
        conversations.mark_interrupted()
        models = ModelRegistry(models_root(config))
        machine = read_machine()
        pool = ModelPool(
            models,
            engine_options(config.engine, machine),
            thread_factory=thread_factory,
            log_file=log_file(),
            rest_seconds=config.engine.unload_minutes * 60.0,
            limit_bytes=limit_bytes(config.engine.loaded_models_mb, machine),
            watch=lambda worker: FitCheck(worker, lambda: hearth.config).see,
        )
        downloads = Downloads(models, thread_factory=thread_factory)
        installs = Installs(models, downloads, thread_factory=thread_factory)
        hearth = cls(config, config_error, database, conversations, models, pool, downloads, installs)
        if config_error is None:  # else it is not known which folder is in use, nor what is wanted
            finish_move(hearth)
            delete_unwanted(config.engine)
        return hearth

    def change_settings(self, changes: Mapping[str, object | None]) -> Config:
        """Set keys of config.toml, as `{"defaults.top_p": 0.9}`, and have them take effect; None is a key's default.

        Comments and everything else in the file stay. Models run with new `engine` settings when they are next
        loaded. Another models folder is used as it is; `move_models` takes the models along. Writes files: not on a
        window's main thread.

        Raises:
            ConfigUnknownKey, ConfigInvalid: a key or value has no meaning, or the file is damaged; it is not touched.
            HomeUnwritable, DiskFull: the file cannot be written.
            ModelFolderMissing, ModelsFolderUnusable, ModelsBusy: the models folder cannot be changed to that, or not now.
        """
        # Its library takes a while to come, and no start needs it.
        from hearth.config_file import change_config

        folder = changes.get("folders.models")
        with self._changing, self.models.exclusively() if "folders.models" in changes else nullcontext():
            if isinstance(folder, str):
                check_models_folder(models_root(Config(folders=FoldersSection(folder))))
            config = change_config(config_file(), changes)
            if config != self.config or self.config_error is not None:
                self._apply(config)
            return self.config

    def _apply(self, config: Config) -> None:
        """Work by these settings from now on."""
        old, self.config, self.config_error = self.config, config, _folder_error(config)
        if config.language != old.language:
            i18n.use_language(config.language)
        if config.log != old.log:
            use_level(config.log.level)
        if config.engine != old.engine:
            delete_unwanted(config.engine)
            machine = read_machine()
            self.pool.use_options(engine_options(config.engine, machine))
            self.pool.use_limits(
                rest_seconds=config.engine.unload_minutes * 60.0,
                limit_bytes=limit_bytes(config.engine.loaded_models_mb, machine),
            )
        if models_root(config) != self.models.root:
            self._use_models_in(models_root(config))
        self.settings_changed.emit(config)

    def _use_models_in(self, root: Path) -> None:
        """Work with the models in another folder; those that lay elsewhere are unloaded."""
        try:
            with self.models.exclusively():
                purge_removed(self.models)  # nobody would find it there once the folder is another
                self.models.use_folder(root)
        except ModelsBusy as error:  # only where the file was changed by hand: the next start takes it
            log.warning("The models folder is not changed to %s now: %s", root, error)
            return
        self.pool.unload_moved(self._model_folders())

    def _model_folders(self) -> dict[str, Path]:
        """Where each model lies; none where the models folder cannot be read, which must not keep it in use."""
        try:
            return {entry.name: entry.path for entry in self.models.list()}
        except HearthError as error:
            log.warning("The models in %s cannot be listed: %s", self.models.root, error)
            return {}

    def move_models(
        self,
        target: Path,
        *,
        progress: ProgressCallback | None = None,
        cancelled: CancelledCallback | None = None,
    ) -> None:
        """Move the models to the folder `target`, which is made if need be, and use them there from now on.

        Copies them where they come to another disk; that takes as long as reading all of them. They can be used
        meanwhile, and are unloaded at the end. Until then they stay where they are, so that whatever stops this
        leaves them there; what a killed Hearth had copied is used when the same move is begun again.

        Args:
            progress: called with the bytes done and their total; not where nothing need be copied.
            cancelled: asked between pieces of 4 MB; True stops.

        Raises:
            ModelsFolderUnusable, ModelsFolderTaken, DiskFull: they cannot be moved there.
            ModelsBusy: models are being imported or moved already.
            MoveCancelled: `cancelled` said so.
            ConfigUnknownKey, ConfigInvalid, HomeUnwritable: the settings file cannot be changed.
            ModelFileInvalid: a model cannot be read.
            OldModelsStay: all is done, but the old files could not be deleted.
        """
        move_models(self, target, progress=progress, cancelled=cancelled)

    def defaults_for(self, model: str | None) -> DefaultsSection:
        """What a conversation uses where it sets nothing: what is set for the model, what the settings file says,
        what the model's maker recommends, and what Hearth takes for the rest.

        Reads files: not on a window's main thread, where `defaults_of` does the same with an entry.
        """
        defaults = self.config.defaults
        if model is None:
            return defaults
        try:
            entry = self.models.get(model)
        except HearthError:  # whoever uses the model says so
            return defaults
        ignored = not_recommendable(entry.manifest.sampling)
        if ignored and entry.name not in self._told:
            self._told.add(entry.name)
            log.warning("What %s recommends for %s is ignored", entry.name, ", ".join(ignored))
        return self.defaults_of(entry)

    def defaults_of(self, entry: ModelEntry) -> DefaultsSection:
        """The same for a model that was found already."""
        defaults = with_recommended(self.config.defaults, entry.manifest.sampling)
        return entry.manifest.settings.applied_to(defaults)

    def close(self) -> None:
        """Stop every answer and store it, every install and keep it; end every host, and let go of the files."""
        self.installs.close()
        self.downloads.close()
        self.pool.close()
        purge_removed(self.models)
        self.database.close()


def _folder_error(config: Config) -> HearthError | None:
    """Why the folder that the settings name cannot be used."""
    try:
        check_models_folder(models_root(config))
    except HearthError as error:
        return error
    return None
