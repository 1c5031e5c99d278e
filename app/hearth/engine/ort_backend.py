"""Backend over the Engine and onnxruntime: the main one."""

from __future__ import annotations

import functools
import logging
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hearth.engine.device_choice import open_model
from hearth.engine.draft_model import open_draft_model
from hearth.engine.drafter import Drafter, FirstOf, LookupDrafter
from hearth.engine.engine import Engine
from hearth.engine.engine_backend import EngineBackend
from hearth.engine.grammar import Grammar
from hearth.engine.host.protocol import EngineOptions, ModelInfo
from hearth.engine.kv_scales import Int8Cache, int8_cache
from hearth.engine.kv_store import KVStore
from hearth.engine.ort_session import model_origin
from hearth.engine.packed_weights import NotPacked, PackedWeights, packed_weights
from hearth.engine.packing import check_room, loads_as_it_is, start_packing
from hearth.engine.providers.provider import Provider
from hearth.engine.providers.registry import CPU
from hearth.engine.tokenizer import Tokenizer
from hearth.errors import DraftModelUnfit, HearthError, ModelUnsupported
from hearth.i18n import tr
from hearth.model_folder.digest import model_digest
from hearth.model_folder.folder import ModelFolder

if TYPE_CHECKING:
    from hearth.engine.chat_template import ChatTemplate
    from hearth.engine.grammar_matcher import GrammarCompiler, GrammarMatcher

log = logging.getLogger(__name__)

# Less than this is no room to talk in.
_SMALLEST_CONTEXT = 64
# By then ONNX Runtime loads the weights, and lets other threads of Python run.
_HEAD_START_SECONDS = 0.2
# How often it is looked how far the packing of weights is.
_LOOK_SECONDS = 0.5


