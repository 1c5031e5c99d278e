"""How fast this machine reads memory and multiplies, measured in a process of its own.

`python -m hearth.hardware.speed CORES` (in the packaged app `hearth --measure-speed CORES`) prints the answer as JSON.
The desktop asks through `measure_speed`, so that it carries neither numpy nor the memory that is read.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from hearth.child_process import answer_of, own_command
from hearth.hardware.machine import read_machine

_TIMEOUT_SECONDS = 60
# Beyond the caches of most processors, and no more than an eighth of a small machine's memory.
_READ_BYTES = 512 << 20
_MEMORY_SHARE = 8
_MATRIX = 1024
_SECONDS = 0.5
_LEAST_ROUNDS = 4


class MachineSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, with all cores together; 0 where it could not be.

    Attributes:
        bandwidth: bytes of memory read in a second.
        compute: float32 operations in a second, in a product of matrices that lie in the caches.
    """

    bandwidth: float = 0.0
    compute: float = 0.0


def measure_speed(cores: int) -> MachineSpeed:
    """Measure in a process of its own; takes a second and for that time up to half a gigabyte. Never raises."""
    command = own_command("hearth.hardware.speed", "--measure-speed", str(cores))
    threads = {name: str(cores) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    try:
        answer = answer_of(command, _TIMEOUT_SECONDS, threads)
        return msgspec.json.decode(answer, type=MachineSpeed)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError):
        return MachineSpeed()


def measure(cores: int) -> MachineSpeed:
    """Measure in this process."""
    return MachineSpeed(bandwidth=_bandwidth(cores), compute=_compute())


def _bandwidth(cores: int) -> float:
    import numpy as np

    size = min(_READ_BYTES, read_machine().memory_bytes // _MEMORY_SHARE)
    # Numbers of which processors of every kind find the largest as fast as they can read them.
    parts = [np.ones(size // 4 // cores, np.int32) for _ in range(cores)]
    with ThreadPoolExecutor(cores) as pool:
        seconds = _best_seconds(lambda: list(pool.map(np.max, parts)))
    return sum(part.nbytes for part in parts) / seconds


def _compute() -> float:
    import numpy as np

    matrix = np.ones((_MATRIX, _MATRIX), np.float32)
    return 2 * _MATRIX**3 / _sustained_seconds(lambda: np.matmul(matrix, matrix))


def _best_seconds(run: Callable[[], object]) -> float:
    """The shortest of many runs: what else this machine does disturbs most of them, seldom all."""
    best, rounds, end = float("inf"), 0, time.perf_counter() + _SECONDS
    while rounds < _LEAST_ROUNDS or time.perf_counter() < end:
        started = time.perf_counter()
        run()
        best, rounds = min(best, time.perf_counter() - started), rounds + 1
    return best


def _sustained_seconds(run: Callable[[], object]) -> float:
    """The mean of many runs: a processor that counts for longer than a moment is slower than its fastest moment."""
    run()  # threads start, pages come
    rounds, started = 0, time.perf_counter()
    while rounds < _LEAST_ROUNDS or time.perf_counter() < started + _SECONDS:
        run()
        rounds += 1
    return (time.perf_counter() - started) / rounds


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the answer as one line of JSON."""
    arguments = sys.argv[1:] if arguments is None else arguments
    cores = int(arguments[0]) if arguments and arguments[0].isdigit() else 1
    sys.stdout.write(msgspec.json.encode(measure(max(1, cores))).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
