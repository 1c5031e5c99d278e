"""What lies in the file of weights: tensors of the graph, made from the checkpoint a few rows at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from onnx import TensorProto

from hearth.errors import FloatsTooLarge, ModelFileInvalid
from hearth.i18n import tr
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Rows, Vector
from hearth.quantize.rounding.blocks import RoundedRows
from hearth.quantize.rounding.inputs import Inputs
from hearth.quantize.rounding.rounding import Rounding
from hearth.quantize.rounding.scheme import Scheme

DTYPES: dict[int, np.dtype[Any]] = {
    TensorProto.FLOAT: np.dtype("<f4"),
    TensorProto.FLOAT16: np.dtype("<f2"),
    TensorProto.UINT8: np.dtype("u1"),
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One initializer of the graph.

    Attributes:
        data_type: of TensorProto.
    """

    name: str
    data_type: int
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * DTYPES[self.data_type].itemsize


def stored(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Finite floats in the tensor's type.

    Raises:
        FloatsTooLarge: 16 bits cannot hold one of them.
    """
    with np.errstate(over="ignore"):  # told here
        found = values.astype(DTYPES[tensor.data_type], copy=False)
    if tensor.data_type == TensorProto.FLOAT16 and not np.isfinite(found).all():
        raise FloatsTooLarge(tensor=tensor.name[:100])
    return found


class Weight(Protocol):
    """Tensors that are made together.

    Attributes:
        tensors: each has `rows` rows of bytes, whatever its dimensions.
        row_numbers: how many numbers of the checkpoint one row is made of.
    """

    @property
    def tensors(self) -> tuple[Tensor, ...]: ...

    @property
    def rows(self) -> int: ...

    @property
    def row_numbers(self) -> int: ...

    def make(self, start: int, stop: int) -> tuple[np.ndarray, ...]:
        """Rows `start` to `stop` of each tensor, as its type.

        Raises:
            ModelFileInvalid, ModelFileTruncated: the checkpoint is not what it was.
            FloatsTooLarge: its type cannot hold a number.
        """
        ...


class Source(Protocol):
    """A matrix [rows, columns] of the checkpoint, read a few rows at a time."""

    @property
    def rows(self) -> int: ...

    @property
    def columns(self) -> int: ...

    def floats(self, start: int, stop: int) -> np.ndarray:
        """Rows as float32, [stop - start, columns]."""
        ...


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of the checkpoint, one part below the other: [rows, columns], and a bias where a part has one."""

    checkpoint: Checkpoint
    parts: tuple[Rows, ...]

    @property
    def heights(self) -> list[int]:
        return [
            (self.checkpoint.tensor(part.tensor).rows if part.stop is None else part.stop) - part.start
            for part in self.parts
        ]

    @property
    def rows(self) -> int:
        return sum(self.heights)

    @property
    def columns(self) -> int:
        widths = {self.checkpoint.tensor(part.tensor).row_shape for part in self.parts}
        if len(widths) != 1 or len(next(iter(widths))) != 1:
            name = self.parts[0].tensor
            reason = tr("its tensor “{name}” has an unexpected shape", name=name[:100])
            raise ModelFileInvalid(file=str(self.checkpoint.folder), reason=reason)
        return next(iter(widths))[0]

    @property
    def has_bias(self) -> bool:
        return any(part.bias for part in self.parts)

    def floats(self, start: int, stop: int) -> np.ndarray:
        """Rows as float32, [stop - start, columns]."""
        pieces = []
        for part, begin, end in self.pieces(start, stop):
            values = self.checkpoint.tensor(part.tensor).floats(begin, end)
            pieces.append(values if part.times == 1 else values * np.float32(part.times))
        if not pieces:
            reason = tr(
                "its tensor “{name}” has {rows} rows, and row {row} is asked for",
                name=self.parts[0].tensor[:100],
                rows=self.rows,
                row=start,
            )
            raise ModelFileInvalid(file=str(self.checkpoint.folder), reason=reason)
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def pieces(self, start: int, stop: int) -> Iterator[tuple[Rows, int, int]]:
        """The parts that rows `start` to `stop` lie in, and which rows of each part's tensor these are."""
        first = 0
        for part, height in zip(self.parts, self.heights, strict=True):
            begin, end = max(start, first), min(stop, first + height)
            if begin < end:
                yield part, part.start + begin - first, part.start + end - first
            first += height

    def bias(self) -> np.ndarray:
        """float32 [rows], zero where a part has none."""
        pieces = []
        for part, height in zip(self.parts, self.heights, strict=True):
            if part.bias is None:
                pieces.append(np.zeros(height, np.float32))
                continue
            values = self.checkpoint.tensor(part.bias).floats()[0]
            stop = None if part.stop is None else part.stop
            pieces.append(values[part.start : stop] * np.float32(part.times))
        return np.concatenate(pieces)


Factors = Callable[[], np.ndarray | None]
"""float32, one for each row or column; None where all are 1. Known when the weight is made."""


def no_factors() -> None:
    """All are 1."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A matrix whose columns are multiplied and whose rows are divided, as the modules before and after it want it."""

    matrix: Matrix
    column_factors: Factors
    row_divisors: Factors

    @property
    def rows(self) -> int:
        return self.matrix.rows

    @property
    def columns(self) -> int:
        return self.matrix.columns

    @property
    def has_bias(self) -> bool:
        return self.matrix.has_bias

    def floats(self, start: int, stop: int) -> np.ndarray:
        rows: np.ndarray = self.matrix.floats(start, stop) * self.factors(start, stop)
        return rows

    def factors(self, start: int, stop: int) -> np.ndarray:
        """What each number of these rows is multiplied by; its shape can be spread to theirs."""
        columns, rows = self.column_factors(), self.row_divisors()
        factors: np.ndarray = np.ones((1, 1), np.float32) if columns is None else columns[None]
        return factors if rows is None else factors / rows[start:stop, None]

    def bias(self) -> np.ndarray:
        """float32 [rows]."""
        rows, bias = self.row_divisors(), self.matrix.bias()
        return bias if rows is None else bias / rows


@dataclass(frozen=True, slots=True)
class Woven:
    """Two matrices of one shape, row by row in turns: [2 * rows, columns]."""

    even: Source
    odd: Source

    @property
    def rows(self) -> int:
        return 2 * self.even.rows

    @property
    def columns(self) -> int:
        return self.even.columns

    def floats(self, start: int, stop: int) -> np.ndarray:
        first, last = start // 2, -(-stop // 2)
        pairs = np.stack([source.floats(first, last) for source in (self.even, self.odd)], axis=1)
        rows: np.ndarray = pairs.reshape(-1, self.columns)[start - 2 * first : stop - 2 * first]
        return rows


@dataclass(frozen=True, slots=True)
class FloatWeight:
    """A matrix kept as floats; the tensor is [rows, columns], or has more dimensions before the last."""

    tensor: Tensor
    matrix: Source

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (self.tensor,)

    @property
    def rows(self) -> int:
        return self.matrix.rows

    @property
    def row_numbers(self) -> int:
        return self.matrix.columns

    def make(self, start: int, stop: int) -> tuple[np.ndarray, ...]:
        return (stored(self.matrix.floats(start, stop), self.tensor),)


@dataclass(frozen=True, slots=True)
class RoundedWeight:
    """A matrix rounded in blocks: packed integers, scales, and zero points where the scheme has them.

    Attributes:
        height: of the rows that meet the same: all, or those of one expert.
        inputs: what the first so many rows meet, the next so many, and so on.
    """

    data: Tensor
    scales: Tensor
    zero_points: Tensor | None
    matrix: Source
    scheme: Scheme
    rounding: Rounding
    height: int
    inputs: Callable[[int], Inputs | None]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (self.data, self.scales, *((self.zero_points,) if self.zero_points else ()))

    @property
    def rows(self) -> int:
        return self.matrix.rows

    @property
    def row_numbers(self) -> int:
        return self.matrix.columns

    def make(self, start: int, stop: int) -> tuple[np.ndarray, ...]:
        rounded = RoundedRows.joined(
            [
                self.rounding(self.matrix.floats(*piece), self.scheme, self.inputs(piece[0] // self.height))
                for piece in alike_rows(start, stop, self.height)
            ]
        )
        zero_points = rounded.packed_zero_points()
        scales = stored(rounded.scales, self.scales)
        return (rounded.packed(), scales, *(() if zero_points is None else (zero_points,)))


def alike_rows(start: int, stop: int, height: int) -> Iterator[tuple[int, int]]:
    """Rows `start` to `stop` in pieces, none of which reaches over a multiple of `height`."""
    while start < stop:
        end = min(stop, (start // height + 1) * height)
        yield start, end
        start = end


@dataclass(frozen=True, slots=True)
class VectorWeight:
    """Few numbers, made at once."""

    tensor: Tensor
    values: Callable[[], np.ndarray]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (self.tensor,)

    @property
    def rows(self) -> int:
        return 1

    @property
    def row_numbers(self) -> int:
        return math.prod(self.tensor.shape)

    def make(self, start: int, stop: int) -> tuple[np.ndarray, ...]:
        return (stored(self.values(), self.tensor).reshape(1, -1)[start:stop],)


@dataclass(frozen=True, slots=True)
class TableWeight:
    """Rows that are computed, not read; the tensor is [rows, columns].

    Attributes:
        values: rows from the first to before the second, float32.
    """

    tensor: Tensor
    values: Callable[[int, int], np.ndarray]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (self.tensor,)

    @property
    def rows(self) -> int:
        return self.tensor.shape[0]

    @property
    def row_numbers(self) -> int:
        return self.tensor.shape[1]

    def make(self, start: int, stop: int) -> tuple[np.ndarray, ...]:
        return (stored(self.values(start, stop), self.tensor),)


def vector(checkpoint: Checkpoint, vector: Vector) -> np.ndarray:
    """float32 [channels]."""
    values = checkpoint.tensor(vector.tensor).floats()[0]
    changed: np.ndarray = (values + np.float32(vector.plus)) * np.float32(vector.times)
    return changed
