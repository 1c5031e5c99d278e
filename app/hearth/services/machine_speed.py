"""Has this machine's speeds measured, by a process that carries numpy, ONNX Runtime and the memory that it takes."""

from __future__ import annotations

import logging
import subprocess

import msgspec

from hearth.child_process import answer_of, own_command
from hearth.engine.host.client import host_environment
from hearth.models.speeds import Speeds

log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 60


def measure_speed(cores: int) -> Speeds:
    """Measure with so many threads; takes some seconds. Never raises: what cannot be measured is 0."""
    command = own_command("hearth.hardware.speed", "--measure-speed", str(cores))
    threads = {name: str(cores) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    try:  # as models run, which is with an engine host's environment
        answer = answer_of(command, _TIMEOUT_SECONDS, host_environment() | threads)
        return msgspec.json.decode(answer, type=Speeds)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError) as error:
        log.warning("how fast this machine is cannot be measured: %s", error)
        return Speeds()
