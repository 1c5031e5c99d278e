"""Second moments of the vectors that a matrix meets, summed up as calibration goes on."""

from __future__ import annotations

import numpy as np

from hearth.quantize.rounding.gptq import feedback
from hearth.quantize.rounding.inputs import Inputs


class Moments:
    """Sums over vectors of so many columns.

    Attributes:
        is_whole: whether every pair of columns counts, as GPTQ needs it, or each column by itself.
    """

    def __init__(self, is_whole: bool, columns: int) -> None:
        self.is_whole = is_whole
        self.sums = np.zeros((columns, columns) if is_whole else columns, np.float32)
        self.vectors = 0

    def add(self, values: np.ndarray) -> None:
        """Some vectors, float32 [tokens, K]."""
        self.sums += values.T @ values if self.is_whole else np.einsum("tk,tk->k", values, values)
        self.vectors += len(values)

    def inputs(self) -> Inputs:
        """What they come to."""
        means = self.sums / np.float32(self.vectors)
        return Inputs(means.diagonal().copy(), feedback(means)) if self.is_whole else Inputs(means)
