"""The messages between Hearth and an engine host, version 1.

A frame is a 4-byte little-endian length and that many bytes of MessagePack: one message, a map with its `type`. An
unknown field is ignored and an unknown type is answered with `Refused`, so that the two ends may be of different
versions; a change that an old end would misread raises VERSION.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hearth.engine.outputs import ErrorInfo, RequestOutput
from hearth.engine.providers.choices import DeviceOptions
from hearth.engine.sampling_params import SamplingParams
from hearth.model_folder.manifest import GENAI, RemoteModel

VERSION = 1
MAX_FRAME_BYTES = 256 << 20


class ChatMessage(msgspec.Struct, frozen=True):
    """One message of a prompt, as a chat template wants it."""

    role: str
    content: str


class EngineOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a host shall run its model.

    Attributes:
        threads: intra-op threads of the model.
        max_slots: sequences that run at once.
        kv_cache_bytes: most memory for keys and values.
        max_context: shortens the model's context; 0 keeps it.
        step_milliseconds: aim for one step while others stream: decode and prompts together.
        drafts: guess at tokens that follow, where the model can check them; never changes an answer.
        draft_model: the name of the model that guesses, beside what is looked up; empty takes none.
        kv_store_folder, kv_store_bytes: where keys and values of ended answers are kept, and at most how much; 0 keeps
            none.
        devices: how device and threads are chosen, `threads` being the most of them; None takes the CPU with `threads`.
        kv_cache_type: "float" as in the model's file, or "int8" where the model can.
        kv_scales_folder: where the scales of int8 keys and values are kept.
        packed_folder, packed_bytes: where weights are kept packed, and at most how much; 0 keeps and uses none.
        packs_all: also weights that are small beside the memory.
        machine: the processor that weights are packed for.
        memory_bytes: of the machine, as far as this app may use it; 0 where that is not known.
    """

    threads: int
    kv_cache_bytes: int
    max_slots: int = 8
    max_context: int = 0
    step_milliseconds: int = 200
    drafts: bool = True
    draft_model: str = ""
    kv_store_folder: str = ""
    kv_store_bytes: int = 0
    devices: DeviceOptions | None = None
    kv_cache_type: str = "float"
    kv_scales_folder: str = ""
    packed_folder: str = ""
    packed_bytes: int = 0
    packs_all: bool = False
    machine: str = ""
    memory_bytes: int = 0


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a loaded model is and how it runs here.

    Attributes:
        context_length: tokens that prompt and answer may have together, here.
        threads: intra-op threads in use.
        kv_bytes_per_token: memory of one token's keys and values.
        provider: the name that ONNX Runtime has for what runs the model.
        notices: sentences to be told once: which devices were refused for this model, and why.
        kv_cache_type: what they are, such as "float32" or "int8".
        kv_cache_noise: relative RMS error of the logits that int8 ones bring; None where it was not measured.
        is_packed: its weights are mapped from their packed form.
    """

    architecture: str
    context_length: int
    vocab_size: int
    has_chat_template: bool
    load_seconds: float
    threads: int
    max_slots: int
    kv_bytes_per_token: int
    kv_cache_bytes: int
    provider: str
    notices: tuple[str, ...] = ()
    kv_cache_type: str = "float32"
    kv_cache_noise: float | None = None
    is_packed: bool = False


# Requests


class Import(msgspec.Struct, tag="import"):
    """A message that may come before the first one: import what models need, and say `Imported`."""


class Load(msgspec.Struct, tag="load", kw_only=True):
    """The first message: load this model.

    Attributes:
        folder: where it lies; its file, for a format of files.
        format: of the model's manifest.
        architecture: for a format whose files do not say it.
        remote, secret: where a remote model runs, and the key for it.
        draft_folder, draft_roots: where the model lies that guesses; an empty folder takes none.
        language: what errors give as their reasons is in this one.
    """

    version: int
    name: str
    folder: str
    roots: list[str]
    options: EngineOptions
    draft_folder: str = ""
    draft_roots: list[str] = []
    language: str = "en"
    format: str = GENAI
    architecture: str = ""
    remote: RemoteModel | None = None
    secret: str = ""


class Submit(msgspec.Struct, tag="submit", kw_only=True):
    """Answer this prompt; exactly one of messages, text and token_ids is set.

    Attributes:
        priority: higher is admitted first; equal ones in order of arrival.
        client: whom the request is for; waiting clients take turns.
    """

    request_id: str
    params: SamplingParams
    messages: list[ChatMessage] | None = None
    text: str | None = None
    token_ids: list[int] | None = None
    priority: int = 0
    client: str = ""


class Abort(msgspec.Struct, tag="abort"):
    request_id: str


class Count(msgspec.Struct, tag="count", kw_only=True):
    """How many tokens does this prompt make? Messages are rendered as for an answer; text is a raw prompt."""

    call_id: int
    messages: list[ChatMessage] | None = None
    text: str | None = None


class Stats(msgspec.Struct, tag="stats"):
    call_id: int


class Ping(msgspec.Struct, tag="ping"):
    pass


class Shutdown(msgspec.Struct, tag="shutdown"):
    pass


# Replies


class Ready(msgspec.Struct, tag="ready"):
    version: int
    info: ModelInfo


class Imported(msgspec.Struct, tag="imported"):
    pass


class Preparing(msgspec.Struct, tag="preparing"):
    """Before it is loaded, the model is made ready for this machine, which is done once; how far that is, 0 to 1."""

    progress: float


class LoadFailed(msgspec.Struct, tag="load_failed"):
    error: ErrorInfo


class Outputs(msgspec.Struct, tag="outputs"):
    """Everything that one step gave, for all requests."""

    items: list[RequestOutput]


class Reply(msgspec.Struct, tag="reply"):
    """The answer to a call with this id: a value, or an error."""

    call_id: int
    value: Any = None
    error: ErrorInfo | None = None


class Refused(msgspec.Struct, tag="refused"):
    """A message that this host does not understand; request_id names the request that it would have been."""

    reason: str
    request_id: str | None = None


class Pong(msgspec.Struct, tag="pong"):
    """The host lives; how long its present step has lasted (0 when idle)."""

    seconds_in_step: float


HostRequest = Import | Load | Submit | Abort | Count | Stats | Ping | Shutdown
HostReply = Imported | Ready | Preparing | LoadFailed | Outputs | Reply | Refused | Pong
