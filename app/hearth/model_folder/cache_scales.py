"""Scales of int8 keys and values, from the largest that were seen of each channel."""

from __future__ import annotations

import numpy as np

# Other texts have larger values than those measured, and a value beyond its scale is cut off, which does more harm than
# coarser steps. Of 1, 1.1, 1.25, 1.5, 1.75 and 2 this was best on the models tried.
HEADROOM = 1.5
# Of the loudest channel in its head: one that was quiet in the measured text may be louder in another.
_QUIETEST = 0.25
_LARGEST_INT8 = 127


def channel_scales(largest: np.ndarray, headroom: float = HEADROOM) -> np.ndarray:
    """What the integer 1 stands for in each channel, float32 [kv_heads, head_dim].

    Args:
        largest: the largest absolute value of each channel, of the same shape.
    """
    floor = np.maximum(_QUIETEST * largest.max(axis=1, keepdims=True), np.finfo(np.float32).eps)
    scales: np.ndarray = np.maximum(largest, floor) * np.float32(headroom / _LARGEST_INT8)
    return scales
