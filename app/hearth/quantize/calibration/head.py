"""The last norm and the head on calibration text: what rounding does to the probabilities of the next token."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder, Rows
from hearth.quantize.weights import Matrix, vector

# Of how many tokens the probabilities are compared, and the share of noise that is tried, as a square.
_TOKENS, _NOISE = 64, 1e-3


@dataclass(frozen=True, slots=True)
class Head:
    """The head and what comes to it.

    Attributes:
        sums: float32 [tokens, hidden_size], before the norm.
    """

    matrix: Matrix
    decoder: Decoder
    norm_weight: np.ndarray
    sums: np.ndarray

    @classmethod
    def open(cls, checkpoint: Checkpoint, decoder: Decoder, hidden: np.ndarray) -> Head:
        """From the sums after the last layer, float32 [sequences, length, hidden_size]."""
        weight = vector(checkpoint, decoder.final_norm.weight)
        flat = hidden.reshape(-1, hidden.shape[-1])
        chosen = flat[np.linspace(1, len(flat) - 1, min(_TOKENS, len(flat) - 1)).astype(int)]
        matrix = Matrix(checkpoint, decoder.head.weight or (Rows(decoder.embedding),))
        return cls(matrix, decoder, weight, chosen)

    def normed(self, sums: np.ndarray) -> np.ndarray:
        """What the head meets: the last RMSNorm, float32 of the same shape."""
        mean = np.square(sums).mean(axis=-1, keepdims=True)
        epsilon = np.float32(self.decoder.final_norm.epsilon)
        normed: np.ndarray = sums / np.sqrt(mean + epsilon) * self.norm_weight
        return normed

    def losses(
        self,
        pieces: Iterable[tuple[int, int]],
        rounded: Sequence[Callable[[np.ndarray], np.ndarray]],
        pool: Executor,
    ) -> tuple[list[float], float]:
        """The mean KL divergence, in nats, for each way of rounding rows; and for noise in the sums, per its square."""
        random = np.random.default_rng(0)
        scale = np.sqrt(_NOISE * np.square(self.sums).mean(axis=1, keepdims=True))
        noisy = self.sums + scale * random.standard_normal(self.sums.shape, np.float32)
        clean, moved = (self.normed(sums) for sums in (self.sums, noisy))

        def scores(bounds: tuple[int, int]) -> np.ndarray:
            rows = self.matrix.floats(*bounds)
            return np.stack([clean @ rows.T, moved @ rows.T, *(clean @ change(rows).T for change in rounded)])

        logits = np.concatenate(list(pool.map(scores, pieces)), axis=2)
        if self.decoder.head.softcap:
            logits = self.decoder.head.softcap * np.tanh(logits / self.decoder.head.softcap)
        right = _log_probabilities(logits[0])
        found = [
            float((np.exp(right) * (right - _log_probabilities(other))).sum(axis=1).mean())
            for other in logits[1:]
        ]
        return [max(0.0, loss) for loss in found[1:]], max(0.0, found[0]) / _NOISE


def _log_probabilities(logits: np.ndarray) -> np.ndarray:
    """float64 [tokens, vocab_size]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    found: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found
