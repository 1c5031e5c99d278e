"""Rows of integers with a scale for each block, and how `MatMulNBits` wants them packed.

The operator: ContribOperators.md of onnxruntime. A row of K numbers is ceil(K / block_size) blocks, the last filled up
with zeros; each block is block_size * bits / 8 bytes, the first number in the lowest bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True, slots=True)
class RoundedRows:
    """What rows have been rounded to: (codes - zero) * scale, where zero is 2^(bits-1) unless blocks have their own.

    Attributes:
        codes: uint8 [rows, blocks, block_size], each below 2^bits.
        scales: float32 [rows, blocks].
        zero_points: uint8 [rows, blocks]; None where all are 2^(bits-1).
    """

    bits: int
    codes: np.ndarray
    scales: np.ndarray
    zero_points: np.ndarray | None = None

    @classmethod
    def joined(cls, pieces: Sequence[Self]) -> Self:
        """One below the other; all have zero points, or none."""
        if len(pieces) == 1:
            return pieces[0]
        zeros = [piece.zero_points for piece in pieces if piece.zero_points is not None]
        return cls(
            pieces[0].bits,
            np.concatenate([piece.codes for piece in pieces]),
            np.concatenate([piece.scales for piece in pieces]),
            np.concatenate(zeros) if zeros else None,
        )

    def values(self) -> np.ndarray:
        """What the integers stand for, float32 [rows, blocks * block_size]."""
        zeros = np.float32(1 << (self.bits - 1)) if self.zero_points is None else self.zero_points[..., None]
        floats = (self.codes.astype(np.float32) - zeros) * self.scales[..., None]
        flat: np.ndarray = floats.reshape(len(floats), -1)
        return flat

    def packed(self) -> np.ndarray:
        """The codes as bytes, uint8 [rows, blocks, block_size * bits / 8]."""
        return pack_bits(self.codes, self.bits)

    def packed_zero_points(self) -> np.ndarray | None:
        """The zero points as bytes, uint8 [rows, ceil(blocks * bits / 8)]."""
        return None if self.zero_points is None else pack_bits(self.zero_points, self.bits)


def in_blocks(values: np.ndarray, block_size: int) -> np.ndarray:
    """Rows [rows, K] as [rows, blocks, block_size], filled up with zeros."""
    rows, columns = values.shape
    missing = -columns % block_size
    if missing:
        values = np.pad(values, ((0, 0), (0, missing)))
    blocks: np.ndarray = values.reshape(rows, -1, block_size)
    return blocks


def inverse(scales: np.ndarray) -> np.ndarray:
    """1 / scales; 0 for a scale so small that all its block's numbers become zero."""
    with np.errstate(divide="ignore", over="ignore"):
        steps = np.float32(1) / scales
    found: np.ndarray = np.where(np.isfinite(steps), steps, np.float32(0))
    return found


def encode(units: np.ndarray, zeros: np.ndarray, most: int) -> np.ndarray:
    """Numbers counted in steps, [rows, blocks, block_size], as integers from 0 to `most`, still float32.

    Args:
        zeros: float32 [rows, blocks], the integer that stands for zero.
    """
    codes: np.ndarray = units + zeros[..., None]
    np.rint(codes, out=codes)
    np.clip(codes, np.float32(0), np.float32(most), out=codes)
    return codes


def pack_bits(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes [..., n] of 2, 4 or 8 bits as bytes [..., ceil(n * bits / 8)]."""
    if bits == 8:
        return codes
    per_byte = 8 // bits
    missing = -codes.shape[-1] % per_byte
    if missing:
        codes = np.concatenate([codes, np.zeros((*codes.shape[:-1], missing), np.uint8)], axis=-1)
    packed = codes[..., ::per_byte].copy()
    for place in range(1, per_byte):
        packed |= codes[..., place::per_byte] << (bits * place)
    return packed


def unpack_bits(packed: np.ndarray, bits: int) -> np.ndarray:
    """The codes [..., bytes * 8 / bits] in bytes [..., bytes]: what `pack_bits` made, and what fills up the last byte."""
    if bits == 8:
        return packed
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    codes: np.ndarray = (packed[..., None] >> shifts) & np.uint8((1 << bits) - 1)
    return codes.reshape(*packed.shape[:-1], -1)
