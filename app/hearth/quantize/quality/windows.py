"""A text of tokens in windows, each read by itself, and in which steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

WINDOW = 512
"""Tokens of one window, where the model's context is not shorter."""

# Logits of one step: 64 MiB of float32.
_STEP_NUMBERS = 1 << 24


def cut_windows(token_ids: Sequence[int], bos: int | None, length: int) -> list[tuple[int, ...]]:
    """The tokens in windows of `length`, the last one shorter; each begins with the BOS token where there is one.

    A window of one token predicts nothing, and is left out.
    """
    start = () if bos is None else (bos,)
    step = length - len(start)
    windows = [(*start, *token_ids[first : first + step]) for first in range(0, len(token_ids), step)]
    return [window for window in windows if len(window) > 1]


def steps(tokens: int, vocab_size: int) -> Iterator[tuple[int, int]]:
    """First and end of each of the pieces that so many tokens are read in, for logits that memory holds.

    Pieces are as even as can be: one of a single token would go through another kernel.
    """
    most = max(2, _STEP_NUMBERS // vocab_size)
    count = -(-tokens // most)
    edges = [tokens * number // count for number in range(count + 1)] if count else []
    yield from pairwise(edges)
