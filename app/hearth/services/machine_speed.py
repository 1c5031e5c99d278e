"""Has this machine's speeds measured, by a process that carries numpy, ONNX Runtime and the memory that it takes."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable

import msgspec

from hearth.child_process import answer_of, own_command
from hearth.engine.host.client import host_environment
from hearth.models.speeds import Speeds

log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 60


def measure_speed(cores: int, cancelled: Callable[[], bool] = lambda: False) -> Speeds:
    """Measure with so many threads; takes some seconds. Never raises: what cannot be measured is 0.

    Args:
        cancelled: asked ten times a second; True ends the process, and nothing is measured.
    """
    command = own_command("hearth.hardware.speed", "--measure-speed", str(cores))
    threads = {name: str(cores) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    try:  # as models run, which is with an engine host's environment
        answer = answer_of(command, _TIMEOUT_SECONDS, host_environment() | threads, cancelled)
        return msgspec.json.decode(answer, type=Speeds)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError) as error:
        if not cancelled():
            log.warning("how fast this machine is cannot be measured: %s", error)
        return Speeds()
