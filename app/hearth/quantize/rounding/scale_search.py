"""Rounding with a search: several scales are tried for each block, and the one with the least square error is kept.

After llama.cpp's `make_qx_quants`: for given integers the best scale is a least-squares fit, so a trial needs two sums.
"""

from __future__ import annotations

import numpy as np

from hearth.quantize.rounding.blocks import RoundedRows, encode, in_blocks, inverse
from hearth.quantize.rounding.inputs import Inputs
from hearth.quantize.rounding.nearest import round_nearest
from hearth.quantize.rounding.scheme import Scheme

# Steps finer than those that reach the block's extremes cut them off; coarser ones leave room. With few bits it pays
# to cut off much. The last of the symmetric ones turns the range around: it has one step more on one side.
_FINER = {
    2: (1.2, 1.45, 1.7, 2.0),
    4: (0.93, 1.07, 1.15, 1.25),
    8: (1.02,),
}
# How often the best scale is fitted to its integers, and those to it; more wins next to nothing.
_FITS = 2


class _Search:
    """The best trial of each block so far.

    Attributes:
        factor: on the steps of the trial.
        zeros: its zero points.
        scale: that fits it best, in units of the scale before.
    """

    def __init__(self, units: np.ndarray, weights: np.ndarray | None, most: int) -> None:
        self.units, self.weights, self.most = units, weights, most
        self.weighted = units if weights is None else units * weights
        self.gain = np.full(units.shape[:2], -1, np.float32)
        self.factor = np.ones(units.shape[:2], np.float32)
        self.scale, self.zeros = self.factor, self.factor

    def attempt(self, factor: np.ndarray | float, zeros: np.ndarray) -> None:
        """Try these steps in every block."""
        factor = np.broadcast_to(np.asarray(factor, np.float32), self.gain.shape)
        steps = encode(self.units * factor[..., None], zeros, self.most)
        steps -= zeros[..., None]
        along = np.einsum("rbk,rbk->rb", self.weighted, steps)
        square = np.einsum("rbk,rbk->rb", steps, steps if self.weights is None else steps * self.weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.where(square > 0, along / square, np.float32(1))
        gain = along * scale
        is_better = gain > self.gain
        self.gain = np.where(is_better, gain, self.gain)
        self.factor = np.where(is_better, factor, self.factor)
        self.scale = np.where(is_better, scale, self.scale)
        self.zeros = np.where(is_better, zeros, self.zeros)

    def shift_zeros(self) -> None:
        """Try the zero points beside the best."""
        zeros = self.zeros
        for shift in (-1, 1):
            self.attempt(self.factor, np.clip(zeros + np.float32(shift), 0, self.most))


def round_scale_search(values: np.ndarray, scheme: Scheme, inputs: Inputs | None = None) -> RoundedRows:
    """Round rows, float32 [rows, K], to integers, with the least error where it matters most."""
    half, most = 1 << (scheme.bits - 1), (1 << scheme.bits) - 1
    first = round_nearest(values, scheme)
    units = in_blocks(values, scheme.block_size) * inverse(first.scales)[..., None]
    zeros = np.full(first.scales.shape, half, np.float32)
    if first.zero_points is not None:
        zeros = first.zero_points.astype(np.float32)
    search = _Search(units, inputs.weights(scheme.block_size) if inputs else None, most)
    for factor in (1.0, *_FINER[scheme.bits]):
        search.attempt(factor, zeros)
    if scheme.is_symmetric:
        search.attempt(-(half - 1) / half, zeros)
    else:
        search.shift_zeros()
    for _ in range(_FITS):
        search.attempt(inverse(search.scale), search.zeros)
        if not scheme.is_symmetric:
            search.shift_zeros()
    codes = encode(units * search.factor[..., None], search.zeros, most).astype(np.uint8)
    zero_points = None if scheme.is_symmetric else search.zeros.astype(np.uint8)
    return RoundedRows(scheme.bits, codes, search.scale * first.scales, zero_points)
