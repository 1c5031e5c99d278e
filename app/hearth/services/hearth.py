"""Hearth put together: what every front opens."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from hearth.config import Config, load_config, write_default_config
from hearth.conversations.store import ConversationStore
from hearth.errors import HearthError
from hearth.hardware.machine import read_machine
from hearth.home import ensure_home
from hearth.models.registry import ModelRegistry
from hearth.paths import config_file, database_file, log_file
from hearth.services.assistant import AssistantService
from hearth.services.engine_options import engine_options
from hearth.services.model_pool import ModelPool
from hearth.services.threads import ThreadFactory, plain_thread
from hearth.storage.database import Database

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hearth:
    """The parts that fronts use.

    Attributes:
        config: the settings file, or the defaults where it cannot be used.
        config_error: why it cannot be used; None where it can.
    """

    config: Config
    config_error: HearthError | None
    database: Database
    conversations: ConversationStore
    models: ModelRegistry
    pool: ModelPool
    assistant: AssistantService

    @classmethod
    def open(cls, *, strict_config: bool = False, thread_factory: ThreadFactory = plain_thread) -> Hearth:
        """Open this user's Hearth. Reads and writes files: not on a window's main thread.

        Args:
            strict_config: raise what is wrong with the settings file, where nobody would see a banner.
            thread_factory: makes the threads that models are worked on.

        Raises:
            HomeUnwritable, DatabaseFromTheFuture, DatabaseDamaged, DatabaseBusy: it cannot be opened.
            ConfigUnknownKey, ConfigInvalid: where `strict_config` is set.
        """
        ensure_home()
        config, config_error = Config(), None
        try:
            write_default_config(config_file())
            config = load_config()
        except HearthError as error:
            if strict_config:
                raise
            log.warning("%s", error)
            config_error = error
        database = Database.open(database_file())
        conversations = ConversationStore(database)
        conversations.mark_interrupted()
        models = ModelRegistry()
        options = engine_options(config.engine, read_machine())
        pool = ModelPool(models, options, thread_factory=thread_factory, log_file=log_file())
        return cls(
            config=config,
            config_error=config_error,
            database=database,
            conversations=conversations,
            models=models,
            pool=pool,
            assistant=AssistantService(conversations, pool, config.defaults),
        )

    def close(self) -> None:
        """Stop every answer and store it, end every host, and let go of the files."""
        self.pool.close()
        self.models.purge_removed()
        self.database.close()
