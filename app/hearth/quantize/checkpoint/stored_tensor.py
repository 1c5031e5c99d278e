"""A tensor where it lies in a checkpoint's file, read in pieces."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hearth.errors import ModelFileInvalid, ModelFileTruncated, because
from hearth.i18n import tr

# What each type is in numpy. numpy has no bfloat16: its bits are the upper half of a float32's.
_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
FLOATS = frozenset({"F64", "F32", "F16", "BF16"})


def bytes_of(dtype: str, shape: tuple[int, ...]) -> int | None:
    """The size of such a tensor; None for a type that no checkpoint of ours has."""
    known = _DTYPES.get(dtype)
    return None if known is None else math.prod(shape) * known.itemsize


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Rows one after the other, from `offset` on.

    Attributes:
        dtype: as safetensors names it, such as "BF16".
    """

    file: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def rows(self) -> int:
        """The first dimension; a vector is one row, and so is a scalar."""
        return self.shape[0] if len(self.shape) > 1 else 1

    @property
    def row_shape(self) -> tuple[int, ...]:
        return self.shape[1:] if len(self.shape) > 1 else self.shape

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Rows `start` to `stop` as they are stored, [rows, ...]; bfloat16 as the uint16 of its bits.

        Raises:
            ModelFileInvalid, ModelFileTruncated: it has not so many, or the file cannot be read, or has become shorter.
        """
        stop = self.rows if stop is None else stop
        if not 0 <= start <= stop <= self.rows:  # what follows in the file is another tensor
            reason = tr(
                "its tensor “{name}” has {rows} rows, and row {row} is asked for",
                name=self.name[:100],
                rows=self.rows,
                row=stop - 1,
            )
            raise ModelFileInvalid(file=str(self.file), reason=reason)
        dtype = _DTYPES[self.dtype]
        row_bytes = math.prod(self.row_shape) * dtype.itemsize
        values = np.empty((stop - start, *self.row_shape), dtype)
        wanted = values.nbytes
        try:
            # Opened anew for each piece: two threads then need not share a place in the file.
            with self.file.open("rb", buffering=0) as stream:
                stream.seek(self.offset + start * row_bytes)
                got = _fill(stream, values.data.cast("B")) if wanted else 0
        except OSError as error:
            raise ModelFileInvalid(file=str(self.file), reason=because(error)) from error
        if got < wanted:
            begin = self.offset + start * row_bytes
            raise ModelFileTruncated(file=str(self.file), actual=begin + got, expected=begin + wanted)
        return values

    def read_columns(self, start: int, stop: int) -> np.ndarray:
        """Columns `start` to `stop` of a matrix, [rows, stop - start]; nothing else of it is read.

        Raises:
            ModelFileInvalid, ModelFileTruncated: as `read`.
        """
        rows, columns = self.shape
        dtype = _DTYPES[self.dtype]
        values = np.empty((rows, stop - start), dtype)
        try:
            with self.file.open("rb", buffering=0) as stream:
                for row in range(rows):
                    begin = self.offset + (row * columns + start) * dtype.itemsize
                    stream.seek(begin)
                    wanted = values[row].nbytes
                    got = _fill(stream, values[row].data.cast("B"))
                    if got < wanted:
                        raise ModelFileTruncated(
                            file=str(self.file), actual=begin + got, expected=begin + wanted
                        )
        except OSError as error:
            raise ModelFileInvalid(file=str(self.file), reason=because(error)) from error
        return values

    def floats(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """The same rows as float32.

        Raises:
            ModelFileInvalid: they are no floating-point numbers, or not all of them are finite; and as `read`.
        """
        return self._floats(self.read(start, stop))

    def float_columns(self, start: int, stop: int) -> np.ndarray:
        """Columns of a matrix as float32, [rows, stop - start]; raises as `floats`."""
        return self._floats(self.read_columns(start, stop))

    def _floats(self, values: np.ndarray) -> np.ndarray:
        if self.dtype not in FLOATS:
            raise ModelFileInvalid(
                file=str(self.file),
                reason=tr("its tensor “{name}” has the type {type}", name=self.name[:100], type=self.dtype),
            )
        if self.dtype == "BF16":
            floats: np.ndarray = np.left_shift(values, 16, dtype=np.uint32).view(np.float32)
        else:
            with np.errstate(over="ignore"):  # what no float32 holds is infinite, and told below
                floats = values.astype(np.float32, copy=False)
        if not np.isfinite(floats).all():  # a hundredth of what rounding them takes
            reason = tr("its tensor “{name}” has numbers that are not finite", name=self.name[:100])
            raise ModelFileInvalid(file=str(self.file), reason=reason)
        return floats


def _fill(stream: Any, buffer: memoryview) -> int:
    """Read until the buffer is full or the file ends; the number of bytes."""
    done = 0
    while done < len(buffer):
        count = stream.readinto(buffer[done:])
        if not count:
            break
        done += count
    return done
