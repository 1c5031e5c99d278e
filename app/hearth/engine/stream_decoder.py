"""From a stream of tokens to a stream of text.

`StreamDecoder` never emits half a character; `StopMatcher` never emits part of a stop string. What either holds back
comes out as soon as it is certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

# What a decoder shows for bytes that are not a whole character (yet).
_INCOMPLETE = "\ufffd"
# A character has at most four bytes: so many tokens that still end in no character are invalid for good.
_INVALID_RUN = 8
_CONTEXT_TOKENS = 6


class TextDecoder(Protocol):
    """Token ids to text, without special tokens; bytes that are no character yet become U+FFFD."""

    def decode(self, token_ids: Sequence[int]) -> str: ...


class StreamDecoder:
    """Incremental detokenization.

    The text of a token depends on its neighbours (byte tokens, leading spaces), so new tokens are decoded together
    with a few before them, and what was already emitted is cut off, as in Hugging Face's text-generation-inference.
    """

    def __init__(self, tokenizer: TextDecoder, prompt_tail: Sequence[int] = ()) -> None:
        """`prompt_tail`: last tokens of a raw prompt, which the answer continues; empty for a chat answer."""
        self._tokenizer = tokenizer
        self._context = self._begin(list(prompt_tail))
        self._pending: list[int] = []
        self._emitted = len(tokenizer.decode(self._context))  # characters of context and pending tokens

    def _begin(self, prompt_tail: list[int]) -> list[int]:
        """The last few tokens, and some more where those begin inside a character."""
        context: list[int] = []
        # A character has at most four tokens, so a few more are enough.
        longest = min(_CONTEXT_TOKENS + 4, len(prompt_tail))
        for length in range(min(_CONTEXT_TOKENS, len(prompt_tail)), longest + 1):
            context = prompt_tail[len(prompt_tail) - length :]
            if not self._tokenizer.decode(context).startswith(_INCOMPLETE):
                break
        return context

    def push(self, token_ids: Sequence[int]) -> str:
        """The text that these tokens made certain."""
        self._pending += token_ids
        text = self._tokenizer.decode([*self._context, *self._pending])
        whole = text.rstrip(_INCOMPLETE)
        # A byte-fallback decoder turns the whole run of byte tokens into U+FFFD, what was emitted of it too.
        if min(len(text) - len(whole), len(self._pending)) >= _INVALID_RUN:
            whole = text
        new = whole[self._emitted :]
        # Tokens that show nothing, such as special ones, must not pile up either.
        if len(whole) == len(text) and (new or len(self._pending) > _CONTEXT_TOKENS):
            # These tokens are whole characters, so they are a context that decodes alone.
            self._context, self._pending = self._pending, []
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
    """Cuts a stream of text before the stop string that is complete first.

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
        found = [(held.find(stop) + len(stop), -len(stop), stop) for stop in self._stop if stop in held]
        if found:
            # The one that is complete first, so that it does not matter in which pieces the text came.
            end, _, self.matched = min(found)
            place = end - len(self.matched)
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
