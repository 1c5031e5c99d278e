"""Where a download from the hub stands, and what the queue tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hearth.errors import HearthError
from hearth.models.hub.checkpoints import CheckpointEntry
from hearth.models.hub.choices import Format
from hearth.models.registry import ModelEntry


class DownloadState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DownloadStatus:
    """Where a download stands.

    Attributes:
        id: stays the same however often it is stopped and gone on with.
        choice: the file or folder of the repository.
        name: of the model that it becomes; of a checkpoint, that of the repository.
        done, total: in bytes.
        bytes_per_second, seconds_left: while it runs here; None where that cannot be told yet.
        error: why it failed.
        elsewhere: it runs in another process.
    """

    id: str
    repository: str
    choice: str
    format: Format
    name: str
    state: DownloadState
    done: int
    total: int
    bytes_per_second: float | None = None
    seconds_left: float | None = None
    error: HearthError | None = None
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class DownloadDone:
    """A download has arrived: as a model that can be loaded, or as a checkpoint that can be quantized."""

    id: str
    entry: ModelEntry | CheckpointEntry


@dataclass(frozen=True, slots=True)
class DownloadRemoved:
    """A download was cancelled, and nothing is left of it."""

    id: str


DownloadEvent = DownloadStatus | DownloadDone | DownloadRemoved
