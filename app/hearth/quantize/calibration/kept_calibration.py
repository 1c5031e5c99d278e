"""How far calibration has come, in a file: after a kill it goes on from the last layer that is in there.

The file is the SHA-256 of all that follows it, in hexadecimal; a line of JSON; and arrays, one after the other. It holds
what one layer hands to the next and what was found so far, never more than one layer's worth of vectors.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from hearth.quantize.calibration.findings import Findings
from hearth.quantize.rounding.inputs import Feedback, Inputs
from hearth.quantize.rounding.scheme import Scheme

log = logging.getLogger(__name__)

_SECONDS = 10.0
# Of a file; with more, calibration begins anew after a kill.
MOST_BYTES = 1 << 30
_DIGEST_BYTES = 64
_HIDDEN, _IMPORTANCE, _ORDER, _UPPER = "hidden", "importance", "order", "upper"
_TRIALS, _PEAKS, _FOLDS = "trials", "peaks", "folds"


class _Array(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    name: str
    dtype: str
    shape: tuple[int, ...]


class _Header(msgspec.Struct, frozen=True):
    key: str
    layers: int
    shapes: dict[str, tuple[int, int]]
    losses: dict[str, list[tuple[int, int, bool, float]]]
    arrays: list[_Array]


@dataclass(frozen=True, slots=True)
class Reached:
    """Calibration after some of its layers.

    Attributes:
        layers: that are done; one more than there are where the head is done too.
        hidden: the sum after them, float32 [sequences, length, hidden_size].
    """

    layers: int
    hidden: np.ndarray
    found: Findings


Keeper = Callable[[str], "KeptCalibration"]
"""Opens the file for the calibration that a key names."""


class KeptCalibration:
    """The file of one calibration.

    Attributes:
        reached: what it held when it was opened; None where that was nothing, damaged, or of another calibration.
    """

    def __init__(self, file: Path, key: str, seconds: float = 0) -> None:
        """Read the file, if there is one.

        Args:
            key: names the calibration: the same key finds the same.
            seconds: between two times that it is written; 0 is as usual.
        """
        self._file = file
        self._key = key
        self._seconds = seconds or _SECONDS
        self._written = time.monotonic()
        self.reached = self._read()

    def keep(self, reached: Reached, *, now: bool = False) -> None:
        """Write it, if that is due or shall be `now`; where it cannot be written, a kill costs more, and that is all."""
        if not now and time.monotonic() - self._written < self._seconds:
            return
        arrays = list(_arrays(reached))
        if sum(values.nbytes for _, _, values in arrays) > MOST_BYTES:
            return
        header = _Header(
            self._key,
            reached.layers,
            reached.found.shapes,
            {
                name: [
                    (known.bits, known.block_size, known.is_symmetric, loss) for known, loss in losses.items()
                ]
                for name, losses in reached.found.losses.items()
            },
            [_Array(kind, name, values.dtype.str, values.shape) for kind, name, values in arrays],
        )
        parts: list[bytes | memoryview] = [msgspec.json.encode(header) + b"\n"]
        parts += [values.reshape(-1).view(np.uint8).data for _, _, values in arrays]
        temporary = self._file.with_suffix(".tmp")
        try:
            with temporary.open("wb") as stream:
                stream.write(_digest(parts))
                stream.writelines(parts)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(self._file)
        except OSError:
            log.warning("calibration is not kept", exc_info=True)
            temporary.unlink(missing_ok=True)
        self._written = time.monotonic()

    def _read(self) -> Reached | None:
        try:
            if self._file.stat().st_size > 2 * MOST_BYTES:
                return None
            content = self._file.read_bytes()
        except OSError:
            return None
        rest = memoryview(content)[_DIGEST_BYTES:]
        if content[:_DIGEST_BYTES] != _digest([rest]):
            return None
        end = content.index(b"\n") + 1
        header = msgspec.json.decode(content[_DIGEST_BYTES:end], type=_Header)
        if header.key != self._key:
            return None
        return _reached(header, memoryview(content)[end:])


def _arrays(reached: Reached) -> Iterable[tuple[str, str, np.ndarray]]:
    found = reached.found
    yield _HIDDEN, "", np.ascontiguousarray(reached.hidden)
    for kind, known in ((_TRIALS, found.trials), (_PEAKS, found.peaks), (_FOLDS, found.folds)):
        for name, values in known.items():
            yield kind, name, np.ascontiguousarray(values)
    for name, inputs in found.inputs.items():
        yield _IMPORTANCE, name, np.ascontiguousarray(inputs.importance)
        if inputs.feedback is not None:
            yield _ORDER, name, np.ascontiguousarray(inputs.feedback.order)
            yield _UPPER, name, np.ascontiguousarray(inputs.feedback.upper)


def _reached(header: _Header, payload: memoryview) -> Reached:
    known: dict[str, dict[str, np.ndarray]] = {
        kind: {} for kind in (_HIDDEN, _IMPORTANCE, _ORDER, _UPPER, _TRIALS, _PEAKS, _FOLDS)
    }
    start = 0
    for array in header.arrays:
        dtype, count = np.dtype(array.dtype), int(np.prod(array.shape, dtype=np.int64))
        values = np.frombuffer(payload, dtype, count, start).reshape(array.shape)
        known[array.kind][array.name] = values
        start += values.nbytes
    orders, uppers = known[_ORDER], known[_UPPER]
    found = Findings(
        shapes=header.shapes,
        inputs={
            name: Inputs(values, Feedback(orders[name], uppers[name]) if name in orders else None)
            for name, values in known[_IMPORTANCE].items()
        },
        losses={
            name: {Scheme(bits, size, symmetric): loss for bits, size, symmetric, loss in losses}
            for name, losses in header.losses.items()
        },
        trials=known[_TRIALS],
        peaks=known[_PEAKS],
        folds=known[_FOLDS],
    )
    return Reached(header.layers, known[_HIDDEN][""], found)


def _digest(parts: Iterable[bytes | memoryview]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest().encode()
