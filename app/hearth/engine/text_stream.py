"""The text side of one request to an Engine."""

from __future__ import annotations

from hearth.engine.stream_decoder import StopMatcher, StreamDecoder


class TextStream:
    """The text side of one request: tokens in, text that is certain out.

    Attributes:
        ends: tokens that end the answer, and are no part of its text.
    """

    def __init__(self, decoder: StreamDecoder, matcher: StopMatcher, ends: frozenset[int]) -> None:
        self._decoder = decoder
        self._matcher = matcher
        self._ends = ends

    def push(self, token_ids: list[int], *, ended: bool = False) -> str:
        """The text that these tokens make certain; with `ended`, the last of them may be the end."""
        if ended and token_ids and token_ids[-1] in self._ends:
            token_ids = token_ids[:-1]
        return self._matcher.push(self._decoder.push(token_ids))

    def flush(self) -> str:
        return self._matcher.push(self._decoder.flush()) + self._matcher.flush()

    @property
    def is_stopped(self) -> bool:
        return self._matcher.matched is not None
