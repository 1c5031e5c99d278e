"""A checkpoint becomes a model of this machine: built in a process of its own, and in the list when it is whole."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from hearth.config import EngineSection
from hearth.errors import (
    CheckpointNoFolder,
    CheckpointNotFetched,
    DiskFull,
    HearthError,
    HomeUnwritable,
    ImportCancelled,
    InputInvalid,
    MeasuringCancelled,
    ModelNotFinite,
    QuantizeBusy,
    QuantizeCancelled,
    writing_failed,
)
from hearth.hardware.machine import Machine, read_machine
from hearth.i18n import language, tr
from hearth.model_folder.hub_cache import snapshot_folder
from hearth.model_folder.manifest import VERSION, Manifest, Quantization
from hearth.model_folder.model_settings import NO_SETTINGS, ModelSettings
from hearth.model_folder.quality import QualityReport
from hearth.models.copying import CancelledCallback
from hearth.models.hub.checkpoints import CheckpointEntry, Checkpoints
from hearth.models.hub.repository import repository_in
from hearth.models.registry import ModelEntry, ModelRegistry
from hearth.paths import log_file
from hearth.quantize.process import QuantizeProcess
from hearth.quantize.protocol import Done, Job
from hearth.quantize.recipe import Recipe
from hearth.quantize.work_folder import WorkFolder
from hearth.services.engine_options import engine_options
from hearth.services.quality_job import QualityJob, QualityProgress
from hearth.services.quality_process import measure_quality

log = logging.getLogger(__name__)


class Stage(StrEnum):
    """What is being done."""

    BUILDING = "building"
    MEASURING = "measuring"
    CHECKING = "checking"


@dataclass(frozen=True, slots=True)
class QuantizeProgress:
    """How far it is.

    Attributes:
        done, total: of the stage, in units of its own.
        seconds_left: of the stage; None where that cannot be told.
    """

    stage: Stage
    done: int
    total: int
    seconds_left: float | None = None


def quantize(
    models: ModelRegistry,
    source: Path | CheckpointEntry,
    name: str,
    recipe: Recipe,
    *,
    settings: ModelSettings = NO_SETTINGS,
    progress: Callable[[QuantizeProgress], None] = lambda _progress: None,
    cancelled: CancelledCallback = lambda: False,
) -> ModelEntry:
    """Build the model `name` from the checkpoint in the folder `source`, or go on where that was stopped.

    `source` may also be the name of a repository whose checkpoint was fetched, unless there is a folder of that name.

    Whatever stops this, the list of models has the whole model or nothing. What was done when it was cancelled or
    killed, or when the finished model could not be moved into the list, stays beside the models until it is gone on
    with or discarded; any other error leaves nothing behind.

    Args:
        source: a checkpoint, or a repository in the cache of Hugging Face's tools.
        settings: of the model, from its first moment.
        progress: called several times a second, on this thread.
        cancelled: asked as often; True stops.

    Raises:
        InputInvalid: the path of the source is no text.
        ModelNameInvalid, ModelNameTaken, ModelsBusy, QuantizeBusy: it cannot have that name, or not now.
        CheckpointNotFetched, CheckpointNoFolder: there is none.
        CheckpointUnsupported, ModelUnsupported, TokenizerMissing, ModelFolderMissing, ModelFileMissing,
            ModelFileInvalid, ModelFileTruncated, ModelFileOutside: the checkpoint cannot be used.
        ModelNotFinite: what the finished model computes are no numbers.
        QuantizeRoom, QuantizeMemory, DiskFull, HomeUnwritable: the machine cannot do it.
        QuantizeCrashed: the process was killed; what is done is kept.
        QuantizeCancelled: `cancelled` said so; what is done is kept.
    """
    if isinstance(source, Path) and not source.exists():
        name_of_source = source.as_posix()
        found = Checkpoints(models.root).get(name_of_source)
        if found is None and repository_in(name_of_source, ()):
            raise CheckpointNotFetched(name=name_of_source)
        source = found or source
    if isinstance(source, Path) and source.is_file():
        raise CheckpointNoFolder(path=str(source))
    if isinstance(source, CheckpointEntry):
        folder_of_source, origin = source.path, source.manifest
    else:
        folder_of_source = checkpoint_folder(source)
        origin = Manifest(version=VERSION, name=name, source=str(folder_of_source))
    if not _is_text(str(folder_of_source)):
        path = str(folder_of_source).encode(errors="replace").decode()
        raise InputInvalid(reason=tr("{path} is not UTF-8 text", path=path))
    machine = read_machine()
    with models.building(name) as folder:
        job = Job(
            name=name,
            source=str(folder_of_source),
            work=str(folder),
            recipe=recipe,
            threads=machine.usable_cores,
            memory_bytes=machine.available_bytes,
            language=language(),
        )
        built = _run(job, progress, cancelled)
        work = WorkFolder(folder)
        try:
            with _held(work):  # so that nobody builds another model in it before this one has left it
                models.check_free(name)
                if not work.holds(built.key):  # somebody has, in the moment since it was done
                    raise QuantizeBusy(name=name)
                quality = _measured(job, built, work.model, machine, progress, cancelled)
                entry = models.add_built(
                    work.model,
                    name=name,
                    source=origin.source,
                    revision=origin.revision,
                    licence=origin.licence,
                    quantization=Quantization(recipe=_told(built.recipe), seconds=round(built.seconds, 3)),
                    quality=quality,
                    settings=settings,
                    progress=lambda done, total: progress(QuantizeProgress(Stage.CHECKING, done, total)),
                    cancelled=cancelled,
                )
        except ImportCancelled as error:
            raise QuantizeCancelled(name=name) from error
        except (QuantizeCancelled, QuantizeBusy, DiskFull, HomeUnwritable):
            raise  # the work is somebody else's, or may yet be gone on with
        except HearthError:
            _tidy(work)
            raise
        _tidy(work)
        return entry


def _is_text(path: str) -> bool:
    """Whether a path can be told to another process; on Linux a name may be any bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def checkpoint_folder(path: Path) -> Path:
    """Where the files of a checkpoint lie that is on the disk; of a repository in a cache, those of its revision."""
    return snapshot_folder(path.expanduser().resolve())


