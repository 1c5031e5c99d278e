"""llama.cpp at its best, measured beside Hearth: `hearth bench MODEL --peer llama.cpp` starts this program.

It runs in an environment of its own, which `make bench-peer` sets up, and speaks JSON: one line in, one line out.

    {"do": "load", "model": PATH, "threads": N}                          seconds, pid, version, vocab_size
    {"do": "prefill", "tokens": N, "seed": N}                            seconds
    {"do": "decode", "streams": N, "context": N, "tokens": N}            tokens_per_second
    {"do": "logits", "prompts": [IDS], "answers": [IDS], "out": PATH}    an .npy file, float32 [rows, vocab]

What fails is answered with {"error": TEXT}. Only the model's work is timed: no sampling, no text, no Python between.
Weights are mapped and repacked as llama.cpp does by default, attention is its flash attention, keys and values are
float16, and a context is only as large as what is asked of it.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import llama_cpp
import numpy as np

FLASH_ATTENTION = 1  # LLAMA_FLASH_ATTN_TYPE_ENABLED
ERROR_LEVEL = 4  # GGML_LOG_LEVEL_ERROR
BATCH = 2048
PHYSICAL_BATCH = 512
# llama.cpp rounds a context up to this itself.
CONTEXT_STEP = 256
# As long as Hearth's: so short that reading it costs little.
SHORT_PROMPT = 16
FIRST_CONTEXT = 512


class Failed(Exception):
    """What llama.cpp could not do, in its own words."""


class Peer:
    """One model in this process."""

    def __init__(self) -> None:
        self._complaint = ""
        self._on_log = llama_cpp.llama_log_callback(self._log)
        llama_cpp.llama_log_set(self._on_log, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        self._model: Any = None
        self._context: Any = None
        self._shape = (0, 0)
        self._held: tuple[int, int] | None = None
        self._threads = 1
        self._batch = llama_cpp.llama_batch_init(BATCH, 0, 1)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what the line says. Raises Failed."""
        works: dict[str, Callable[..., dict[str, Any]]] = {
            "load": self.load,
            "prefill": self.prefill,
            "decode": self.decode,
            "logits": self.logits,
        }
        return works[request.pop("do")](**request)

    def load(self, model: str, threads: int) -> dict[str, Any]:
        """Load the model, with a first context: ready to answer."""
        self._threads = threads
        started = time.perf_counter()
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = 0
        self._model = llama_cpp.llama_model_load_from_file(model.encode(), params)
        if not self._model:
            raise Failed(self._complaint or f"{model} could not be loaded")
        self._use_context(1, FIRST_CONTEXT)
        return {
            "seconds": time.perf_counter() - started,
            "pid": os.getpid(),
            "version": f"llama-cpp-python {llama_cpp.__version__}",
            "vocab_size": self._vocab_size,
        }

    def prefill(self, tokens: int, seed: int) -> dict[str, Any]:
        """Read a prompt, up to the logits of its last token."""
        self._use_context(1, tokens + 1)
        self._forget()
        prompt = self._random(tokens, seed)
        started = time.perf_counter()
        self._read(prompt, 0)
        return {"seconds": time.perf_counter() - started}

    def decode(self, streams: int, context: int, tokens: int) -> dict[str, Any]:
        """So many tokens in each stream, all streams together, after `context` tokens that are read before."""
        length = max(context, SHORT_PROMPT)
        self._use_context(streams, length + tokens)
        if self._held == (streams, length):
            for stream in range(streams):
                llama_cpp.llama_memory_seq_rm(self._memory, stream, length, -1)
        else:
            self._forget()
            for stream in range(streams):
                self._read(self._random(length, stream), stream)
            self._held = (streams, length)
        answers = [self._random(tokens, stream) for stream in range(streams)]
        seconds = 0.0
        for step in range(tokens):
            self._fill([(answer[step], length + step, stream, True) for stream, answer in enumerate(answers)])
            started = time.perf_counter()
            self._run()
            seconds += time.perf_counter() - started
        return {"tokens_per_second": streams * tokens / seconds}

    def logits(self, prompts: list[list[int]], answers: list[list[int]], out: str) -> dict[str, Any]:
        """The logits after each prompt, and after each token of the answer that is put in its mouth."""
        self._use_context(1, max(map(len, prompts)) + max(map(len, answers)))
        rows = []
        for prompt, answer in zip(prompts, answers, strict=True):
            self._forget()
            self._read(prompt, 0)
            rows.append(self._last_logits())
            for step, token in enumerate(answer):
                self._fill([(token, len(prompt) + step, 0, True)])
                self._run()
                rows.append(self._last_logits())
        np.save(out, np.stack(rows))
        return {"rows": len(rows)}

    @property
    def _vocab_size(self) -> int:
        return int(llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model)))

    @property
    def _memory(self) -> Any:
        return llama_cpp.llama_get_memory(self._context)

    def _use_context(self, streams: int, length: int) -> None:
        """A context for so many sequences of this length; the present one where it is of just that shape."""
        length = -(-length // CONTEXT_STEP) * CONTEXT_STEP
        if self._shape == (streams, length):
            return
        if self._context:
            llama_cpp.llama_free(self._context)
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = streams * length
        params.n_seq_max = streams
        params.n_batch = BATCH
        params.n_ubatch = PHYSICAL_BATCH
        params.n_threads = params.n_threads_batch = self._threads
        params.flash_attn_type = FLASH_ATTENTION
        params.kv_unified = False
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        self._shape, self._held = (0, 0), None
        if not self._context:
            raise Failed(self._complaint or "there is no room for the context")
        self._shape = (streams, length)

    def _forget(self) -> None:
        llama_cpp.llama_memory_clear(self._memory, False)
        self._held = None

    def _random(self, count: int, seed: int) -> list[int]:
        chance = random.Random(f"{count} {seed}")
        return [chance.randrange(self._vocab_size) for _ in range(count)]

    def _read(self, prompt: Sequence[int], stream: int) -> None:
        for start in range(0, len(prompt), BATCH):
            part = prompt[start : start + BATCH]
            places = range(start, start + len(part))
            self._fill(
                [(t, place, stream, place == len(prompt) - 1) for t, place in zip(part, places, strict=True)]
            )
            self._run()

    def _fill(self, entries: Sequence[tuple[int, int, int, bool]]) -> None:
        """The batch: token, position, sequence, and whether its logits are wanted."""
        batch = self._batch
        batch.n_tokens = len(entries)
        for row, (token, place, stream, wanted) in enumerate(entries):
            batch.token[row] = token
            batch.pos[row] = place
            batch.n_seq_id[row] = 1
            batch.seq_id[row][0] = stream
            batch.logits[row] = wanted

    def _run(self) -> None:
        if llama_cpp.llama_decode(self._context, self._batch):
            raise Failed(self._complaint or "llama_decode failed")
        llama_cpp.llama_synchronize(self._context)

    def _last_logits(self) -> np.ndarray:
        row = llama_cpp.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(row, (self._vocab_size,)).copy()

    def _log(self, level: int, text: bytes, _: Any) -> None:
        if level == ERROR_LEVEL:
            self._complaint = text.decode(errors="replace").strip()


def main() -> None:
    # What native code prints must not get between the answers.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    peer = Peer()
    for line in sys.stdin:
        try:
            reply = peer.answer(json.loads(line))
        except Failed as error:
            reply = {"error": str(error)}
        out.write(json.dumps(reply) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
