"""Where the install of a model stands, and what the queue tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hearth.errors import HearthError
from hearth.models.hub.choices import Format
from hearth.models.registry import ModelEntry


class InstallStep(StrEnum):
    """What is done on the way from the hub to a model that answers; the last three for a checkpoint alone."""

    DOWNLOAD = "download"
    QUANTIZE = "quantize"
    REPORT = "report"  # how good the model is beside its checkpoint
    CHECK = "check"  # a checksum of each file


class InstallState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class InstallStatus:
    """Where an install stands.

    Attributes:
        id: stays the same however often it is stopped and gone on with.
        repository: that it comes from; the path of a checkpoint that lies on the disk.
        choice: the file or folder of the repository; empty for a checkpoint that lies on the disk.
        name: of the model that it becomes; of a checkpoint that is only fetched, that of the repository.
        recipe: by which it is quantized; empty where nothing is.
        steps: that it takes, in this order.
        done, total: of the step: bytes for DOWNLOAD, else units of its own; a total of 0 is not known yet.
        bytes_per_second: of a download that runs here; None where that cannot be told.
        seconds_left: of the step; None where that cannot be told.
        error: why it failed.
        elsewhere: it runs in another process.
    """

    id: str
    repository: str
    choice: str
    format: Format
    name: str
    recipe: str
    steps: tuple[InstallStep, ...]
    step: InstallStep
    state: InstallState
    done: int = 0
    total: int = 0
    bytes_per_second: float | None = None
    seconds_left: float | None = None
    error: HearthError | None = None
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class InstallDone:
    """The model is in the list, and the install is not any more."""

    id: str
    entry: ModelEntry


@dataclass(frozen=True, slots=True)
class InstallRemoved:
    """It is not listed any more and has become no model: it was cancelled, or was a checkpoint to be fetched and no more."""

    id: str


InstallEvent = InstallStatus | InstallDone | InstallRemoved
