"""What calibration has shown of the vectors that a matrix is multiplied with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hearth.quantize.rounding.blocks import in_blocks


@dataclass(frozen=True, slots=True)
class Feedback:
    """How the error of one column is made up for in the others; see `gptq.py`.

    Attributes:
        order: int64 [K], which column is rounded first, second and so on.
        upper: float32 [K, K], in that order: what the error of a column (row) adds to a later one (column).
    """

    order: np.ndarray
    upper: np.ndarray


@dataclass(frozen=True, slots=True)
class Inputs:
    """Of one matrix, [rows, K].

    Attributes:
        importance: float32 [K], the mean square of what meets each column.
        feedback: where GPTQ asks for it.
    """

    importance: np.ndarray
    feedback: Feedback | None = None

    def weights(self, block_size: int) -> np.ndarray:
        """What each number's error counts, float32 [blocks, block_size], 1 in the mean.

        A column that calibration never met counts a little all the same: other texts may meet it.
        """
        mean = np.float32(max(self.importance.mean(), np.finfo(np.float32).tiny))
        weights: np.ndarray = in_blocks(
            np.maximum(self.importance / mean, np.float32(1e-3))[None], block_size
        )[0]
        return weights
