"""What is to be fetched from the hub, as it lies in a file beside the models."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

import msgspec

from hearth.errors import HearthError
from hearth.model_folder.model_settings import NO_SETTINGS, ModelSettings
from hearth.models.hub.address import page
from hearth.models.hub.choices import Choice, Format, check_paths
from hearth.models.hub.repository import Repository, is_repository_name
from hearth.models.names import clean_name, is_name


class Wanted(StrEnum):
    """What shall become of a download."""

    FETCHED = "fetched"  # now, or when its turn comes
    PAUSED = "paused"
    FAILED = "failed"  # nothing, until somebody tries again


class Failure(msgspec.Struct, frozen=True):
    """An error as it lies in a file."""

    code: str
    params: dict[str, Any]

    @property
    def error(self) -> HearthError:
        """One that can be put into words, whatever somebody else has written."""
        try:
            error = HearthError.from_code(self.code, self.params)
            str(error)
        except (LookupError, TypeError, ValueError):
            return HearthError(detail=self.code)
        return error


class DownloadJob(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be fetched. Fields that a newer Hearth wrote are ignored.

    Attributes:
        commit: of the repository, for good.
        name: of the model that it becomes; of a checkpoint, that of the repository.
        source: the address that it comes from, for people.
        added_at: its place in the queue.
        passing, settings: as the manifest of the checkpoint or model will have them.
    """

    repository: str
    commit: str
    licence: str
    choice: Choice
    name: str
    source: str
    added_at: datetime
    wanted: Wanted = Wanted.FETCHED
    failure: Failure | None = None
    passing: bool = False
    settings: ModelSettings = NO_SETTINGS

    @property
    def format(self) -> Format:
        return self.choice.format

    def is_sound(self) -> bool:
        """Whether Hearth can have written it: a file beside the models may be anybody's."""
        is_named = self.name == self.repository if self.format is Format.CHECKPOINT else is_name(self.name)
        try:
            check_paths(self.choice)
        except HearthError:
            return False
        return is_named and is_repository_name(self.repository) and self.added_at.tzinfo is not None


def new_job(
    repository: Repository,
    choice: Choice,
    name: str | None = None,
    *,
    passing: bool = False,
    settings: ModelSettings = NO_SETTINGS,
) -> DownloadJob:
    """What fetches this choice.

    Args:
        name: of the model; from its repository or file by default. A checkpoint is named by its repository.
        passing: it is a checkpoint that only models to be made of it need.
        settings: of the model, from its first moment.
    """
    return DownloadJob(
        repository=repository.name,
        commit=repository.commit,
        licence=repository.licence,
        choice=choice,
        name=_name(repository.name, choice, name),
        source=page(repository.name),
        added_at=datetime.now(UTC),
        passing=passing,
        settings=settings,
    )


def _name(repository: str, choice: Choice, wanted: str | None) -> str:
    """What it is called: as somebody wants, where it becomes a model."""
    if choice.format is Format.CHECKPOINT:
        return repository
    if wanted is not None:
        return wanted
    if choice.format is Format.GGUF:
        return clean_name(re.sub(r"-\d{5}-of-\d{5}$", "", PurePosixPath(choice.name).stem))
    return clean_name(PurePosixPath(repository).name)
