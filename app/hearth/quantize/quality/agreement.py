"""How far the predictions of a model are from those of its reference, summed up chunk by chunk.

Logits of a whole text would be gigabytes where the vocabulary is large, so they come a few rows at a time and only sums
are kept, in float64.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field

import numpy as np

from hearth.model_folder.quality import Estimate, Measured, Way

# Logits that are worked on together: their float64 copies stay in the cache.
_PIECE_NUMBERS = 1 << 18
# Beyond this mean a perplexity is no float any more.
_MOST_NATS = 700.0


@dataclass(slots=True)
class Mean:
    """A mean with its standard error, of values that come in pieces (Chan, Golub and LeVeque 1979)."""

    count: int = 0
    mean: float = 0.0
    _squares: float = 0.0

    def add(self, values: np.ndarray) -> None:
        """Take these in, float64 [n]."""
        count = len(values)
        if not count:
            return
        mean = float(values.mean())
        total = self.count + count
        distance = mean - self.mean
        self._squares += float(np.square(values - mean).sum()) + distance**2 * self.count * count / total
        self.mean += distance * count / total
        self.count = total

    @property
    def error(self) -> float:
        if self.count < 2:
            return 0.0
        return math.sqrt(self._squares / (self.count - 1) / self.count)

    def estimate(self) -> Estimate:
        return Estimate(self.mean, self.error)

    def exponential(self) -> Estimate:
        """e to the mean; its error to the first order."""
        value = math.exp(min(self.mean, _MOST_NATS))
        return Estimate(value, min(value * self.error, sys.float_info.max))


class NotFinite(Exception):
    """Some logits are infinite or no numbers."""


@dataclass(slots=True)
class Agreement:
    """The sums of one comparison."""

    _nats: Mean = field(default_factory=Mean)
    _reference_nats: Mean = field(default_factory=Mean)
    _divergence: Mean = field(default_factory=Mean)
    _same: Mean = field(default_factory=Mean)

    def add(self, targets: np.ndarray, logits: np.ndarray, reference: np.ndarray | None = None) -> None:
        """Take in some positions.

        Args:
            targets: the tokens that really follow, int [n].
            logits: of the model, [n, vocab].
            reference: logits at the same positions.

        Raises:
            NotFinite: a logit is.
        """
        step = max(1, _PIECE_NUMBERS // logits.shape[1])
        for start in range(0, len(targets), step):
            piece = slice(start, start + step)
            self._add(targets[piece], logits[piece], None if reference is None else reference[piece])

    def _add(self, targets: np.ndarray, logits: np.ndarray, reference: np.ndarray | None) -> None:
        rows = np.arange(len(targets))
        ours = log_softmax(logits)
        self._nats.add(-ours[rows, targets])
        if reference is None:
            return
        theirs = log_softmax(reference)
        self._reference_nats.add(-theirs[rows, targets])
        self._same.add((logits.argmax(axis=1) == reference.argmax(axis=1)).astype(np.float64))
        difference = theirs - ours
        difference *= np.exp(theirs)
        # Never negative but by rounding.
        self._divergence.add(np.maximum(difference.sum(axis=1), 0.0))

    def measured(self, way: Way, rows: int) -> Measured:
        """The figures so far; there must be some."""
        is_compared = self._divergence.count > 0
        return Measured(
            way=way,
            rows=rows,
            positions=self._nats.count,
            perplexity=self._nats.exponential(),
            reference_perplexity=self._reference_nats.exponential() if is_compared else None,
            kl_divergence=self._divergence.estimate() if is_compared else None,
            top1_agreement=self._same.estimate() if is_compared else None,
        )


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the probabilities, float64 [n, vocab].

    Raises:
        NotFinite: a logit is.
    """
    if not np.isfinite(logits).all():
        raise NotFinite
    values = logits.astype(np.float64)
    values -= values.max(axis=1, keepdims=True)
    values -= np.log(np.exp(values).sum(axis=1, keepdims=True))
    return values
