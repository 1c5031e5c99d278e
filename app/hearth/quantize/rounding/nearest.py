"""Rounding to the nearest: each block's scale comes from its own extremes."""

from __future__ import annotations

import numpy as np

from hearth.quantize.rounding.blocks import RoundedRows, in_blocks, inverse
from hearth.quantize.rounding.inputs import Inputs
from hearth.quantize.rounding.scheme import Scheme


def round_nearest(values: np.ndarray, scheme: Scheme, inputs: Inputs | None = None) -> RoundedRows:  # noqa: ARG001
    """Round rows, float32 [rows, K], to integers; what they meet makes no difference."""
    blocks = in_blocks(values, scheme.block_size)
    return _symmetric(blocks, scheme.bits) if scheme.is_symmetric else _asymmetric(blocks, scheme.bits)


def _symmetric(blocks: np.ndarray, bits: int) -> RoundedRows:
    """The number furthest from zero becomes the most negative integer, which has one step more than the positive."""
    half = 1 << (bits - 1)
    high, low = blocks.max(axis=2), blocks.min(axis=2)
    furthest = np.where(high > -low, high, low)
    scales = furthest / np.float32(-half)
    codes = blocks * inverse(scales)[..., None]
    codes += np.float32(half + 0.5)  # halves go up; what is cast to an integer is cut off
    np.minimum(codes, np.float32(2 * half - 1), out=codes)
    return RoundedRows(bits, codes.astype(np.uint8), scales)


def _asymmetric(blocks: np.ndarray, bits: int) -> RoundedRows:
    """From the lowest to the highest number in equal steps, with zero kept exactly."""
    most = (1 << bits) - 1
    high = np.maximum(blocks.max(axis=2), np.float32(0))
    low = np.minimum(blocks.min(axis=2), np.float32(0))
    scales = high / np.float32(most) - low / np.float32(most)
    steps = inverse(scales)
    zero_points = np.clip(np.rint(-low * steps), 0, most)
    codes = blocks * steps[..., None]
    codes += zero_points[..., None] + np.float32(0.5)
    np.clip(codes, 0, most, out=codes)
    return RoundedRows(bits, codes.astype(np.uint8), scales, zero_points.astype(np.uint8))
