"""How far logits are from those that they should be."""

from __future__ import annotations

import numpy as np


def relative_error(logits: np.ndarray, reference: np.ndarray) -> float:
    """RMS of the difference, as a part of the RMS of the reference; infinite where that is no number, or not the shape."""
    if logits.shape != reference.shape or not np.isfinite(logits).all():
        return float("inf")
    difference = logits.astype(np.float64) - reference
    scale = float(np.mean(np.square(reference, dtype=np.float64)))
    return float(np.sqrt(np.mean(difference**2) / scale)) if scale else float("inf")
