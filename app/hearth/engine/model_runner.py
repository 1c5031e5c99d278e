"""The seam between the engine and whatever computes logits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np


class ModelRunner(Protocol):
    """Token ids in, logits out; owns the KV cache.

    Slots are numbered from 0. The engine decides who owns which slot; the runner knows only how many tokens each
    slot holds. Logits are float32 and valid until the next call.

    Attributes:
        vocab_size: length of a row of logits.
        context_length: most tokens that one slot can hold.
        max_slots: most sequences at once.
        can_score: whether `score` can be called.
    """

    vocab_size: int
    context_length: int
    max_slots: int
    can_score: bool

    def reserve(self, slots: int, length: int) -> bool:
        """Make slots 0 to `slots`-1 hold `length` tokens each; False where memory does not allow it.

        What those slots hold is kept; what lies behind them or beyond that length may go.
        """
        ...

    def prefill(self, slot: int, token_ids: Sequence[int]) -> np.ndarray:
        """Append a chunk of one sequence to its slot; the logits [vocab_size] after its last token."""
        ...

    def decode(self, first: int, token_ids: Sequence[int]) -> np.ndarray:
        """Append one token to each of slots `first` to `first` + n-1; their logits [n, vocab_size]."""
        ...

    def score(self, slot: int, token_ids: Sequence[int]) -> np.ndarray:
        """Append tokens to one sequence; the logits [n, vocab_size] after each of them."""
        ...

    def move(self, source: int, target: int) -> None:
        """Move a sequence to an empty slot."""
        ...

    def swap(self, first: int, second: int) -> None:
        """Exchange the sequences of two slots."""
        ...

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` tokens of a sequence to an empty slot."""
        ...

    def truncate(self, slot: int, length: int) -> None:
        """Forget what a slot holds beyond its first `length` tokens."""
        ...

    def restore(self, slot: int, token_ids: np.ndarray, held: int) -> int:
        """Fill a slot with more of the beginning of these tokens (int64) than the `held` ones that it holds, if that is stored.

        How many it holds then.
        """
        ...

    def store(self, slot: int, token_ids: np.ndarray, used: int) -> Iterator[None] | None:
        """Store what a slot holds, a piece at each step; None where that is not worth it.

        Args:
            used: when it was last used, in nanoseconds since the epoch.
        """
        ...

    def release(self) -> None:
        """Give the cache's memory back while no sequence is held."""
        ...
