"""A smaller model that guesses what a larger one will say (speculative decoding, Leviathan et al., 2023)."""

from __future__ import annotations

import logging

import numpy as np

from hearth.engine.drafting import LONGEST
from hearth.engine.model_runner import ModelRunner
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.shared_length import shared_length
from hearth.engine.tokenizer import Tokenizer
from hearth.errors import DraftModelUnfit, HearthError
from hearth.i18n import tr
from hearth.model_folder.folder import ModelFolder

# Tokens that it looks back on. What it reads of a long conversation would cost more time than its guesses save, and
# keys and values of so few tokens take little memory.
WINDOW = 512
# It reads at most so many at a time: a stream waits meanwhile.
CHUNK = 64

log = logging.getLogger(__name__)


class DraftModel:
    """Guesses greedily, for whichever sequence asks, with one slot.

    Only one sequence drafts at a time, so the slot holds the newest tokens of the last one that asked; another one's
    are read when it asks. A failure ends its guesses and nothing else.
    """

    def __init__(self, runner: ModelRunner, vocab_size: int) -> None:
        """`vocab_size`: of the model that it guesses for; ids from there on are never guessed."""
        self._runner = runner
        self._vocab_size = min(vocab_size, runner.vocab_size)
        self._window = min(WINDOW, runner.context_length - LONGEST)
        self._held = np.empty(0, np.int64)
        self._has_failed = self._window < CHUNK or not runner.reserve(1, self._window + LONGEST)

    def draft(self, token_ids: list[int], limit: int) -> list[int]:
        if self._has_failed:
            return []
        try:
            return self._draft(self._newest(token_ids), min(limit, LONGEST))
        except HearthError as error:
            log.warning("No more guesses by the draft model: %s", error)
            self._has_failed = True
            return []

    def _newest(self, token_ids: list[int]) -> np.ndarray:
        """The tokens to look back on, int64: half a window to a whole one, so that they seldom begin elsewhere."""
        half = self._window // 2
        start = max(0, (len(token_ids) - 1) // half - 1) * half
        return np.array(token_ids[start:], np.int64)

    def _draft(self, tokens: np.ndarray, limit: int) -> list[int]:
        if tokens.max() >= self._runner.vocab_size:
            return []  # not of the vocabulary: the larger model's table of tokens is padded further
        # The last one is read anew, for its logits.
        shared = min(shared_length(self._held, tokens), len(tokens) - 1)
        self._runner.truncate(0, shared)
        ahead = tokens[shared : shared + CHUNK].tolist()
        self._held = tokens[: shared + len(ahead)]
        logits = self._runner.prefill(0, ahead) if len(ahead) > 1 else self._runner.decode(0, ahead)[0]
        if len(self._held) < len(tokens):
            return []  # more to read at the next step
        draft = [self._best(logits)]
        while len(draft) < limit:
            draft.append(self._best(self._runner.decode(0, draft[-1:])[0]))
        self._held = np.append(tokens, draft[:-1])
        return draft

    def _best(self, logits: np.ndarray) -> int:
        return int(logits[: self._vocab_size].argmax())


def open_draft_model(
    folder: ModelFolder,
    name: str,
    *,
    threads: int,
    kv_cache_bytes: int,
    tokenizer: Tokenizer,
    vocab_size: int,
) -> DraftModel:
    """The model in `folder`, to guess for one with this tokenizer and so long a row of logits.

    Raises:
        DraftModelUnfit: its vocabulary is another one.
        ModelLoadFailed, ModelUnsupported, ModelFileInvalid: it cannot be used at all.
    """
    if Tokenizer(folder).vocabulary() != tokenizer.vocabulary():
        raise DraftModelUnfit(name=name, reason=tr("its vocabulary is another one"))
    runner = OrtRunner(
        folder,
        name,
        threads=threads,
        max_slots=1,
        kv_cache_bytes=kv_cache_bytes,
        max_context=WINDOW + LONGEST,
    )
    return DraftModel(runner, vocab_size)
