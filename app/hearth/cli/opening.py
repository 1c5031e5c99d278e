"""What commands open before they work, and close whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hearth.models.registry import ModelRegistry
    from hearth.services.hearth import Hearth
    from hearth.services.model_worker import ModelWorker


@contextmanager
def open_hearth() -> Iterator[Hearth]:
    """Everything: database, models and engine hosts. A settings file with a mistake is refused.

    Raises:
        HearthError: it cannot be opened.
    """
    from hearth.services.hearth import Hearth

    hearth = Hearth.open(strict_config=True)
    try:
        yield hearth
    finally:
        hearth.close()


@contextmanager
def open_models() -> Iterator[ModelRegistry]:
    """The models alone, which is quick; what was removed is gone at the end.

    Raises:
        HearthError: home or settings cannot be used.
    """
    from hearth.config import load_config, models_root
    from hearth.home import ensure_home
    from hearth.models.registry import ModelRegistry, check_models_folder

    ensure_home()
    root = models_root(load_config())
    check_models_folder(root)
    registry = ModelRegistry(root)
    try:
        yield registry
    finally:
        if registry.has_removed:
            from hearth.services.packed_forms import purge_removed

            purge_removed(registry)


def load_model(hearth: Hearth, name: str, *, threads: int = 0) -> ModelWorker:
    """Load a model by its name or alias, and wait until it is there; 0 threads leaves them to the settings.

    Raises:
        HearthError: there is none, or it cannot be loaded.
    """
    from hearth.cli.output import note, status
    from hearth.hardware.machine import read_machine
    from hearth.i18n import tr
    from hearth.services.engine_options import engine_options, with_threads

    options = engine_options(hearth.config.engine, read_machine())
    if threads:
        options = with_threads(options, threads)
    worker = hearth.pool.load(hearth.models.get(name).name, options)
    with status(tr("Loading {name}…", name=worker.name)):
        info = worker.wait_ready()
    for notice in info.notices:
        note(notice)
    return worker
