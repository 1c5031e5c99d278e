"""The last norm and the head on calibration text: what rounding does to the probabilities of the next token."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import reduce
from typing import Self

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

        def divergence(bounds: tuple[int, int]) -> _Divergence:
            rows = self.matrix.floats(*bounds)
            changed = (clean @ change(rows).T for change in rounded)
            made = (*changed, *(sums @ rows.T for sums in others))
            return _Divergence.of(self._capped(clean @ rows.T), map(self._capped, made))

        found = reduce(_Divergence.plus, pool.map(divergence, pieces)).means()
        return found[: len(rounded)], found[len(rounded) :]

    def _capped(self, logits: np.ndarray) -> np.ndarray:
        """As float64."""
        values = logits.astype(np.float64)
        cap = self.decoder.head.softcap
        return cap * np.tanh(values / cap) if cap else values


@dataclass(frozen=True, slots=True)
class _Divergence:
    """Sums over some tokens of the vocabulary: all logits of all trials would take gigabytes.

    Attributes:
        peaks: the largest logit of what is right, and of each other, float64 [1 + others, tokens].
        wholes: the sum of exp(logit - peak), of the same shape.
        apart: of exp(right - its peak) * (right - other), float64 [others, tokens].
    """

    peaks: np.ndarray
    wholes: np.ndarray
    apart: np.ndarray

    @classmethod
    def of(cls, right: np.ndarray, others: Iterable[np.ndarray]) -> Self:
        """Of logits, float64 [tokens, vocabulary]."""
        peak = right.max(axis=1)
        shares = np.exp(right - peak[:, None])
        peaks, wholes, apart = [peak], [shares.sum(axis=1)], [np.empty((0, len(right)))]
        for other in others:
            peaks.append(other.max(axis=1))
            wholes.append(np.exp(other - peaks[-1][:, None]).sum(axis=1))
            apart.append((shares * (right - other)).sum(axis=1)[None])
        return cls(np.stack(peaks), np.stack(wholes), np.concatenate(apart))

    def plus(self, more: Self) -> Self:
        """With those of other tokens of the vocabulary."""
        peaks = np.maximum(self.peaks, more.peaks)
        mine, theirs = np.exp(self.peaks - peaks), np.exp(more.peaks - peaks)
        return type(self)(
            peaks, self.wholes * mine + more.wholes * theirs, self.apart * mine[0] + more.apart * theirs[0]
        )

    def means(self) -> list[float]:
        """The mean KL divergence of each from what is right, in nats; never negative but by rounding."""
        scales = self.peaks + np.log(self.wholes)
        found = (self.apart / self.wholes[0] - scales[0] + scales[1:]).mean(axis=1)
        return [max(0.0, float(divergence)) for divergence in found]


def _after_first(hidden: np.ndarray) -> np.ndarray:
    """All but each sequence's first token, [tokens, hidden_size]."""
    rest: np.ndarray = hidden[:, 1:].reshape(-1, hidden.shape[-1])
    return rest
