"""What a request gives back, step by step."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from hearth.errors import HearthError

LEAST_WRITTEN: Final = 32
"""Tokens; shorter answers are over before their speed shows."""


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"  # an end-of-sequence token or a stop string
    LENGTH = "length"  # max_tokens, or the end of the context
    ABORT = "abort"  # the user stopped it
    ERROR = "error"


class TokenLogprobs(msgspec.Struct, frozen=True):
    """Log-probabilities (natural, of the model's own distribution) at one generated position.

    Attributes:
        token_id: the token that was chosen.
        logprob: its log-probability.
        top: the most likely token ids with theirs, best first.
    """

    token_id: int
    logprob: float
    top: list[tuple[int, float]]


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What one request cost.

    Attributes:
        prompt_tokens: tokens of the prompt.
        cached_tokens: those of them whose keys and values were already in memory.
        generated_tokens: tokens of the answer, the end-of-sequence token included.
        seconds_to_first_token: from submission to the first token.
        seconds: from submission to the end.
        tokens_per_second: generation speed after the first token; 0 where there is one token or none.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    seconds_to_first_token: float = 0.0
    seconds: float = 0.0
    tokens_per_second: float = 0.0


class ErrorInfo(msgspec.Struct, frozen=True):
    """A HearthError on the wire."""

    code: str
    params: dict[str, str | int | float | None]

    @classmethod
    def of(cls, error: HearthError) -> ErrorInfo:
        return cls(error.code, error.params)

    def error(self) -> HearthError:
        return HearthError.from_code(self.code, self.params)


class RequestOutput(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The increment of one request in one step.

    Attributes:
        request_id: the request it belongs to.
        token_ids: the tokens that are new in this step; -1 for one whose id the backend does not tell.
        text: the text that became certain in this step; empty from the Engine, which knows no text.
        logprobs: one entry per new token where they were asked for.
        prefilled: prompt tokens computed so far, while the prompt is being read.
        finish_reason: set in the last output of a request.
        usage: set in the last output.
        error: set in the last output where finish_reason is ERROR.
    """

    request_id: str
    token_ids: list[int] = []
    text: str = ""
    logprobs: list[TokenLogprobs] = []
    prefilled: int = 0
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    error: ErrorInfo | None = None
