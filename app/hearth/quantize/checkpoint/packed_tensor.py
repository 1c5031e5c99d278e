"""A matrix of 4-bit integers as AWQ and GPTQ store it, read as the rows of codes that `MatMulNBits` wants.

Both store [in, out], eight codes in each int32, one scale and zero point for each group of inputs and each output; a
number is (code - zero) * scale. AWQ (AutoAWQ's GEMM version) packs eight outputs in the order 0 2 4 6 1 3 5 7. GPTQ
(AutoGPTQ) packs eight inputs in order; the first version of its format stores each zero point less one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hearth.quantize.checkpoint.stored_tensor import StoredTensor
from hearth.quantize.rounding.blocks import RoundedRows
from hearth.quantize.rounding.scheme import Scheme

BITS = 4
PER_WORD = 32 // BITS
_MOST = (1 << BITS) - 1
_MIDDLE = 1 << (BITS - 1)
# Where output n of eight is among the codes of its word.
_AWQ_PLACES = np.array([0, 4, 1, 5, 2, 6, 3, 7])


@dataclass(frozen=True)
class PackedTensor:
    """Looks like the tensor [out, in] that was quantized.

    Attributes:
        words: int32; AWQ [in, out / 8], GPTQ [in / 8, out].
        zeros: int32 [groups, out / 8].
        scales: floats [groups, out].
        is_awq: as AWQ packs; else as GPTQ does.
        zero_plus: what a stored zero point is too small by.
        block_size: of inputs that share a scale here; a group is one or several blocks.
    """

    name: str
    words: StoredTensor
    zeros: StoredTensor
    scales: StoredTensor
    is_awq: bool
    zero_plus: int
    block_size: int

    @property
    def file(self) -> Path:
        return self.words.file

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.columns

    @property
    def rows(self) -> int:
        return self.scales.shape[1]

    @property
    def columns(self) -> int:
        return self.words.shape[0] * (1 if self.is_awq else PER_WORD)

    @property
    def row_shape(self) -> tuple[int, ...]:
        return (self.columns,)

    @cached_property
    def scheme(self) -> Scheme:
        """How the same numbers are kept in a graph. Reads all zero points."""
        return Scheme(BITS, self.block_size, bool((self._zero_points(0, self.rows) == _MIDDLE).all()))

    def codes(self, start: int, stop: int) -> RoundedRows:
        """Rows `start` to `stop`: the same codes, scales and zero points, in other places.

        Raises:
            ModelFileInvalid, ModelFileTruncated: the file cannot be read, or a scale is not finite.
        """
        first, last = start // PER_WORD * PER_WORD, -(-stop // PER_WORD) * PER_WORD
        if self.is_awq:
            words = self.words.read_columns(first // PER_WORD, last // PER_WORD)
            codes = _in_word(words)[..., _AWQ_PLACES].reshape(self.columns, -1).T
        else:
            words = self.words.read_columns(first, last)
            codes = _in_word(words).transpose(1, 0, 2).reshape(last - first, self.columns)
        blocks = self.columns // self.block_size
        repeats = blocks // self.scales.shape[0]
        scales = self.scales.float_columns(start, stop).T
        return RoundedRows(
            BITS,
            codes[start - first : stop - first].reshape(stop - start, blocks, self.block_size),
            np.repeat(scales, repeats, axis=1),
            np.repeat(self._zero_points(start, stop), repeats, axis=1),
        )

    def floats(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """The rows as float32, [rows, in]; raises as `codes`."""
        return self.codes(start, self.rows if stop is None else stop).values()

    def _zero_points(self, start: int, stop: int) -> np.ndarray:
        """uint8 [stop - start, groups]."""
        first = start // PER_WORD
        words = _in_word(self.zeros.read_columns(first, -(-stop // PER_WORD)))
        if self.is_awq:
            words = words[..., _AWQ_PLACES]
        zeros = words.reshape(len(words), -1).T[start - first * PER_WORD : stop - first * PER_WORD]
        plus: np.ndarray = (zeros + np.uint8(self.zero_plus)) & np.uint8(_MOST)
        return plus


def _in_word(words: np.ndarray) -> np.ndarray:
    """The codes of each int32, the lowest bits first: uint8 [rows, columns, 8]."""
    pairs = np.ascontiguousarray(words).view(np.uint8).reshape(*words.shape, 4)
    codes = np.empty((*words.shape, PER_WORD), np.uint8)
    codes[..., ::2] = pairs & _MOST
    codes[..., 1::2] = pairs >> BITS
    return codes
