"""From a stream of tokens to a stream of text.

`StreamDecoder` never emits half a character; `StopMatcher` never emits part of a stop string. What either holds back
comes out as soon as it is certain.
"""

from __future__ import annotations

from collections.abc import Sequence

from hearth.engine.tokenizer import Tokenizer

# What a decoder shows for bytes that are not a whole character (yet).
_INCOMPLETE = "\ufffd"
# An unfinished character shows as at most three of them; a run of this many is invalid for good.
_INVALID_RUN = 8
_CONTEXT_TOKENS = 6


class StreamDecoder:
    """Incremental detokenization.

    The text of a token depends on its neighbours (byte tokens, leading spaces), so new tokens are decoded together
    with a few before them, and what was already emitted is cut off, as in Hugging Face's text-generation-inference.
    """

    def __init__(self, tokenizer: Tokenizer, prompt_tail: Sequence[int] = ()) -> None:
        """`prompt_tail`: last tokens of a raw prompt, which the answer continues; empty for a chat answer."""
        self._tokenizer = tokenizer
        self._context = list(prompt_tail)[-_CONTEXT_TOKENS:]
        self._pending: list[int] = []
        self._emitted = len(tokenizer.decode(self._context))  # characters of context and pending tokens

    def push(self, token_ids: Sequence[int]) -> str:
        """The text that these tokens made certain."""
        self._pending += token_ids
        text = self._tokenizer.decode([*self._context, *self._pending])
        whole = text.rstrip(_INCOMPLETE)
        if len(text) - len(whole) >= _INVALID_RUN:
            whole = text
        new = whole[self._emitted :]
        if len(whole) == len(text) and new:
            self._context, self._pending = (self._context + self._pending)[-_CONTEXT_TOKENS:], []
            self._emitted = len(self._tokenizer.decode(self._context))
        else:
            self._emitted += len(new)
        return new

    def flush(self) -> str:
        """What is still held back at the end of the answer."""
        text = self._tokenizer.decode([*self._context, *self._pending])
        self._pending = []
        return text[self._emitted :]


class StopMatcher:
    """Cuts a stream of text before the first stop string.

    Attributes:
        matched: the stop string that ended the text; None so far.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = tuple(stop)
        self._held = ""
        self.matched: str | None = None

    def push(self, text: str) -> str:
        """The part of the stream that is certain not to belong to a stop string."""
        if self.matched is not None or not self._stop:
            return "" if self.matched is not None else text
        held = self._held + text
        found = [(held.find(stop), stop) for stop in self._stop if stop in held]
        if found:
            place, self.matched = min(found, key=lambda hit: (hit[0], -len(hit[1])))
            self._held = ""
            return held[:place]
        keep = max(_overlap(held, stop) for stop in self._stop)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]

    def flush(self) -> str:
        """What was held back, once the stream is over."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop` without being all of it."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
