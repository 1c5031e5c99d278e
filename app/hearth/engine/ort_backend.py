"""Backend over the Engine and onnxruntime: the main one."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hearth.engine.chat_template import ChatTemplate
from hearth.engine.engine import Engine
from hearth.engine.host.protocol import ChatMessage, EngineOptions, ModelInfo, Submit
from hearth.engine.kv_store import KVStore
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.outputs import FinishReason, RequestOutput
from hearth.engine.packed_weights import NoRoom, PackedWeights
from hearth.engine.packing import is_wanted, start_packing
from hearth.engine.request import Request
from hearth.engine.stream_decoder import StopMatcher, StreamDecoder
from hearth.engine.tokenizer import Tokenizer
from hearth.errors import ChatTemplateMissing, ModelUnsupported
from hearth.i18n import tr
from hearth.model_folder.digest import model_digest
from hearth.model_folder.folder import ModelFolder

log = logging.getLogger(__name__)

# Less than this is no room to talk in.
_SMALLEST_CONTEXT = 64


class _TextStream:
    """The text side of one request: tokens in, text that is certain out."""

    def __init__(self, decoder: StreamDecoder, matcher: StopMatcher) -> None:
        self._decoder = decoder
        self._matcher = matcher

    def push(self, token_ids: list[int]) -> str:
        return self._matcher.push(self._decoder.push(token_ids))

    def flush(self) -> str:
        return self._matcher.push(self._decoder.flush()) + self._matcher.flush()

    @property
    def is_stopped(self) -> bool:
        return self._matcher.matched is not None


class OrtBackend:
    """One model folder in onnxruntime-genai's format, answering text requests."""

    def __init__(
        self, folder: ModelFolder, name: str, options: EngineOptions, roots: Sequence[str] = ()
    ) -> None:
        """Load the model; `roots` are other folders that its files may lie in.

        Raises:
            ModelLoadFailed, ModelUnsupported, ModelFileInvalid, ChatTemplateFailed: it cannot be used.
        """
        started = time.perf_counter()
        self._name = name
        self._tokenizer = Tokenizer(folder)
        self._template = (
            ChatTemplate(folder.chat_template, name, folder.special_tokens) if folder.chat_template else None
        )
        self._eos_token_ids = frozenset(folder.config.model.eos_token_ids)
        self._runner = OrtRunner(
            folder,
            name,
            threads=options.threads,
            max_slots=options.max_slots,
            kv_cache_bytes=options.kv_cache_bytes,
            max_context=options.max_context,
            packed=PackedWeights(Path(options.packed_folder), options.packed_bytes)
            if options.packed_bytes
            else None,
            machine=options.machine,
            memory_bytes=options.memory_bytes,
        )
        self._pack: Callable[[], None] | None = None
        self._packing: subprocess.Popen[bytes] | None = None
        if options.packed_bytes and not self._runner.is_packed:
            self._pack = lambda: self._start_packing(folder, roots, options)
        if self._runner.context_length < min(_SMALLEST_CONTEXT, folder.config.model.context_length):
            raise ModelUnsupported(name=name, reason=tr("the memory for its context is too small"))
        if options.kv_store_bytes:
            self._runner.kv_store = KVStore(
                Path(options.kv_store_folder),
                model_digest(folder),
                self._runner.cache.shape,
                options.kv_store_bytes,
            )
        self._engine = Engine(
            self._runner,
            name=name,
            step_seconds=options.step_milliseconds / 1000,
            drafts=options.drafts,
        )
        self._streams: dict[str, _TextStream] = {}
        self.info = ModelInfo(
            architecture=folder.config.model.type,
            context_length=self._runner.context_length,
            vocab_size=self._runner.vocab_size,
            has_chat_template=self._template is not None,
            load_seconds=time.perf_counter() - started,
            threads=options.threads,
            max_slots=options.max_slots,
            kv_bytes_per_token=self._runner.cache.shape.bytes_per_token,
            kv_cache_bytes=options.kv_cache_bytes,
            provider="CPUExecutionProvider",
            is_packed=self._runner.is_packed,
        )

    @property
    def has_work(self) -> bool:
        return self._engine.has_work

    def submit(self, request: Submit) -> None:
        token_ids = request.token_ids
        if token_ids is None:
            token_ids = self._encode(request.messages, request.text)
        # A raw prompt is continued, so its last tokens decide about a leading space; a chat answer begins anew.
        tail = token_ids if request.messages is None else []
        self._engine.submit(
            Request(
                id=request.request_id,
                token_ids=tuple(token_ids),
                params=request.params,
                priority=request.priority,
                client=request.client,
                eos_token_ids=self._eos_token_ids,
            )
        )
        self._streams[request.request_id] = _TextStream(
            StreamDecoder(self._tokenizer, tail), StopMatcher(request.params.stop)
        )

    def abort(self, request_id: str) -> RequestOutput | None:
        output = self._engine.abort(request_id)
        if output is not None:
            output.text = self._streams.pop(request_id).flush()
        return output

    def step(self) -> list[RequestOutput]:
        return [self._with_text(output) for output in self._engine.step()]

    def tidy(self) -> bool:
        return self._engine.tidy()

    def rest(self) -> None:
        if self._packing is not None:
            self._packing.poll()  # one that has ended shall not stay a zombie
        if self._pack is not None:
            pack, self._pack = self._pack, None
            pack()

    def _start_packing(self, folder: ModelFolder, roots: Sequence[str], options: EngineOptions) -> None:
        try:
            if is_wanted(folder, options):
                self._packing = start_packing(self._name, folder, list(roots), options)
        except (NoRoom, OSError) as error:
            log.warning("the weights of %s are not packed: %s", self._name, error)

    def count(self, messages: list[ChatMessage] | None, text: str | None) -> int:
        return len(self._encode(messages, text))

    def stats(self) -> dict[str, int | float]:
        slots = self._engine.scheduler.slots
        return {
            "running": slots.running,
            "open": len(self._streams),
            "kv_cache_bytes": self._runner.cache.allocated_bytes,
        }

    def _encode(self, messages: list[ChatMessage] | None, text: str | None) -> list[int]:
        if messages is None:
            return self._tokenizer.encode_raw(text or "")
        if self._template is None:
            raise ChatTemplateMissing(name=self._name)
        return self._tokenizer.encode(self._template.render(messages))

    def _with_text(self, output: RequestOutput) -> RequestOutput:
        """Fill in the text that this output's tokens made certain, and end the request at a stop string."""
        stream = self._streams[output.request_id]
        ended_by_token = output.finish_reason is FinishReason.STOP
        # The token that ends an answer is no part of its text.
        output.text = stream.push([] if ended_by_token else output.token_ids)
        if stream.is_stopped and output.finish_reason in (None, FinishReason.LENGTH):
            ended = self._engine.finish(output.request_id, FinishReason.STOP)
            output.finish_reason = FinishReason.STOP
            if ended is not None:
                output.usage = ended.usage
        if output.finish_reason is not None:
            if not stream.is_stopped:
                output.text += stream.flush()
            if stream.is_stopped:
                output.finish_reason = FinishReason.STOP
            del self._streams[output.request_id]
        return output