class OrtBackend(EngineBackend):
    """One model folder in onnxruntime-genai's format, answering text requests."""

    def __init__(
        self,
        folder: ModelFolder,
        name: str,
        options: EngineOptions,
        open_draft_folder: Callable[[], ModelFolder | None] = lambda: None,
        roots: Sequence[str] = (),
        on_preparing: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Load the model, and the draft model to guess for it; `roots` are where its files may lie.

        `on_preparing` hears how far it is, 0 to 1, where the weights must be packed before they can be loaded.

        Raises:
            ModelLoadFailed, ModelUnsupported, ModelFileInvalid, ChatTemplateFailed: it cannot be used.
        """
        started = time.perf_counter()
        beside = ThreadPoolExecutor(1)
        weights_are_there = threading.Event()
        tokenizer = beside.submit(_read_tokenizer, folder, weights_are_there)
        reading_template = beside.submit(_read_template, folder, name)
        beside.shutdown(wait=False)
        eos_token_ids = frozenset(folder.config.model.eos_token_ids)
        digest = model_digest(folder)
        int8 = Int8Cache()
        if options.kv_cache_type == "int8":
            weights_are_there.set()  # the tokenizer is needed first
            int8 = int8_cache(
                folder,
                name,
                tokenizer.result(),
                threads=options.threads,
                place=Path(options.kv_scales_folder),
                model=digest,
            )
        self._pack: Callable[[], None] | None = None
        self._packing: subprocess.Popen[bytes] | None = None
        # Int8 keys and values are another graph, which is run as it is.
        packed = None if int8.scales else packed_weights(folder, options)
        if packed and self._packs_first(folder, packed, options):
            self._start_packing(folder, name, roots, packed, options, is_awaited=True)
            self._await_packing(packed, folder, on_preparing)
            packed = None  # whatever came of it, once is enough
        model = open_model(folder, name, options, options.devices, int8.scales)
        weights_are_there.set()
        self._read_tokenizer, template = tokenizer.result(), reading_template.result()
        self._runner = model.runner
        if packed and not self._runner.is_packed and model.provider is CPU:
            self._pack = lambda: self._start_packing(folder, name, roots, packed, options)
        if self._runner.context_length < min(_SMALLEST_CONTEXT, folder.config.model.context_length):
            raise ModelUnsupported(name=name, reason=tr("the memory for its context is too small"))
        if options.kv_store_bytes:
            self._runner.kv_store = KVStore(
                Path(options.kv_store_folder),
                digest + int8.digest,
                self._runner.cache.shape,
                options.kv_store_bytes,
            )
        drafter, unfit = self._find_drafter(folder, options, open_draft_folder)
        engine = Engine(
            self._runner,
            name=name,
            step_seconds=options.step_milliseconds / 1000,
            drafter=drafter,
            compile_grammar=_grammars(folder, self._runner.vocab_size, eos_token_ids),
        )
        super().__init__(name, engine, self._read_tokenizer, template, eos_token_ids)
        self.info = ModelInfo(
            architecture=folder.config.model.type,
            context_length=self._runner.context_length,
            vocab_size=self._runner.vocab_size,
            has_chat_template=template is not None,
            load_seconds=time.perf_counter() - started,
            threads=model.threads,
            max_slots=options.max_slots,
            kv_bytes_per_token=self._runner.cache.shape.bytes_per_token,
            kv_cache_bytes=self._runner.cache.byte_budget,
            kv_cache_type=self._runner.cache.shape.dtype.name,
            kv_cache_noise=int8.noise if self._runner.cache.shape.dtype == np.int8 else None,
            provider=model.provider.ort_name,
            notices=(*model.notices, *unfit, *_kept_as_floats(name, int8, model.provider)),
            is_packed=self._runner.is_packed,
        )

    def _find_drafter(
        self,
        folder: ModelFolder,
        options: EngineOptions,
        open_draft_folder: Callable[[], ModelFolder | None],
    ) -> tuple[Callable[[], Drafter] | None, tuple[str, ...]]:
        """What makes the drafter of each answer, None where none is wanted; and what its user should read of it."""
        if not options.drafts:
            return None, ()
        try:
            return self._drafter(folder, options, open_draft_folder), ()
        except HearthError as error:  # it is set for all models, and no reason to load none
            return LookupDrafter, (error.what_text(),)

    def _drafter(
        self,
        folder: ModelFolder,
        options: EngineOptions,
        open_draft_folder: Callable[[], ModelFolder | None],
    ) -> Callable[[], Drafter]:
        """What makes the guesses of one sequence: looked up, and the draft model's where nothing is found.

        Raises:
            HearthError: there is no such model, it cannot be loaded, or its vocabulary is another one.
        """
        if not options.draft_model or not self._runner.can_score:
            return LookupDrafter
        draft_folder = open_draft_folder()
        if draft_folder is None:
            raise DraftModelUnfit(name=options.draft_model, reason=tr("there is no model of that name"))
        if draft_folder.path == folder.path:  # a model does not guess for itself
            return LookupDrafter
        model = open_draft_model(
            draft_folder,
            options.draft_model,
            threads=options.threads,
            kv_cache_bytes=options.kv_cache_bytes,
            tokenizer=self._read_tokenizer,
            vocab_size=self._runner.vocab_size,
        )
        return lambda: FirstOf(LookupDrafter(), model)

    def rest(self) -> None:
        if self._packing is not None:
            self._packing.poll()  # one that has ended shall not stay a zombie
        if self._pack is not None:
            pack, self._pack = self._pack, None
            pack()

    def _packs_first(self, folder: ModelFolder, packed: PackedWeights, options: EngineOptions) -> bool:
        """Whether the model is packed before it is loaded, since as it is there is no memory for it."""
        return not loads_as_it_is(folder, options) and not packed.find(model_origin(folder, options.machine))

    def _start_packing(
        self,
        folder: ModelFolder,
        name: str,
        roots: Sequence[str],
        packed: PackedWeights,
        options: EngineOptions,
        *,
        is_awaited: bool = False,
    ) -> None:
        try:
            check_room(folder, packed, options)
            self._packing = start_packing(name, folder, list(roots), options, is_awaited=is_awaited)
        except (NotPacked, OSError) as error:
            log.warning("the weights of %s are not packed: %s", name, error)

    def _await_packing(
        self, packed: PackedWeights, folder: ModelFolder, on_preparing: Callable[[float], None]
    ) -> None:
        if self._packing is None:
            return
        while self._packing.poll() is None:
            on_preparing(packed.progress(folder))
            with suppress(subprocess.TimeoutExpired):
                self._packing.wait(_LOOK_SECONDS)
        if self._packing.stdin is not None:
            self._packing.stdin.close()

    def stats(self) -> dict[str, int | float]:
        slots = self._engine.scheduler.slots
        return {
            "running": slots.running,
            "open": len(self._streams),
            "kv_cache_bytes": self._runner.cache.allocated_bytes,
        }


def _read_tokenizer(folder: ModelFolder, weights_are_there: threading.Event) -> Tokenizer:
    """The tokenizer, beside the weights: a large one takes half a second, in which its library lets nobody else run."""
    weights_are_there.wait(_HEAD_START_SECONDS)
    return Tokenizer(folder)


def _read_template(folder: ModelFolder, name: str) -> ChatTemplate | None:
    """The model's chat template, beside the weights too: its library takes a while to come."""
    from hearth.engine.chat_template import ChatTemplate

    if not folder.chat_template:
        return None
    return ChatTemplate(folder.chat_template, name, folder.special_tokens)


def _kept_as_floats(name: str, int8: Int8Cache, provider: Provider) -> tuple[str, ...]:
    """The sentence for a model that does not keep int8 though that was asked for."""
    reason = int8.refusal
    if int8.scales and provider is not CPU:
        reason = tr("{device} was not asked to", device=provider.title)
    return (
        (tr("{name} keeps what it has read as floats: {reason}.", name=name, reason=reason),)
        if reason
        else ()
    )


def _grammars(
    folder: ModelFolder, vocab_size: int, eos_token_ids: frozenset[int]
) -> Callable[[Grammar], Future[GrammarMatcher]]:
    """Compiles grammars for this model; what that needs is loaded with the first of them."""

    @functools.cache
    def compiler() -> GrammarCompiler:
        from hearth.engine.grammar_matcher import GrammarCompiler

        return GrammarCompiler(folder.tokenizer_file, vocab_size, eos_token_ids)

    return lambda grammar: compiler().begin(grammar)
