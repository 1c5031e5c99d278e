"""A request while it is being answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

import numpy as np

from hearth.engine.drafting import Drafting
from hearth.engine.outputs import Usage
from hearth.engine.request import Request
from hearth.engine.sampler import TokenChooser

if TYPE_CHECKING:
    from hearth.engine.grammar_matcher import GrammarMatcher


class SequenceState(Enum):
    WAITING = auto()  # has no slot
    PREFILLING = auto()  # part of its prompt is in its slot
    RUNNING = auto()  # its prompt is in its slot, and more


@dataclass(slots=True, eq=False)
class Sequence:
    """The tokens of one request and where they stand.

    Attributes:
        order: arrival number; a preempted sequence keeps it, and so comes first again.
        token_ids: prompt and answer.
        computed: how many of them have their keys and values in the slot.
        slot: the slot it owns; -1 while it waits.
        cached: prompt tokens whose keys and values were there when it first got a slot.
        drafting: its guesses at what follows; None where none are made.
        matcher: where its answer stands in its grammar; None where it has none.
        submitted, first_token, last_token: clock readings in seconds.
    """

    request: Request
    order: int
    chooser: TokenChooser
    submitted: float
    drafting: Drafting | None = None
    matcher: GrammarMatcher | None = None
    token_ids: list[int] = field(init=False)
    state: SequenceState = SequenceState.WAITING
    computed: int = 0
    slot: int = -1
    cached: int | None = None
    first_token: float = 0.0
    last_token: float = 0.0

    def __post_init__(self) -> None:
        self.token_ids = list(self.request.token_ids)

    @property
    def prompt_tokens(self) -> int:
        return len(self.request.token_ids)

    @property
    def generated_tokens(self) -> int:
        return len(self.token_ids) - self.prompt_tokens

    @property
    def shareable(self) -> np.ndarray:
        """The beginning of the prompt that may come from elsewhere, int64.

        Two tokens at least are computed: the last one for its logits, and one alone runs another kernel, with other
        rounding.
        """
        return np.array(self.request.token_ids[:-2], np.int64)

    @property
    def uncomputed(self) -> int:
        """Prompt tokens that still have to be prefilled."""
        return self.prompt_tokens - self.computed

    @property
    def is_caught_up(self) -> bool:
        """Whether the next token is to be sampled; after a preemption its answer is first computed again."""
        return self.computed == len(self.token_ids)

    def usage(self, now: float) -> Usage:
        """What it has cost up to `now`."""
        generated = self.generated_tokens
        decoding = self.last_token - self.first_token
        return Usage(
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached or 0,
            generated_tokens=generated,
            seconds_to_first_token=self.first_token - self.submitted if generated else 0.0,
            seconds=now - self.submitted,
            tokens_per_second=(generated - 1) / decoding if generated > 1 and decoding > 0 else 0.0,
        )
