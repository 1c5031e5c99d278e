"""Constrained decoding: which tokens may come next, by the `llguidance` library.

The library walks grammar and vocabulary together (an Earley parser over derivatives of regular expressions). Where
a schema leaves but one text, it also forces how that text is cut into tokens, so that the model goes on from tokens
as it knows them.
"""

from __future__ import annotations

import concurrent.futures
import re
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, regex_to_lark
from llguidance.gbnf_to_lark import gbnf_to_lark

from hearth.engine.grammar import Grammar
from hearth.errors import RequestInvalid
from hearth.i18n import tr

# With the library's own limits, a pattern such as (a{1000}){1000} takes a second and 250 MB before it is given up; with
# these a fifth of that. No schema of MaskBench is refused for them.
_LIMITS = LLParserLimits(initial_lexer_fuel=300_000, max_lexer_states=50_000, verbose_errors=False)
# Space between the parts of JSON: bounded, for small models get lost in it.
_JSON_SPACE = r"[\x20\x0A\x0D\x09]{1,64}"
# The library computes forced text to its end, which takes long where it is long, and where rules make it endless, all
# memory. Left unforced, it is followed no further than the longest token. Schemas are spared: what they force is short.
_UNFORCED = '%llguidance {"no_forcing": true}'
# What the logits of eight tokens may be at most, for each byte of a mask: the smaller of the two is the fastest way to
# put a mask on logits.
_CEILINGS = np.where(
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little"),
    np.float32(np.inf),
    np.float32(-np.inf),
)
_LONGEST_REASON = 200
# Lines that point into the source of a grammar.
_EXCERPT = re.compile(r"\s*(\d+ \|.*|\^+|<non-verbose/>)?\s*")


class GrammarCompiler:
    """Makes matchers for one model.

    The tokenizer is read with the first grammar, not before: it takes 130 MB where the vocabulary has 150,000 tokens, and
    a second in which the library lets no other thread of Python run. `compile` may be called on any thread.
    """

    def __init__(self, tokenizer_json: str | Path, vocab_size: int, eos_token_ids: frozenset[int]) -> None:
        """`tokenizer_json`: the file; `vocab_size`: how many logits the model gives, padding included."""
        self._file = Path(tokenizer_json)
        self._vocab_size = vocab_size
        self._eos_token_ids = sorted(token_id for token_id in eos_token_ids if token_id < vocab_size)
        self._read: LLTokenizer | None = None
        self._reading = threading.Lock()
        self._background = ThreadPoolExecutor(1, thread_name_prefix="masks")
        self._compiling = ThreadPoolExecutor(1, thread_name_prefix="grammars")

    def begin(self, grammar: Grammar) -> Future[GrammarMatcher]:
        """`compile` on a thread of its own: a hard grammar takes seconds."""
        return self._compiling.submit(self.compile, grammar)

    def compile(self, grammar: Grammar) -> GrammarMatcher:
        """A matcher at the start of an answer. RequestInvalid says why a grammar is not taken."""
        grammar.check()
        tokenizer = self._tokenizer()
        try:
            matcher = LLMatcher(tokenizer, _source(grammar), log_level=0, limits=_LIMITS)
        except ValueError as error:
            raise _refusal(grammar, str(error)) from error
        # That nothing matches, or that an expression is too complex, shows with the first mask.
        matcher.compute_bitmask()
        if matcher.is_error():
            raise _refusal(grammar, matcher.get_error())
        return GrammarMatcher(matcher, self._background)

    def _tokenizer(self) -> LLTokenizer:
        with self._reading:
            if self._read is None:
                try:
                    self._read = LLTokenizer(
                        self._file.read_text(encoding="utf-8"),
                        n_vocab=self._vocab_size,
                        eos_token=self._eos_token_ids,
                    )
                except (OSError, ValueError) as error:
                    raise RequestInvalid(
                        reason=tr("this model takes no grammar: {reason}", reason=_one_line(str(error)))
                    ) from error
            return self._read


