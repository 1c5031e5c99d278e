"""Backend for files of GGML's old formats and of GGUF's first version, by the package ctransformers: one answer at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from hearth.engine.chat_template import ChatTemplate
from hearth.engine.ctransformers_runner import CTransformersRunner
from hearth.engine.engine import Engine
from hearth.engine.engine_backend import EngineBackend
from hearth.engine.host.protocol import EngineOptions, ModelInfo, Submit
from hearth.errors import ModelFileInvalid, RequestInvalid
from hearth.i18n import tr
from hearth.model_folder.gguf_file import GgufFile, legacy_format, read_gguf

_BYTES_OF_FLOAT16 = 2


class CTransformersBackend(EngineBackend):
    """One such file. Requests wait for each other; sampling is Hearth's own, so all its parameters hold."""

    def __init__(self, file: Path, name: str, kind: str, options: EngineOptions) -> None:
        """Load the model; `kind` is its architecture.

        Raises:
            EngineMissing, ModelLoadFailed, ModelFileInvalid, ChatTemplateFailed: it cannot be used.
        """
        started = time.perf_counter()
        gguf: GgufFile | None = None if legacy_format(file) else read_gguf(file)
        runner = CTransformersRunner(
            file, name, kind, threads=options.threads, max_context=_context(gguf, options)
        )
        if not runner.vocab_size:
            raise ModelFileInvalid(file=str(file), reason=tr("it has no vocabulary"))
        template = None
        if gguf is not None and gguf.chat_template:
            template = ChatTemplate(gguf.chat_template, name, gguf.special_tokens)
        eos_token_ids = frozenset((runner.eos_token_id,))
        engine = Engine(
            runner,
            name=name,
            step_seconds=options.step_milliseconds / 1000,
            drafter=None,
        )
        super().__init__(name, engine, _LibraryTokenizer(runner), template, eos_token_ids)
        numbers = gguf.kv_numbers_per_token if gguf else 0
        self.info = ModelInfo(
            architecture=gguf.architecture if gguf else runner.architecture,
            context_length=runner.context_length,
            vocab_size=runner.vocab_size,
            has_chat_template=template is not None,
            load_seconds=time.perf_counter() - started,
            threads=options.threads,
            max_slots=1,
            kv_bytes_per_token=numbers * _BYTES_OF_FLOAT16,
            kv_cache_bytes=numbers * _BYTES_OF_FLOAT16 * runner.context_length,
            kv_cache_type="float16",
            provider="ctransformers, CPU",
        )

    def submit(self, request: Submit) -> None:
        if request.params.grammar is not None:
            reason = tr("a model in an old GGML format takes no grammar; convert it to GGUF for that")
            raise RequestInvalid(reason=reason)
        super().submit(request)

    def rest(self) -> None:
        """Nothing can be done beside."""

    def stats(self) -> dict[str, int | float]:
        return {
            "running": self._engine.scheduler.slots.running,
            "open": len(self._streams),
            "kv_cache_bytes": self.info.kv_cache_bytes,
        }


class _LibraryTokenizer:
    """The tokenizer in the model's file, which gives one token's bytes at a time."""

    def __init__(self, runner: CTransformersRunner) -> None:
        self._runner = runner

    def encode(self, text: str) -> list[int]:
        return self._runner.encode(text)

    def encode_raw(self, text: str) -> list[int]:
        bos = self._runner.bos_token_id
        # What has no BOS token says that it is the end.
        return self.encode(text) if bos in (-1, self._runner.eos_token_id) else [bos, *self.encode(text)]

    def decode(self, token_ids: Sequence[int]) -> str:
        special = (self._runner.bos_token_id, self._runner.eos_token_id)
        pieces = (self._runner.piece(token) for token in token_ids if token not in special)
        return b"".join(pieces).decode("utf-8", errors="replace")


def _context(gguf: GgufFile | None, options: EngineOptions) -> int:
    trained = gguf.context_length if gguf else 0
    return min(filter(None, (trained, options.max_context)), default=0)
