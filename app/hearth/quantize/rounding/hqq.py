"""Half-quadratic rounding (Badri and Shaji 2023, "Half-Quadratic Quantization of Large Machine Learning Models").

A few outliers may be wrong for the sake of all others: the error's p-norm is made small, with p below one. In turns,
an outlier's share of the error is taken out by a shrinking operator, and the block is fitted to what is left. The
paper fits a broken zero point; zero points are integers here, so the scale is fitted, and the zero point rounded.
"""

from __future__ import annotations

import numpy as np

from hearth.quantize.rounding.blocks import RoundedRows, encode, in_blocks, inverse
from hearth.quantize.rounding.inputs import Inputs
from hearth.quantize.rounding.nearest import round_nearest
from hearth.quantize.rounding.scheme import Scheme

# p is 1/2, whose power is a square root; the strength is the paper's, on errors counted in steps.
_BETA, _TURNS = np.float32(10), 4


def round_hqq(values: np.ndarray, scheme: Scheme, inputs: Inputs | None = None) -> RoundedRows:
    """Round rows, float32 [rows, K], to integers; where the p-norm grows, a block stays as the nearest."""
    most = (1 << scheme.bits) - 1
    first = round_nearest(values, scheme)
    units = in_blocks(values, scheme.block_size) * inverse(first.scales)[..., None]
    weights = inputs.weights(scheme.block_size) if inputs else None
    start = np.full(first.scales.shape, 1 << (scheme.bits - 1), np.float32)
    if first.zero_points is not None:
        start = first.zero_points.astype(np.float32)
    scale, zeros = np.ones_like(start), start
    for turn in range(_TURNS):
        kept = _without_outliers(units, scale, zeros, most)
        if not scheme.is_symmetric and turn < _TURNS - 1:
            codes = encode(units * inverse(scale)[..., None], zeros, most)
            zeros = np.clip(_mean(codes - kept * inverse(scale)[..., None], weights), 0, most)
            continue
        zeros = np.rint(zeros)
        scale = _fitted(units, kept, scale, zeros, weights, most)
    is_better = _error(units, scale, zeros, weights, most) < _error(
        units, np.ones_like(scale), start, weights, most
    )
    scale, zeros = np.where(is_better, scale, np.float32(1)), np.where(is_better, zeros, start)
    codes = encode(units * inverse(scale)[..., None], zeros, most).astype(np.uint8)
    zero_points = None if scheme.is_symmetric else zeros.astype(np.uint8)
    return RoundedRows(scheme.bits, codes, scale * first.scales, zero_points)


def _residual(units: np.ndarray, scale: np.ndarray, zeros: np.ndarray, most: int) -> np.ndarray:
    """What rounding takes away, in steps."""
    steps = units * inverse(scale)[..., None]
    residual: np.ndarray = steps - encode(steps, zeros, most)
    residual += zeros[..., None]
    return residual


def _without_outliers(units: np.ndarray, scale: np.ndarray, zeros: np.ndarray, most: int) -> np.ndarray:
    """The numbers less what the shrinking operator calls an outlier's error."""
    residual = _residual(units, scale, zeros, most)
    size = np.abs(residual)
    with np.errstate(divide="ignore"):
        size -= 1 / (np.sqrt(size) * _BETA)
    np.maximum(size, 0, out=size)
    kept: np.ndarray = units - np.copysign(size, residual) * scale[..., None]
    return kept


def _fitted(
    units: np.ndarray,
    kept: np.ndarray,
    scale: np.ndarray,
    zeros: np.ndarray,
    weights: np.ndarray | None,
    most: int,
) -> np.ndarray:
    """The scale that fits best to `kept`, with the integers of the scale before."""
    steps = encode(units * inverse(scale)[..., None], zeros, most)
    steps -= zeros[..., None]
    weighted = steps if weights is None else steps * weights
    square = np.einsum("rbk,rbk->rb", steps, weighted)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.einsum("rbk,rbk->rb", kept, weighted) / square
    fitted: np.ndarray = np.where((square > 0) & (found > 0), found, scale)
    return fitted


def _mean(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Of each block."""
    if weights is None:
        plain: np.ndarray = values.mean(axis=2)
        return plain
    mean: np.ndarray = np.einsum("rbk,bk->rb", values, weights / weights.sum(axis=1, keepdims=True))
    return mean


def _error(
    units: np.ndarray, scale: np.ndarray, zeros: np.ndarray, weights: np.ndarray | None, most: int
) -> np.ndarray:
    """The p-norm of each block's error, to the power of p."""
    sizes = np.sqrt(np.abs(_residual(units, scale, zeros, most)))
    sums = sizes.sum(axis=2) if weights is None else np.einsum("rbk,bk->rb", sizes, weights)
    error: np.ndarray = sums * np.sqrt(np.abs(scale))
    return error