class GrammarMatcher:
    """Where one answer stands in its grammar. Used by one thread; its masks may be computed on another.

    It speaks of the bytes of tokens. A tokenizer of SentencePiece's kind drops a space that begins an answer when it
    decodes, so a grammar should not ask for one there.
    """

    def __init__(self, matcher: LLMatcher, background: ThreadPoolExecutor) -> None:
        self._matcher = matcher
        self._background = background
        self._coming: Future[np.ndarray] | None = None  # the ceilings of the next token, from the background
        self._ceilings: np.ndarray | None = None  # the same, once they are here
        self._restricted = np.empty(0, np.float32)
        self._is_finished = matcher.is_stopped()

    @property
    def is_finished(self) -> bool:
        """Nothing but the end may come."""
        return self._is_finished

    def prepare(self) -> None:
        """Begin to compute which tokens may come next, in the background: best while the model computes."""
        if self._coming is None and self._ceilings is None:
            self._coming = self._background.submit(self._compute)

    def restrict(self, logits: np.ndarray) -> np.ndarray:
        """Logits [vocab], float32, with -inf for each token that may not come: a buffer that the next call fills anew.

        Ends of sequence may come exactly where the answer is complete. RequestInvalid where the grammar became too
        complex, or leads nowhere.
        """
        if self._ceilings is None:
            coming, self._coming = self._coming, None
            if coming is None or coming.cancel():  # what has not begun is computed sooner here
                self._ceilings = self._compute()
            else:
                self._ceilings = coming.result()
        ceilings = self._ceilings[: logits.size]
        if self._restricted.size != logits.size:
            self._restricted = np.full(logits.size, -np.inf, np.float32)
        np.minimum(logits[: ceilings.size], ceilings, out=self._restricted[: ceilings.size])
        return self._restricted

    def accept(self, token_id: int) -> None:
        """The answer goes on with this token. RequestInvalid where it may not."""
        if self._coming is not None and not self._coming.cancel():
            concurrent.futures.wait([self._coming])
        self._coming = self._ceilings = None
        self._matcher.consume_token(token_id)
        self._check()
        self._is_finished = self._matcher.is_stopped()

    def count_accepted(self, token_ids: Sequence[int]) -> int:
        """How many of these tokens may come one after the other; the answer stays where it is."""
        if self._coming is not None:
            concurrent.futures.wait([self._coming])
        return self._matcher.validate_tokens(list(token_ids))

    def _compute(self) -> np.ndarray:
        """What each logit may be at most, [vocab and up to 7 more]: infinity for tokens that may come next."""
        mask = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._check()
        return np.take(_CEILINGS, mask, axis=0).ravel()

    def _check(self) -> None:
        if self._matcher.is_error():
            reason = _one_line(self._matcher.get_error())
            raise RequestInvalid(
                reason=tr("the answer cannot go on within its grammar: {reason}", reason=reason)
            )


def _source(grammar: Grammar) -> str:
    """The grammar in the library's own form. ValueError where a schema is no JSON."""
    if grammar.json_schema is not None:
        # A schema may carry options of its own; those that would let through what is not valid are overridden.
        return LLMatcher.grammar_from_json_schema(
            grammar.json_schema,
            defaults={"whitespace_pattern": _JSON_SPACE},
            overrides={"lenient": False, "coerce_one_of": False},
        )
    if grammar.lark is not None:
        lark = grammar.lark
    elif grammar.gbnf is not None:
        lark = gbnf_to_lark(grammar.gbnf)
    elif grammar.regex is not None:
        lark = f"start: /{regex_to_lark(grammar.regex, '')}/"
    else:
        # A terminal, for thousands of rules side by side are too many; texts in it are written like those of JSON.
        texts = " | ".join(msgspec.json.encode(text).decode() for text in grammar.choice)
        lark = f"start: CHOICE\nCHOICE: {texts}"
    return LLMatcher.grammar_from_lark(f"{lark}\n{_UNFORCED}\n")


def _refusal(grammar: Grammar, reason: str) -> RequestInvalid:
    reason = _one_line(reason)
    if grammar.json_schema is not None:
        return RequestInvalid(reason=tr("the JSON schema is not taken: {reason}", reason=reason))
    if grammar.regex is not None:
        return RequestInvalid(reason=tr("the regular expression is not taken: {reason}", reason=reason))
    if grammar.lark is not None:
        return RequestInvalid(reason=tr("the Lark grammar is not taken: {reason}", reason=reason))
    if grammar.gbnf is not None:
        return RequestInvalid(reason=tr("the GBNF grammar is not taken: {reason}", reason=reason))
    return RequestInvalid(reason=tr("the choices are not taken: {reason}", reason=reason))


def _one_line(reason: str) -> str:
    """The library's reason without excerpts of the source, and not longer than a line."""
    if reason.startswith("NoExtension"):
        return tr("no text matches it")
    lines = [line.strip() for line in reason.splitlines() if not _EXCERPT.fullmatch(line)]
    text = " ".join(lines).rstrip(".")
    half = _LONGEST_REASON // 2
    return text if len(text) <= _LONGEST_REASON else f"{text[:half]} … {text[-half:]}"