@contextmanager
def _held(work: WorkFolder) -> Iterator[None]:
    try:
        with work.held():
            yield
    except OSError as error:
        raise writing_failed(work.path, error) from error


def _told(recipe: Recipe) -> dict[str, Any]:
    """A recipe as it goes with the model, wherever that goes: without the folders of whoever made it."""
    told: dict[str, Any] = msgspec.to_builtins(recipe)
    if "calibration" in told:
        told["calibration"] = Path(recipe.calibration).name
    return told


def _tidy(work: WorkFolder) -> None:
    """Remove what nobody needs any more; what stays of it is seen by nobody."""
    with suppress(OSError, QuantizeBusy):
        work.remove()


def discard(models: ModelRegistry, name: str) -> None:
    """Delete what is there of a model that was to be quantized.

    Raises:
        ModelNameInvalid: that is no name.
        QuantizeBusy: it is being quantized.
        HomeUnwritable: it cannot be deleted.
    """
    folder = models.work_folder(name)
    try:
        WorkFolder(folder).remove()
        with suppress(OSError):  # others are built in it
            folder.parent.rmdir()
    except OSError as error:
        raise writing_failed(folder, error) from error


def _run(job: Job, progress: Callable[[QuantizeProgress], None], cancelled: CancelledCallback) -> Done:
    """Have the process do the job; how that went."""
    with QuantizeProcess(job, log_file()) as process:
        for message in process.messages():
            if isinstance(message, Done):
                return message
            progress(QuantizeProgress(Stage.BUILDING, message.done, message.total, message.seconds_left))
            if cancelled():
                break
    raise QuantizeCancelled(name=job.name)


def _measured(
    job: Job,
    built: Done,
    model: Path,
    machine: Machine,
    progress: Callable[[QuantizeProgress], None],
    cancelled: CancelledCallback,
) -> QualityReport | None:
    """How good the model is beside its checkpoint; None where that cannot be measured, as the log then says.

    Raises:
        QuantizeCancelled: `cancelled` said so.
        ModelNotFinite: the model is of no use.
    """
    quality_job = QualityJob(
        name=job.name,
        source=job.source,
        folder=str(model),
        recipe=built.recipe,
        options=engine_options(EngineSection(), machine),
        build_seconds=built.seconds,
        language=job.language,
    )

    def tell(at: QualityProgress) -> None:
        progress(QuantizeProgress(Stage.MEASURING, at.done, at.total))

    try:
        return measure_quality(quality_job, tell, cancelled)
    except MeasuringCancelled as error:
        raise QuantizeCancelled(name=job.name) from error
    except ModelNotFinite:
        raise
    except HearthError:
        log.warning("the quality of %s is not measured", job.name, exc_info=True)
        return None
