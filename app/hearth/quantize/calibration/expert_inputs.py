"""What the second matrix of each expert meets: tokens that the router sends to it, and those that it nearly did.

What an expert makes is multiplied by what it counts for the token, so its error is, and so is what its matrix meets
(as MoEQuant has it, arXiv:2505.03804). The experts that come next for a token are counted by their share too: that is
little beside what an expert meets that is often used, and all there is for one that never was.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hearth.quantize.calibration.findings import expert_part
from hearth.quantize.calibration.moments import Moments
from hearth.quantize.decoder import Experts
from hearth.quantize.graph.linear import Mixture

# How many experts a token counts for, of each that it is sent to.
_NEAR = 2


def expert_moments(
    mixture: Mixture, gate_up: np.ndarray, source: np.ndarray, scores: np.ndarray, *, is_whole: bool
) -> Iterator[tuple[str, Moments]]:
    """By the names of the experts' parts; none for those that no token came near to.

    Args:
        gate_up: float32 [experts, 2 * width, hidden], the rows of gate and up in turns.
        source: what the experts meet, float32 [tokens, hidden].
        scores: what the router says of each, [tokens, experts].
        is_whole: as in `Moments`.
    """
    experts, shares = _nearest(scores, mixture.part)
    for expert, matrix in enumerate(gate_up):
        tokens, places = np.nonzero(experts == expert)
        if len(tokens):
            moments = Moments(is_whole, mixture.down.columns)
            moments.add(_between(source[tokens], matrix) * shares[tokens, places, None])
            yield expert_part(mixture.down_name, expert), moments


def _nearest(scores: np.ndarray, part: Experts) -> tuple[np.ndarray, np.ndarray]:
    """The experts that come first for each token, int64 [tokens, n], and what they count or would, float32."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, : _NEAR * part.used]
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    near = np.take_along_axis(shares, order, axis=1)
    if part.is_normalized:
        near /= near[:, : part.used].sum(axis=1, keepdims=True)
    return order, near


def _between(source: np.ndarray, gate_up: np.ndarray) -> np.ndarray:
    """silu(gate) * up, float32 [tokens, width]."""
    made = source @ gate_up.T
    gate, up = made[:, ::2], made[:, 1::2]
    with np.errstate(over="ignore"):  # of what is far below zero nothing is left
        between: np.ndarray = gate / (1 + np.exp(-gate)) * up
    return between
