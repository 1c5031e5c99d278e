"""How fast this machine reads memory, multiplies and runs models, measured in a process of its own.

`python -m hearth.hardware.speed CORES` (in the packaged app `hearth --measure-speed CORES`) prints the answer as JSON,
with the names of `models/speeds.py`; it is asked for in `services/machine_speed.py`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean

from hearth.hardware.machine import read_machine

# Beyond the caches of most processors, and no more than an eighth of a small machine's memory.
_READ_BYTES = 512 << 20
_MEMORY_SHARE = 8
_MATRIX = 1024
_SECONDS = 0.5
_LEAST_ROUNDS = 4


def measure(cores: int) -> dict[str, float]:
    """Measure in this process; takes some six seconds, and for that time up to half a gigabyte.

    Where the kernels cannot be measured, the answer has what numpy has shown.
    """
    speeds = {"bandwidth": _bandwidth(cores), "compute": _compute()}
    try:
        from hearth.hardware.kernel_speed import measure_kernels

        return speeds | measure_kernels(cores)
    except Exception as error:  # noqa: BLE001 (onnxruntime's exceptions share no base but Exception)
        sys.stderr.write(f"{error}\n")
        return speeds


def _bandwidth(cores: int) -> float:
    import numpy as np

    size = min(_READ_BYTES, read_machine().memory_bytes // _MEMORY_SHARE)
    # Numbers of which processors of every kind find the largest as fast as they can read them.
    parts = [np.ones(size // 4 // cores, np.int32) for _ in range(cores)]
    with ThreadPoolExecutor(cores) as pool:
        seconds = _seconds(lambda: list(pool.map(np.max, parts)))
    # What else this machine does disturbs most of the runs, seldom all.
    return sum(part.nbytes for part in parts) / min(seconds)


def _compute() -> float:
    import numpy as np

    matrix = np.ones((_MATRIX, _MATRIX), np.float32)
    # A processor that counts for longer than a moment is slower than its fastest moment.
    return 2 * _MATRIX**3 / fmean(_seconds(lambda: np.matmul(matrix, matrix)))


def _seconds(run: Callable[[], object]) -> list[float]:
    """Of each of many runs."""
    run()  # threads start, pages come
    found: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(found) < _LEAST_ROUNDS or time.perf_counter() < end:
        started = time.perf_counter()
        run()
        found.append(time.perf_counter() - started)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the answer as one line of JSON."""
    arguments = sys.argv[1:] if arguments is None else arguments
    cores = int(arguments[0]) if arguments and arguments[0].isdigit() else 1
    sys.stdout.write(json.dumps(measure(max(1, cores))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
