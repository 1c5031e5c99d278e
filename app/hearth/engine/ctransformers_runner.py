"""ModelRunner over the package ctransformers, for files that llama.cpp no longer reads; one sequence at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ctypes import c_int
from pathlib import Path
from typing import Any, Final

import numpy as np

from hearth.errors import EngineMissing, ModelLoadFailed, ModelRunFailed
from hearth.i18n import tr

_FORMAT, _EXTRA = "GGML", "ggml"
_BATCH_TOKENS: Final = 64
_MOST_TOKENS: Final = (
    4096  # these models were trained for 2,048 mostly; all keys and values are taken at once
)


class CTransformersRunner:
    """See `ModelRunner`. Its one slot holds the tokens that were given last."""

    max_slots = 1
    can_score = False

    def __init__(self, file: Path, name: str, kind: str, *, threads: int, max_context: int) -> None:
        """Load the model; `kind` is its architecture, as ctransformers calls it.

        Raises:
            EngineMissing: ctransformers is not installed.
            ModelLoadFailed: it cannot load the file.
        """
        try:
            from ctransformers.llm import LLM, Config
        except ImportError as error:
            raise EngineMissing(name=name, format=_FORMAT, extra=_EXTRA) from error
        self._name = name
        self._threads = threads
        config = Config(
            context_length=min(max_context or _MOST_TOKENS, _MOST_TOKENS),
            threads=threads,
            batch_size=_BATCH_TOKENS,
            gpu_layers=0,
        )
        try:
            self._llm: Any = LLM(str(file), model_type=kind, config=config)
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelLoadFailed(name=name, reason=tr("ctransformers cannot read it")) from error
        self._length = 0
        self.vocab_size = int(self._llm.vocab_size)
        self.context_length = int(self._llm.context_length) if self._llm.context_length > 0 else 512
        self.bos_token_id = int(self._llm.bos_token_id)
        self.eos_token_id = int(self._llm.eos_token_id)
        self.architecture = str(self._llm.model_type)

    def encode(self, text: str) -> list[int]:
        """Token ids without a BOS token."""
        return list(self._llm.tokenize(text, add_bos_token=False)) if text else []

    def piece(self, token_id: int) -> bytes:
        """The bytes of one token."""
        piece: bytes = self._llm.detokenize([token_id], decode=False)
        return piece

    def reserve(self, slots: int, length: int) -> bool:
        return slots <= 1 and length <= self.context_length

    def prefill(self, slot: int, token_ids: Sequence[int]) -> np.ndarray:
        tokens = (c_int * len(token_ids))(*token_ids)
        done = self._llm.ctransformers_llm_batch_eval(
            tokens, len(token_ids), self._length, _BATCH_TOKENS, self._threads
        )
        if not done:
            raise ModelRunFailed(name=self._name, reason=tr("ctransformers could not evaluate the tokens"))
        self._length += len(token_ids)
        return self._logits()

    def decode(self, first: int, token_ids: Sequence[int]) -> np.ndarray:
        return self.prefill(first, token_ids)[None]

    def score(self, slot: int, token_ids: Sequence[int]) -> np.ndarray:
        raise NotImplementedError  # can_score says so

    def move(self, source: int, target: int) -> None:
        """There is one slot."""

    def swap(self, first: int, second: int) -> None:
        """There is one slot."""

    def copy(self, source: int, target: int, length: int) -> None:
        """There is one slot."""

    def truncate(self, slot: int, length: int) -> None:
        self._length = min(self._length, length)

    def restore(self, slot: int, token_ids: np.ndarray, held: int) -> int:
        return held

    def store(self, slot: int, token_ids: np.ndarray, used: int) -> Iterator[None] | None:
        return None

    def release(self) -> None:
        """The library keeps its memory."""

    def _logits(self) -> np.ndarray:
        size = int(self._llm.ctransformers_llm_logits_size())
        if size != self.vocab_size:
            raise ModelRunFailed(name=self._name, reason=tr("its logits are not numbers"))
        data = self._llm.ctransformers_llm_logits_data()
        return np.array(np.ctypeslib.as_array(data, shape=(size,)), np.float32)
