"""One side of a benchmark: Hearth, or a peer that does the same work."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

# Long enough for every kernel to show, short enough to be read at once. Streams that begin without a context of their
# own have such a prompt too, so that they start together.
SHORT_PROMPT = 16


@dataclass(frozen=True, slots=True)
class Loading:
    """How long a model took to load.

    Attributes:
        seconds: from when it is wanted until it is ready. Hearth has a host waiting, as in the app; the peer's process is
            started.
        model_seconds: the model alone, without interpreter and libraries.
    """

    seconds: float
    model_seconds: float


class Forced(msgspec.Struct, frozen=True):
    """Prompts and, for each, the tokens that it goes on with, whatever the model would say."""

    prompts: list[list[int]]
    answers: list[list[int]]

    @classmethod
    def of(cls, vocab_size: int) -> Forced:
        """Enough of both to show how a model rounds while it reads and while it writes."""
        return cls(
            [random_tokens(64, vocab_size, f"prompt {n}") for n in range(4)],
            [random_tokens(16, vocab_size, f"answer {n}") for n in range(4)],
        )


class Side(Protocol):
    """A model in a process of its own. What it raises is a HearthError."""

    def files(self) -> Sequence[Path]:
        """What loading reads."""

    def load(self) -> Loading:
        """Start the process and load the model."""

    def unload(self) -> None:
        """End the process."""

    def pid(self) -> int:
        """The process; 0 where there is none yet."""

    def prefill(self, tokens: int, seed: int) -> float:
        """Seconds to read a prompt, up to the first token of the answer."""

    def decode(self, streams: int, context: int, tokens: int) -> float:
        """Tokens per second of all streams together, while all of them write.

        Each has read `context` tokens before, which do not count and are the same in every run.
        """

    def noise(self, forced: Forced) -> float | None:
        """The RMS error of the logits against float32 activations, as a part of their RMS; None if nobody can tell."""


def random_tokens(count: int, vocab_size: int, seed: str) -> list[int]:
    """Token ids; no two seeds begin alike, so that nothing is read from another prompt's keys and values."""
    chance = random.Random(f"{count} {seed}")  # noqa: S311 (noise, not a secret)
    return [chance.randrange(vocab_size) for _ in range(count)]
