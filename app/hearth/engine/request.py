"""One request to the engine."""

from __future__ import annotations

from dataclasses import dataclass, field

from hearth.engine.sampling_params import SamplingParams


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt in token ids, and how to answer it.

    Attributes:
        id: unique among open requests.
        token_ids: the prompt; not empty.
        priority: higher is admitted first.
        client: whom it is for; clients with equal priority take turns.
        eos_token_ids: tokens that end the answer.
    """

    id: str
    token_ids: tuple[int, ...]
    params: SamplingParams = field(default_factory=SamplingParams)
    priority: int = 0
    client: str = ""
    eos_token_ids: frozenset[int] = frozenset()
