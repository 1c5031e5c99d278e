"""The process that quantizes: reads its job from standard input, builds the model, and tells how far it is."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil

from hearth.child_process import Caller, be_modest, log_to_stderr
from hearth.errors import (
    HearthError,
    ModelFileInvalid,
    QuantizeMemory,
    QuantizeMemoryRecipe,
    QuantizeRoom,
    writing_failed,
)
from hearth.i18n import tr, use_language
from hearth.quantize.builder import Plan, Steps, calibrate, plan, write
from hearth.quantize.calibration.kept_calibration import Keeper, KeptCalibration
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.graph.graph import DATA_FILE
from hearth.quantize.protocol import Done, Job, Progress
from hearth.quantize.recipe import Recipe
from hearth.quantize.recipe_file import load_built_in_recipe
from hearth.quantize.work_folder import WorkFolder

log = logging.getLogger(__name__)

_TELL_SECONDS = 0.25
# Left free on the disk: for the tokenizer, and so that the database can still be written.
_SPARE_BYTES = 128 << 20
_NICENESS = 10
# Which need less memory than others: without feedback, and without a text.
_FRUGAL_RECIPES = ("small", "int8")


def serve() -> int:
    """Do the job on standard input; the exit code."""
    be_modest(_NICENESS)
    log_to_stderr()
    caller = Caller()
    job: Job = caller.job(Job)
    use_language(job.language)
    # What is noted in the journal is what a later process goes on from.
    caller.end_with_it()
    return caller.answer(lambda: run(job, _Teller(caller)))


def run(job: Job, teller: _Teller) -> None:
    """Build the model, or go on with it.

    Raises:
        HearthError: what prevents it. What was done before is deleted if this process had begun to write, but where
            the disk is full: when there is room, the next one goes on.
    """
    started = time.monotonic()
    work = WorkFolder(Path(job.work))
    try:
        with work.held():
            try:
                recipe, key = _build(job, work, teller)
            except (HearthError, OSError, MemoryError) as error:
                log.info("%s is not quantized", job.name, exc_info=True)
                is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
                if not work.has_work or (teller.has_begun and not is_full):
                    work.clear()
                    shutil.rmtree(work.path, ignore_errors=True)
                raise
    except MemoryError as error:
        raise QuantizeMemory(needed=_mb(job.memory_bytes), free=0) from error
    except OSError as error:
        raise writing_failed(work.path, error) from error
    teller.end(Done(seconds=time.monotonic() - started, recipe=recipe, key=key))


def _build(job: Job, work: WorkFolder, teller: _Teller) -> tuple[Recipe, str]:
    """Write the model; the recipe with every choice made, and the key of what was built."""
    planned = plan(Checkpoint.open(Path(job.source)), job.recipe)
    data = work.model / DATA_FILE
    _check_memory(job, planned)
    _check_disk(planned, work.path, data)
    steps = Steps.of(planned, lambda _done, _whole: None)
    teller.begin(steps)
    chosen = calibrate(planned, job.threads, steps, _keeper(work.choices, job))
    key = chosen.key()
    journal = work.journal(key, data, chosen.bytes, job.note_seconds)
    built = write(chosen, work.model, job.threads, steps, journal, _keeper(work.layers, job))
    if chosen.key() != key:
        raise ModelFileInvalid(file=job.source, reason=tr("it was changed while it was read"))
    for file in work.model.iterdir():
        with file.open("r+b") as stream:
            os.fsync(stream.fileno())
    return built.recipe, key


def _keeper(file: Path, job: Job) -> Keeper:
    return lambda key: KeptCalibration(file, key, job.note_seconds)


def _check_memory(job: Job, planned: Plan) -> None:
    needed = planned.memory_bytes(job.threads)
    free = min(job.memory_bytes, psutil.virtual_memory().available)
    if needed <= free:
        return
    for name in _FRUGAL_RECIPES:
        frugal = replace(planned, recipe=load_built_in_recipe(name)).memory_bytes(job.threads)
        if frugal <= free:
            raise QuantizeMemoryRecipe(needed=_mb(needed), free=_mb(free), recipe=name, less=_mb(frugal))
    raise QuantizeMemory(needed=_mb(needed), free=_mb(free))


def _check_disk(planned: Plan, folder: Path, data: Path) -> None:
    taken = 0
    if data.exists():
        state = data.stat()
        taken = min(planned.bytes, state.st_blocks * 512 if hasattr(state, "st_blocks") else state.st_size)
    needed = planned.bytes - taken + planned.kept_bytes + _SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise QuantizeRoom(needed=_mb(needed), path=str(folder.parent), free=_mb(free))


def _mb(count: int) -> int:
    return -(-count // 1_000_000)


class _Teller:
    """Tells the caller how far the work is, on a thread of its own."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._ended = threading.Event()
        self._steps: Steps | None = None

    @property
    def has_begun(self) -> bool:
        """Whether writing has."""
        return self._steps is not None

    def begin(self, steps: Steps) -> None:
        self._steps = steps
        threading.Thread(target=self._tell, args=[steps], daemon=True).start()

    def end(self, message: Done) -> None:
        """The last word."""
        self._ended.set()
        self._caller.tell(message)

    def _tell(self, steps: Steps) -> None:
        begun = time.monotonic()
        while not self._ended.wait(_TELL_SECONDS):
            left = steps.seconds_left(time.monotonic() - begun)
            self._caller.tell(
                Progress(done=min(steps.done, steps.whole), total=steps.whole, seconds_left=left)
            )
