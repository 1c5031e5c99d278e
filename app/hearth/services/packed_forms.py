"""The packed weights of models (`engine/packed_weights.py`): gone when their model is, or when none are wanted."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hearth.config import EngineSection
from hearth.engine.packed_weights import PackedWeights
from hearth.errors import HearthError
from hearth.model_folder.digest import model_digest
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.manifest import GENAI
from hearth.models.registry import ModelEntry, ModelRegistry
from hearth.paths import packed_weights_folder

log = logging.getLogger(__name__)


def digest_of(entry: ModelEntry) -> str:
    """The digest by which the packed forms of a model of onnxruntime-genai are known.

    Raises:
        HearthError, OSError: its files cannot be used.
    """
    return model_digest(ModelFolder.open(entry.path, [entry.path] if entry.in_place else []))


def purge_removed(models: ModelRegistry) -> None:
    """Delete for good what this process removed, and what was packed of it. Never raises."""
    packed = PackedWeights(packed_weights_folder(), 0)
    digests: set[str] = set()
    if packed.folder.is_dir():
        with _failures():
            for entry in models.removed():
                if entry.format == GENAI:
                    with suppress(HearthError):  # nothing was packed of what cannot be used
                        digests.add(digest_of(entry))
    models.purge_removed()
    if digests:
        with _failures():
            packed.forget(digests)


def delete_unwanted(settings: EngineSection) -> None:
    """Delete all of them where the settings want none. Never raises."""
    if settings.packed_weights == "off":
        with _failures():
            PackedWeights(packed_weights_folder(), 0).clear()


@contextmanager
def _failures() -> Iterator[None]:
    """What stays on the disk for now is told to the log: it takes room, and does no harm."""
    try:
        yield
    except OSError as error:
        log.warning("packed weights could not be deleted: %s", error)
