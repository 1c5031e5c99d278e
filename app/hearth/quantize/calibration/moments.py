"""Second moments of the vectors that a matrix meets, summed up as calibration goes on."""

from __future__ import annotations

import numpy as np

from hearth.quantize.rounding.gptq import feedback
from hearth.quantize.rounding.inputs import Inputs

# Columns whose sums are added up at a time.
_STRIP = 512


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
        if self.is_whole:
            # Strip by strip, since all sums at once are as large as the matrix; and each pair of columns once.
            for start in range(0, len(self.sums), _STRIP):
                self.sums[start : start + _STRIP, start:] += (
                    values[:, start : start + _STRIP].T @ values[:, start:]
                )
        else:
            self.sums += np.einsum("tk,tk->k", values, values)
        self.vectors += len(values)

    @property
    def size(self) -> float:
        """The mean square of a column's numbers, times the vectors."""
        whole = self.sums.trace() if self.is_whole else self.sums.sum()
        return float(whole) / len(self.sums)

    def mix(self, other: Moments, times: float) -> None:
        """Add those of other vectors, which count so many times as much as these in all."""
        if other.size > 0:
            self.sums += other.sums * np.float32(times * self.size / other.size)

    def level(self, share: float) -> None:
        """Make each column count such a share of their mean more, whatever it met."""
        columns = self.sums.reshape(-1)[:: len(self.sums) + 1] if self.is_whole else self.sums
        columns += np.float32(share * self.size)

    @property
    def is_finite(self) -> bool:
        """Whether float32 holds the sums of squares, and so all others."""
        with np.errstate(over="ignore"):  # told here
            whole = self.sums.trace() if self.is_whole else self.sums.sum()
        return bool(np.isfinite(whole))

    def inputs(self) -> Inputs:
        """What they come to; the sums are used up."""
        self.sums /= np.float32(self.vectors)
        if not self.is_whole:
            return Inputs(self.sums)
        for start in range(0, len(self.sums), _STRIP):
            stop = start + _STRIP
            self.sums[stop:, start:stop] = self.sums[start:stop, stop:].T
        return Inputs(self.sums.diagonal().copy(), feedback(self.sums))
