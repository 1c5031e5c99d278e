"""Has this machine's speeds measured, by a process that carries numpy, ONNX Runtime and the memory that it takes."""

from __future__ import annotations

import subprocess

import msgspec

from hearth.child_process import answer_of, own_command
from hearth.models.speeds import Speeds

_TIMEOUT_SECONDS = 90


def measure_speed(cores: int) -> Speeds:
    """Measure with so many threads; takes some seconds. Never raises: what cannot be measured is 0."""
    command = own_command("hearth.hardware.speed", "--measure-speed", str(cores))
    threads = {name: str(cores) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    try:
        return msgspec.json.decode(answer_of(command, _TIMEOUT_SECONDS, threads), type=Speeds)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError):
        return Speeds()
