"""Will a model fit this machine, and how fast will it be: the one estimate that every part of Hearth uses.

Memory is that of one conversation of `context` tokens:

- weights: what loading puts into memory (`weights.py`), or the same bytes in the pages of a file where they are packed;
- keys and values: 2 x layers x kv_heads x head_size numbers a token, float32 on the processor, or int8; llama.cpp takes
  them in float16 and for its whole context at once;
- working memory: the host process, the tokenizer, and what reading a prompt needs for its largest chunk, in which
  attention keeps, on each core, a score for each token of the chunk and each token before;
- the rest of the system.

For each token of an answer the processor goes through the weights that it needs, and through all keys and values. A
prompt is read many tokens at once, so that arithmetic decides. What is beside is a fixed time for each operator and each
token of the vocabulary. How fast this machine is at each of these was measured (`Speeds`), and `Correction` brings in
what its models have shown since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from hearth.i18n import mark, tr
from hearth.model_folder.manifest import GENAI, GGUF
from hearth.models.shape import ModelShape
from hearth.models.speeds import Speeds
from hearth.models.weights import Weights

MB = 10**6
REST_OF_SYSTEM_BYTES: Final = 2 * 10**9
KV_BYTES: Final = {"float32": 4.0, "float16": 2.0, "int8": 1.0, "q8_0": 34 / 32}
"""Of one number in a cache of keys and values, by its type."""
CONTEXTS: Final = (2048, 4096, 8192)
"""Contexts that are told where nobody asks for others."""

# Interpreter, numpy, onnxruntime and Hearth's own modules.
_HOST_BYTES = 44 * MB
# A tokenizer in memory, beside its file's size.
_TOKENIZER_FACTOR = 4.2
# What llama.cpp's host has in the place of all that: measured with three models of 0.5B to 1.5B, within 2 % of the whole.
_LLAMA_CPP_BYTES, _LLAMA_CPP_TOKEN_BYTES = 60 * MB, 300
# What packed weights leave in memory of the process, beside all else.
_PACKED_BYTES = 55 * MB
# What stays of a step: vectors of the hidden size and of the feed-forward network for each token of a chunk.
_HIDDEN_VECTORS, _WIDE_VECTORS = 2, 2.7
# A prompt's chunk is what can be read in so many seconds, within limits (`engine/scheduler.py`).
_CHUNK_SECONDS, _LEAST_CHUNK, _MOST_CHUNK = 0.6, 16, 512
_SCORE_BYTES = 4

# Of the bandwidth that reading alone reaches; attention reads keys and values less evenly.
_BANDWIDTH_SHARE = 0.95
_KV_BANDWIDTH_SHARE = 0.7
_OPERATORS_PER_LAYER = 10
_SECONDS_PER_VOCABULARY = 4e-9
# What a prompt's token takes beside the measured kernels, for each number of a layer's wide vector and of some hidden
# ones: norms, sums, activation functions, and what narrow matrices lose. Fitted to models of 0.5B to 8B on one machine.
_SECONDS_PER_NUMBER, _HIDDEN_STEPS = 3e-9, 4
_PACKED_SPEED = 0.9
_COMFORTABLE_SHARE = 0.85
READING_SPEED: Final = 6.0
"""Tokens a second that most people read."""


class Fit(StrEnum):
    WELL = "well"
    SLOWLY = "slowly"
    NOT = "not"


FIT_TEXTS = {Fit.WELL: mark("runs well"), Fit.SLOWLY: mark("runs slowly"), Fit.NOT: mark("does not fit")}
_RANKS = (Fit.WELL, Fit.SLOWLY, Fit.NOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """What a machine has, in plain numbers.

    Attributes:
        memory_bytes: all of it that this app may use.
        available_bytes: what can be taken now without swapping.
        disk_free_bytes: where models are kept.
        cores: that models run on.
        speeds: as they were measured.
        kv_limit_bytes: most that keys and values of one model may take; 0 is no limit.
    """

    memory_bytes: int
    cores: int
    available_bytes: int = 0
    disk_free_bytes: int = 0
    speeds: Speeds
    kv_limit_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Correction:
    """What models have shown on this machine, beside what was expected of them.

    Attributes:
        write, read: factors on the speeds.
        working_bytes: to be added to the working memory.
    """

    write: float = 1.0
    read: float = 1.0
    working_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ChunkCost:
    """Seconds that a chunk of a prompt takes: for each of its tokens, and however long it is."""

    token: float
    chunk: float


@dataclass(frozen=True, slots=True)
class Memory:
    """What a model takes, in bytes.

    Attributes:
        is_mapped: the weights are pages of a file, which the system may drop and read again.
        rest: what the system and other programs are left.
    """

    weights: int
    kv: int
    working: int
    rest: int
    is_mapped: bool

    @property
    def model(self) -> int:
        """Of the model alone."""
        return self.weights + self.kv + self.working

    @property
    def private(self) -> int:
        """Of the model alone, without pages of a file."""
        return self.model - (self.weights if self.is_mapped else 0)

    @property
    def total(self) -> int:
        return self.model + self.rest


@dataclass(frozen=True, slots=True)
class Disk:
    """What a model takes on the disk, in bytes.

    Attributes:
        download: files that are fetched first.
        model: the model as it is kept.
        packed: its packed form, beside it.
    """

    download: int
    model: int
    packed: int = 0

    @property
    def most(self) -> int:
        """What must be free before it begins: what is fetched stays until the model is made of it."""
        return max(self.download + self.model, self.model + self.packed)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a verdict was reached: a template and its values, put into words when it is shown."""

    template: str
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return tr(self.template, **self.values)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A model on a machine, with a conversation of `context` tokens.

    Attributes:
        write_speed: tokens a second of one answer at the end of such a conversation.
        read_speed: tokens a second of a prompt that fills it.
    """

    context: int
    memory: Memory
    write_speed: float
    read_speed: float
    fit: Fit
    reason: Reason


@dataclass(frozen=True, slots=True)
class Advice:
    """What would make a model fit, or fit better: another recipe, a shorter context, or both."""

    recipe: str
    context: int
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class ModelFit:
    """One model in one form on one machine.

    Attributes:
        kv_type: a key of KV_BYTES.
        reserved_context: tokens whose keys and values take memory from the start, however short the conversation is.
        format: GENAI or GGUF.
        is_packed: its weights are mapped from their packed form, as they are where memory is short.
        quantizing_seconds: how long this machine takes to make it of the checkpoint; 0 where that is not known, or done.
    """

    shape: ModelShape
    weights: Weights
    machine: MachineSpec
    disk: Disk
    kv_type: str = "float32"
    is_packed: bool = False
    correction: Correction = Correction()
    reserved_context: int = 0
    format: str = GENAI
    quantizing_seconds: float = 0.0

    def corrected(self, correction: Correction, *, is_packed: bool) -> ModelFit:
        """The same with another correction, and weights that are packed or not."""
        return replace(self, correction=correction, is_packed=is_packed)

    def at(self, context: int) -> Estimate:
        """The estimate for a conversation of so many tokens; at most as many as the model holds."""
        context = max(1, min(context, self.shape.context))
        memory = self.memory(context)
        write = self.write_speed(context)
        fit, reason = self._verdict(context, memory, write)
        return Estimate(context, memory, write, self.read_speed(context), fit, reason)

    def memory(self, context: int) -> Memory:
        """What it takes with so many tokens."""
        return Memory(
            weights=self.weights.loaded + self.weights.mapped,
            kv=round(max(context, self.reserved_context) * self.kv_bytes_per_token),
            working=max(0, self._working(context) + self.correction.working_bytes),
            rest=REST_OF_SYSTEM_BYTES,
            is_mapped=self.is_packed or not self.weights.loaded,
        )

    def write_speed(self, context: int) -> float:
        """Tokens a second of one answer after so many tokens; 0 where the bandwidth is not known."""
        speeds = self.machine.speeds
        if speeds.bandwidth <= 0:
            return 0.0
        floats = self.weights.floats if speeds.token_rate else self.weights.read
        seconds = floats / (speeds.bandwidth * _BANDWIDTH_SHARE)
        if speeds.token_rate:
            seconds += (self.weights.read - floats) / speeds.token_rate
        # With few heads to each of the keys, reading them decides; with many, what is computed with them.
        attention = self.kv_bytes_per_token / (speeds.bandwidth * _KV_BANDWIDTH_SHARE)
        if speeds.token_attention_rate:
            attention = max(attention, self._attention_operations / speeds.token_attention_rate)
        seconds += context * attention
        seconds += self.shape.layers * _OPERATORS_PER_LAYER * speeds.operator_seconds
        seconds += self.shape.vocab_size * _SECONDS_PER_VOCABULARY
        return self.correction.write / seconds * (_PACKED_SPEED if self.is_packed else 1.0)

    def read_speed(self, context: int) -> float:
        """Tokens a second of a prompt of so many tokens; 0 where that was not measured."""
        cost = self._chunk_cost(context)
        return self.correction.read / (cost.token + cost.chunk / self._chunk(context)) if cost else 0.0

    def _chunk_cost(self, context: int) -> ChunkCost | None:
        """What a chunk of such a prompt costs in the mean; None where that was not measured."""
        speeds = self.machine.speeds
        if not speeds.prompt_rate or not speeds.prompt_attention_rate:
            return None
        shape = self.shape
        products = 2 * self.weights.products / speeds.prompt_rate
        numbers = shape.layers * (self._wide + _HIDDEN_STEPS * shape.hidden_size)
        # Each token looks at those before it: at half of them in the mean.
        attention = context / 2 * self._attention_operations / speeds.prompt_attention_rate
        return ChunkCost(
            token=products + attention + numbers * _SECONDS_PER_NUMBER,
            chunk=products * speeds.prompt_half
            + attention * speeds.prompt_attention_half
            + (self.weights.head / speeds.token_rate if speeds.token_rate else 0.0),
        )

    @property
    def kv_bytes_per_token(self) -> float:
        return self.shape.kv_numbers * KV_BYTES[self.kv_type]

    @property
    def _attention_operations(self) -> int:
        """For each token that another one looks at: two for each number of its keys, and of its values."""
        return 4 * self.shape.layers * self.shape.heads * self.shape.head_size

    @property
    def _wide(self) -> int:
        """Numbers of the vector within a feed-forward network, or of all experts that a token is sent to."""
        shape = self.shape
        return shape.intermediate_size or shape.expert_size * max(shape.experts_used, 1)

    def _working(self, context: int) -> int:
        shape = self.shape
        if self.format == GGUF:
            return _LLAMA_CPP_BYTES + _LLAMA_CPP_TOKEN_BYTES * shape.vocab_size
        chunk = min(context, self._chunk(context))
        vectors = round(chunk * 4 * (_HIDDEN_VECTORS * shape.hidden_size + _WIDE_VECTORS * self._wide))
        scores = self.machine.cores * chunk * context * _SCORE_BYTES
        tokenizer = round(shape.tokenizer_size * _TOKENIZER_FACTOR)
        return (
            _HOST_BYTES
            + tokenizer
            + vectors
            + scores
            + 4 * shape.vocab_size
            + (_PACKED_BYTES if self.is_packed else 0)
        )

    def _chunk(self, context: int) -> int:
        """Tokens of a prompt that are read at a time."""
        cost = self._chunk_cost(context)
        if not cost:
            return _MOST_CHUNK
        tokens = (self.correction.read * _CHUNK_SECONDS - cost.chunk) / cost.token
        return max(_LEAST_CHUNK, min(_MOST_CHUNK, int(tokens) // 8 * 8))

    def _verdict(self, context: int, memory: Memory, speed: float) -> tuple[Fit, Reason]:
        machine = self.machine
        values = {
            "needed": memory_text(memory.model),
            "memory": memory_text(machine.memory_bytes),
            "rest": memory_text(memory.rest),
            "n": speed_text(speed),
        }
        if machine.kv_limit_bytes and memory.kv > machine.kv_limit_bytes:
            template = mark(
                "what it has read of {context} tokens takes {kv}, and Hearth gives {limit} to that"
            )
            limits = {
                "context": context,
                "kv": memory_text(memory.kv),
                "limit": memory_text(machine.kv_limit_bytes),
            }
            return Fit.NOT, Reason(template, limits)
        if memory.total > machine.memory_bytes:
            template = mark("it needs {needed} beside {rest} for the system, and this machine has {memory}")
            return Fit.NOT, Reason(template, values)
        if speed and speed < READING_SPEED:
            template = mark("it writes about {n} tokens a second, slower than most people read")
            return Fit.SLOWLY, Reason(template, values)
        if memory.total > _COMFORTABLE_SHARE * machine.memory_bytes:
            template = mark("it needs {needed} of {memory}, which leaves other programs little")
            return Fit.SLOWLY, Reason(template, values)
        if not speed:
            return Fit.WELL, Reason(mark("it needs {needed} of {memory}"), values)
        template = mark("it needs {needed} of {memory}, and writes about {n} tokens a second")
        return Fit.WELL, Reason(template, values)


def advise(choices: Mapping[str, ModelFit], recipe: str, context: int) -> Advice | None:
    """The recipe and context nearest to what is wanted that fit better; None where that fits well or nothing is better.

    Args:
        choices: the same model by recipe, those to be preferred first.
        recipe: the wanted one.
    """
    wanted = choices[recipe].at(context)
    best: Advice | None = None
    rank = _RANKS.index(wanted.fit)
    for shorter in (context, *(known for known in sorted(CONTEXTS, reverse=True) if known < wanted.context)):
        for name, fit in choices.items():
            estimate = fit.at(shorter)
            if _RANKS.index(estimate.fit) < rank:
                best, rank = Advice(name, estimate.context, estimate), _RANKS.index(estimate.fit)
    return best


def memory_text(size: float) -> str:
    """A number of bytes of memory, by 1024 as memory is sold."""
    for power, unit in ((30, "GB"), (20, "MB")):
        if size >= 0.95 * (1 << power):
            return f"{size / (1 << power):.1f}".removesuffix(".0") + f" {unit}"
    return f"{size / 1024:.0f} kB"


def speed_text(speed: float) -> str:
    """Tokens a second, no more exact than an estimate is."""
    return f"{speed:.0f}" if speed >= 10 else f"{speed:.1f}"


def contexts_up_to(most: int, wanted: Sequence[int] = CONTEXTS) -> list[int]:
    """These contexts, or the most that a model holds in the place of longer ones; each once."""
    return sorted({min(context, most) for context in wanted})
