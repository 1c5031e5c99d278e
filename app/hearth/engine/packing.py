"""`python -m hearth.engine.packing`: makes the packed form of a model's weights, in a process of its own.

Its standard input is the job, a line of JSON (see `child_process.py`). It takes memory for the model's largest matrix
(`packed_graph.py`), so it can be done on a machine that has not enough to load the model as it is; there it is done
first. Otherwise it takes whatever processor time nobody else wants.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
import psutil

from hearth.child_process import (
    NO_WINDOW,
    Caller,
    be_modest,
    child_environment,
    log_to_stderr,
    own_command,
)
from hearth.engine.host.protocol import EngineOptions
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.ort_session import model_origin
from hearth.engine.packed_weights import NotPacked, NotTheSame, PackedWeights, weight_bytes
from hearth.errors import HearthError
from hearth.model_folder.folder import ModelFolder

log = logging.getLogger(__name__)

# Of the model's weights: what loading them as they are takes, with what onnxruntime adds and some keys and values.
_LOADED_FACTOR = 1.3
# Of the largest matrix: raw, reordered, and once more while it is written; and an interpreter with onnxruntime.
_MATRIX_FACTOR = 4
_EMPTY_BYTES = 200 << 20
# Where nobody waits for it.
_NICENESS = 19
_PROBE_TOKENS = 24
_PROBE_KV_BYTES = 256 << 20


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Pack this model.

    Attributes:
        is_awaited: somebody waits for it, so it takes the processor time that it needs.
    """

    name: str
    folder: str
    roots: list[str]
    options: EngineOptions
    is_awaited: bool = False


def packing_command() -> list[str]:
    """How to start this."""
    return own_command("hearth.engine.packing", "--pack-weights")


def check_room(folder: ModelFolder, packed: PackedWeights, options: EngineOptions) -> None:
    """Whether memory and disk allow for making a packed form of this model now.

    Raises:
        NotPacked: they do not.
    """
    # Its library takes a while to come, and most loads need none of it.
    from hearth.engine.packed_graph import largest_matrix_bytes

    packed.check_room(weight_bytes(folder))
    needed = largest_matrix_bytes(folder) * _MATRIX_FACTOR + _EMPTY_BYTES
    left = _free_bytes(options)
    if needed > left:
        raise NotPacked(
            f"making them takes {needed >> 20} MB of memory, and {max(0, left) >> 20} MB are free"
        )


def loads_as_it_is(folder: ModelFolder, options: EngineOptions) -> bool:
    """Whether there is memory for loading the model from its own files."""
    return weight_bytes(folder) * _LOADED_FACTOR < _free_bytes(options)


def _free_bytes(options: EngineOptions) -> int:
    left = psutil.virtual_memory().available
    if options.memory_bytes:
        left = min(left, options.memory_bytes - psutil.Process().memory_info().rss)
    return left


def start_packing(
    name: str, folder: ModelFolder, roots: list[str], options: EngineOptions, *, is_awaited: bool = False
) -> subprocess.Popen[bytes]:
    """Start the process; it ends with this one, or when its standard input is closed."""
    process = subprocess.Popen(
        packing_command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=child_environment(),
        creationflags=NO_WINDOW | (0 if is_awaited else getattr(subprocess, "IDLE_PRIORITY_CLASS", 0)),
    )
    job = Job(name=name, folder=str(folder.path), roots=roots, options=options, is_awaited=is_awaited)
    if process.stdin is not None:
        with suppress(OSError):  # it ended at once, and said why in the log
            process.stdin.write(msgspec.json.encode(job) + b"\n")
            process.stdin.flush()
    return process


def pack(folder: ModelFolder, name: str, packed: PackedWeights, options: EngineOptions, part: Path) -> None:
    """Make the packed form of a model in the folder `part`, check it against the model, and take it in.

    Each product is compared by itself, and where there is memory for loading the model as it is, its logits too.

    Raises:
        ModelLoadFailed, ModelUnsupported, ModelRunFailed: the model cannot be packed.
        NotTheSame: the packed form is wrong.
        OSError: it cannot be written.
    """
    from hearth.engine.packed_graph import write_packed

    origin = model_origin(folder, options.machine)
    files = part / "files"
    files.mkdir()
    write_packed(folder, name, files, options.threads)
    # Taken in by a cache of its own first, so that nobody meets it before it is known to be right.
    trial = PackedWeights(part / "trial", sys.maxsize)
    trial.folder.mkdir()
    trial.add(files, origin, folder.path)
    if loads_as_it_is(folder, options):
        expected = _probe(folder, name, options, None)
        if not np.array_equal(expected, _probe(folder, name, options, trial)):
            raise NotTheSame
    packed.take(trial.folder / origin.name, origin)


def _probe(
    folder: ModelFolder, name: str, options: EngineOptions, packed: PackedWeights | None
) -> np.ndarray:
    """Logits [2, vocab] after a prompt, and after one token more."""
    runner = OrtRunner(
        folder,
        name,
        threads=options.threads,
        max_slots=1,
        kv_cache_bytes=_PROBE_KV_BYTES,
        max_context=128,
        packed=packed,
        machine=options.machine,
    )
    if runner.is_packed != (packed is not None):
        raise NotTheSame
    tokens = [1 + 7 * place % (runner.vocab_size - 1) for place in range(_PROBE_TOKENS)]
    runner.reserve(1, 2 * _PROBE_TOKENS)
    return np.stack([runner.prefill(0, tokens), runner.decode(0, [1])[0]])


def main() -> int:
    """Do the job on standard input; whatever prevents it is told to the log, since nothing is lost but time."""
    log_to_stderr()
    caller = Caller()
    job: Job = caller.job(Job)
    be_modest(0 if job.is_awaited else _NICENESS)
    packed = PackedWeights(Path(job.options.packed_folder), job.options.packed_bytes)
    try:
        part = packed.new_part()
    except OSError as error:
        log.warning("the weights of %s are not packed: %s", job.name, error)
        return 1
    caller.end_with_it(lambda: shutil.rmtree(part, ignore_errors=True))
    code = 0
    try:
        folder = ModelFolder.open(Path(job.folder), [Path(root) for root in job.roots])
        packed.check_room(weight_bytes(folder))
        origin = model_origin(folder, job.options.machine)
        if packed.is_refused(origin):
            raise NotPacked("they gave other answers before")
        try:
            pack(folder, job.name, packed, job.options, part)
        except NotTheSame:
            packed.refuse(origin)
            raise NotPacked("they give other answers") from None
    except (HearthError, NotPacked, OSError) as error:
        log.warning("the weights of %s are not packed: %s", job.name, error)
        code = 1
    else:
        log.info("the weights of %s are packed", job.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
