"""AWQ (arXiv:2306.00978): columns that meet large inputs are made larger before rounding, and so err less.

What makes the inputs is divided by the same factors, so the products stay as they are and the graph needs nothing new.
The factors are the inputs' sizes to a power between 0 and 1, which is searched for; then scales are searched for as in
`scale_search.py`, which does the work of the paper's clipping.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hearth.quantize.rounding.inputs import Inputs
from hearth.quantize.rounding.scale_search import round_scale_search
from hearth.quantize.rounding.scheme import Scheme

# Powers that are tried. The factor of the largest inputs over that of the smallest stays in a range that 16-bit
# floats have room for.
_POWERS = np.linspace(0, 1, 11)
_MOST_RATIO = 1e4


def search_factors(
    importance: np.ndarray, matrices: Sequence[tuple[np.ndarray, Scheme]], spread: np.ndarray
) -> np.ndarray:
    """The best factor of each channel, float32 [channels]; their geometric middle is 1.

    Args:
        importance: the mean square of each channel, float32 [channels].
        matrices: some rows of each matrix that meets them, float32 [rows, columns], and how it is kept.
        spread: the channel that each column meets, int64 [columns].
    """
    size = np.sqrt(np.maximum(importance, importance.max() / np.float32(_MOST_RATIO**2)))
    best: np.ndarray = np.ones_like(size)
    least = np.inf
    if not size.max() > 0:
        return best
    for power in _POWERS:
        factors = size ** np.float32(power)
        factors /= np.sqrt(factors.max() * factors.min())
        columns, meets = factors[spread], Inputs((importance / np.square(factors))[spread])
        loss = sum(_loss(rows * columns, scheme, meets) for rows, scheme in matrices)
        if loss < least:
            best, least = factors, loss
    return best


def _loss(rows: np.ndarray, scheme: Scheme, inputs: Inputs) -> float:
    """The mean square of what rounding does to the products, as if columns were independent."""
    if scheme.is_float:
        return 0.0
    error = round_scale_search(rows, scheme, inputs).values()[:, : rows.shape[1]] - rows
    return float((np.square(error).sum(axis=0, dtype=np.float64) * inputs.importance).sum())
