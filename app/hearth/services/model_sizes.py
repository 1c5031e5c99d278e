"""Which sizes of models this machine can run: an estimate from its memory and how fast that is.

A model of N billion parameters at 4 bits needs

- for its weights N x 4.5 bits: 4 bits and the scales, one of 16 bits for each block of 32;
- for keys and values, of a conversation of 4,096 tokens, 2 x layers x 1,024 x 4 bytes a token: eight heads of 128
  numbers for each of keys and values, in float32, which is what the processor reads. The numbers of layers are those
  of Qwen3, and of Llama 3 for 70 billion;
- 0.4 GB to work in: the engine host, activations, logits.

It does not fit where that and 2 GB for the rest of the system are more than the memory there is. For each token the
processor reads every weight and, at the end of such a conversation, all keys and values, so

    tokens a second = 0.7 x bandwidth / (weights + keys and values)

The 0.7 was measured: a model of 1.5 billion parameters wrote 24 tokens a second, and 15 at the end of 8,192 tokens,
where copying memory moved 29 GB/s.
A model that fits runs slowly where it writes slower than most people read, 6 tokens a second, or where more than 85 %
of the memory would be taken: other programs are then pushed out of it, and Hearth with them.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from enum import StrEnum
from threading import Thread
from typing import Final

from hearth.hardware.machine import Machine, read_machine

CONTEXT_TOKENS: Final = 4096
LAYERS: Final = {0.6: 28, 1.7: 28, 4.0: 36, 8.0: 36, 14.0: 40, 32.0: 64, 70.0: 80}
"""The sizes that are looked at, in billions of parameters, and how many layers such a model has."""

_GB = 10**9
_BITS_PER_WEIGHT = 4.5
_NUMBERS_PER_LAYER = 2 * 8 * 128
_BYTES_PER_NUMBER = 4
_WORKING_BYTES = 0.4 * _GB
_REST_OF_SYSTEM_BYTES = 2 * _GB
_COMFORTABLE_SHARE = 0.85
_SHARE_OF_COPY_SPEED = 0.7
_READING_SPEED = 6.0  # tokens a second
_COPIED_BYTES = 16 << 20  # of all copiers together beyond most caches
_MOST_COPIERS = 8
_LEAST_ROUNDS = 4
_MEASURING_SECONDS = 0.2


class Fit(StrEnum):
    WELL = "well"
    SLOWLY = "slowly"
    NOT = "not"


@dataclass(frozen=True, slots=True)
class ModelSizes:
    """What this machine can run.

    Attributes:
        bandwidth: bytes that its memory moves in a second.
        fits: by billions of parameters, ascending.
    """

    machine: Machine
    bandwidth: float
    fits: dict[float, Fit]

    def those_that(self, fit: Fit) -> list[float]:
        """The sizes that fit so, ascending."""
        return [billions for billions, found in self.fits.items() if found is fit]


def measure_model_sizes() -> ModelSizes:
    """Look at this machine; takes a fifth of a second and for that time up to 256 MB, not for a main thread."""
    machine = read_machine()
    bandwidth = measure_bandwidth(machine.usable_cores)
    return ModelSizes(machine, bandwidth, estimate(machine.memory_bytes, bandwidth))


def estimate(memory_bytes: int, bandwidth: float) -> dict[float, Fit]:
    """How each size in LAYERS fits a machine with that much memory, which moves that many bytes a second."""
    return {billions: _fit(billions, memory_bytes, bandwidth) for billions in LAYERS}


def weight_bytes(billions: float) -> float:
    """The weights of a model at 4 bits."""
    return billions * 1e9 * _BITS_PER_WEIGHT / 8


def needed_bytes(billions: float) -> float:
    """All the memory that a model of one of the sizes in LAYERS takes."""
    return weight_bytes(billions) + _kv_bytes(billions) + _WORKING_BYTES


def tokens_per_second(billions: float, bandwidth: float) -> float:
    """How fast such a model writes at the end of a conversation of CONTEXT_TOKENS."""
    return _SHARE_OF_COPY_SPEED * bandwidth / (weight_bytes(billions) + _kv_bytes(billions))


def measure_bandwidth(copiers: int) -> float:
    """Bytes that the memory moves in a second, read and written, while that many threads copy."""
    size = _COPIED_BYTES
    pairs = [
        (ctypes.create_string_buffer(size), ctypes.create_string_buffer(size))
        for _ in range(min(copiers, _MOST_COPIERS))
    ]
    best, rounds, end = 0.0, 0, time.perf_counter() + _MEASURING_SECONDS
    # The best of many short rounds: what else runs on this machine disturbs most of them, seldom all.
    while rounds < _LEAST_ROUNDS or time.perf_counter() < end:
        # Through ctypes a copy lets the other threads of the interpreter run.
        threads = [Thread(target=ctypes.memmove, args=(*pair, size)) for pair in pairs]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        best = max(best, 2 * size * len(pairs) / (time.perf_counter() - started))
        rounds += 1
    return best


def _kv_bytes(billions: float) -> float:
    return CONTEXT_TOKENS * LAYERS[billions] * _NUMBERS_PER_LAYER * _BYTES_PER_NUMBER


def _fit(billions: float, memory_bytes: int, bandwidth: float) -> Fit:
    taken = needed_bytes(billions) + _REST_OF_SYSTEM_BYTES
    if taken > memory_bytes:
        return Fit.NOT
    slow = tokens_per_second(billions, bandwidth) < _READING_SPEED
    return Fit.SLOWLY if slow or taken > _COMFORTABLE_SHARE * memory_bytes else Fit.WELL
