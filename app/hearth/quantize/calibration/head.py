"""The last norm and the head on calibration text: what rounding does to the probabilities of the next token."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder, Rows
from hearth.quantize.weights import Matrix, vector


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
        """From some sums after the last layer, float32 [sequences, length, hidden_size]."""
        weight = vector(checkpoint, decoder.final_norm.weight)
        matrix = Matrix(checkpoint, decoder.head.weight or (Rows(decoder.embedding),))
        return cls(matrix, decoder, weight, _after_first(hidden))

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
        trials: Sequence[np.ndarray],
        pool: Executor,
    ) -> tuple[list[float], list[float]]:
        """The mean KL divergence, in nats, for each way of rounding rows, and for each trial.

        Args:
            trials: other sums of the same tokens, each float32 [sequences, length, hidden_size].
        """
        clean = self.normed(self.sums)
        others = [self.normed(_after_first(sums)) for sums in trials]

        def scores(bounds: tuple[int, int]) -> np.ndarray:
            rows = self.matrix.floats(*bounds)
            changed = (clean @ change(rows).T for change in rounded)
            return np.stack([clean @ rows.T, *changed, *(sums @ rows.T for sums in others)])

        logits = np.concatenate(list(pool.map(scores, pieces)), axis=2)
        if self.decoder.head.softcap:
            logits = self.decoder.head.softcap * np.tanh(logits / self.decoder.head.softcap)
        right = _log_probabilities(logits[0])
        found = [
            float((np.exp(right) * (right - _log_probabilities(other))).sum(axis=1).mean())
            for other in logits[1:]
        ]
        losses = [max(0.0, loss) for loss in found]
        return losses[: len(rounded)], losses[len(rounded) :]


def _after_first(hidden: np.ndarray) -> np.ndarray:
    """All but each sequence's first token, [tokens, hidden_size]."""
    rest: np.ndarray = hidden[:, 1:].reshape(-1, hidden.shape[-1])
    return rest


def _log_probabilities(logits: np.ndarray) -> np.ndarray:
    """float64 [tokens, vocab_size]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    found: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found
