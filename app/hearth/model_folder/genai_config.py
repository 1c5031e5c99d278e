"""`genai_config.json` of onnxruntime-genai, as far as a decoder-only text model needs it.

Unknown fields are ignored; session options and providers that the file asks for are not obeyed (they can name
libraries to load). The format: onnxruntime-genai's src/config.h.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from hearth.errors import ModelFileInvalid, ModelUnsupported
from hearth.i18n import tr
from hearth.model_folder.json_file import decode_json, read_capped

FILE_NAME = "genai_config.json"
MAX_BYTES = 4 << 20


class SlidingWindow(msgspec.Struct, frozen=True):
    """Attention that sees only the last `window_size` tokens in some layers."""

    window_size: int = 0
    slide_key_value_cache: bool = True
    slide_inputs: bool = True


class DecoderInputs(msgspec.Struct, frozen=True):
    """Names of the graph's inputs; `%d` in a name stands for the layer.

    A name that is set need not be in the graph: onnxruntime-genai fills in these defaults itself.
    """

    input_ids: str = "input_ids"
    attention_mask: str = "attention_mask"
    position_ids: str = "position_ids"
    past_key_names: str = "past_key_values.%d.key"
    past_value_names: str = "past_key_values.%d.value"


class DecoderOutputs(msgspec.Struct, frozen=True):
    """Names of the graph's outputs; `%d` in a name stands for the layer."""

    logits: str = "logits"
    present_key_names: str = "present.%d.key"
    present_value_names: str = "present.%d.value"


class Decoder(msgspec.Struct, frozen=True):
    """The shape of the decoder and the file that holds it."""

    head_size: int
    num_hidden_layers: int
    num_key_value_heads: int = 0
    num_attention_heads: int = 0
    hidden_size: int = 0
    filename: str = "model.onnx"
    inputs: DecoderInputs = DecoderInputs()
    outputs: DecoderOutputs = DecoderOutputs()
    sliding_window: SlidingWindow | None = None

    def __post_init__(self) -> None:
        if (
            not self.num_key_value_heads
        ):  # the file may leave it out where there are as many as attention heads
            msgspec.structs.force_setattr(self, "num_key_value_heads", self.num_attention_heads)


class Model(msgspec.Struct, frozen=True):
    """The model: its kind, special tokens and sizes."""

    type: str
    context_length: int
    vocab_size: int
    decoder: Decoder
    bos: int | None = msgspec.field(name="bos_token_id", default=None)
    eos: int | list[int] | None = msgspec.field(name="eos_token_id", default=None)

    @property
    def bos_token_id(self) -> int | None:
        return _token(self.bos)

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        ids = self.eos if isinstance(self.eos, list) else [self.eos]
        return tuple(dict.fromkeys(token for token in map(_token, ids) if token is not None))


class GenaiConfig(msgspec.Struct, frozen=True):
    """The whole file."""

    model: Model


def read_genai_config(path: Path) -> GenaiConfig:
    """Read the file and refuse what Hearth cannot run.

    Raises:
        ModelFileInvalid: it is not such a file, or its numbers make no sense.
        ModelUnsupported: it describes another kind of model than decoder-only text.
    """
    return check_genai_config(path, read_capped(path, MAX_BYTES))


def check_genai_config(path: Path, data: bytes) -> GenaiConfig:
    """What the file `path` holds, or is made of; raises as `read_genai_config`."""
    # What kind of model it is comes first: other kinds have no decoder of the shape below.
    reason = decode_json(path, data, _Kind).model.why_unsupported()
    if reason:
        raise ModelUnsupported(name=path.parent.name, reason=reason)
    config = decode_json(path, data, GenaiConfig)
    _check_numbers(path, config)
    _check_names(path, config)
    return config


class _KindOfModel(msgspec.Struct):
    """The sections that only other kinds of model have."""

    type: str
    decoder: dict[str, Any] = {}
    encoder: dict[str, Any] | None = None
    vision: dict[str, Any] | None = None
    speech: dict[str, Any] | None = None
    embedding: dict[str, Any] | None = None

    def why_unsupported(self) -> str:
        inputs = self.decoder.get("inputs") or {}
        window = self.decoder.get("sliding_window") or {}
        if not isinstance(inputs, dict) or not isinstance(window, dict):
            return ""  # the reading that follows says what is wrong
        if self.vision or self.speech:
            return tr("it reads pictures or sound")
        if self.encoder:
            return tr("it has an encoder")
        if self.embedding:
            return tr("its embedding is a graph of its own")
        if self.decoder.get("pipeline"):
            return tr("it is a pipeline of several graphs")
        if inputs.get("past_names") or "rnn_prev_states" in inputs:
            return tr("it keeps its memory in another form than keys and values per layer")
        if window and (window.get("slide_key_value_cache", True) or window.get("slide_inputs", True)):
            return tr("it needs a sliding key-value cache")
        return ""


class _Kind(msgspec.Struct):
    model: _KindOfModel


def _check_numbers(path: Path, config: GenaiConfig) -> None:
    model, decoder = config.model, config.model.decoder
    for name, value, low, high in (
        ("context_length", model.context_length, 1, 1 << 27),
        ("vocab_size", model.vocab_size, 1, 1 << 24),
        ("head_size", decoder.head_size, 1, 1 << 14),
        ("num_hidden_layers", decoder.num_hidden_layers, 1, 4096),
        ("num_key_value_heads", decoder.num_key_value_heads, 1, 1 << 14),
    ):
        if not low <= value <= high:
            raise ModelFileInvalid(
                file=str(path),
                reason=tr(
                    "{name} is {value}, and must be {low} to {high}",
                    name=name,
                    value=value,
                    low=low,
                    high=high,
                ),
            )
    if (model.bos_token_id or 0) >= model.vocab_size:
        raise ModelFileInvalid(
            file=str(path), reason=tr("bos_token_id {token} is not in the vocabulary", token=model.bos)
        )


def _check_names(path: Path, config: GenaiConfig) -> None:
    decoder = config.model.decoder
    for name in (
        decoder.inputs.past_key_names,
        decoder.inputs.past_value_names,
        decoder.outputs.present_key_names,
        decoder.outputs.present_value_names,
    ):
        if name.count("%") != 1 or "%d" not in name:
            raise ModelFileInvalid(
                file=str(path), reason=tr("“{name}” does not name a layer with %d", name=name[:100])
            )


def _token(value: int | None) -> int | None:
    return None if value is None or value < 0 else value
