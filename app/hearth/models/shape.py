"""The shape of a decoder-only text model: the numbers that decide what it takes and how fast it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta

from hearth.errors import ModelFileInvalid, ModelUnsupported
from hearth.i18n import tr
from hearth.model_folder.genai_config import GenaiConfig
from hearth.model_folder.gguf_file import GgufFile
from hearth.model_folder.graph_summary import ExternalTensor, GraphSummary

_MOST = 1 << 27
_Count = Annotated[int, Meta(ge=1, le=_MOST)]
_Optional = Annotated[int, Meta(ge=0, le=_MOST)]
_NEEDED = ("context", "layers", "hidden_size", "heads", "kv_heads", "head_size", "vocab_size")
# Some architectures have smaller matrices in some layers than their numbers say; none has so much smaller ones.
_MORE_THAN_ALL = 2

# What checkpoints of these kinds may leave out of their `config.json`, as in transformers' classes.
_GEMMA = {"tie_word_embeddings": True, "head_dim": 256}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "gemma2": _GEMMA,
    "gemma3_text": _GEMMA,
    "gemma3": {
        **_GEMMA,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "vocab_size": 262208,
        "max_position_embeddings": 131072,
    },
    "smollm3": {"tie_word_embeddings": True, "num_key_value_heads": 4},
}
# A tokenizer.json has about so many bytes for each token (Qwen, Llama 3 and Phi-3: 57 to 75, with merges).
_TOKENIZER_BYTES = 75


class ModelShape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model is made of.

    Attributes:
        architecture: the `model_type` of its checkpoint, or what another format calls it.
        context: most tokens that it can hold.
        intermediate_size: width of the feed-forward network; 0 where that is not known.
        tied: the head is the embedding's matrix.
        experts, experts_used, expert_size: feed-forward networks in a layer, how many of them a token uses, and the
            width of each; 0 in a model without.
        tokenizer_bytes: size of `tokenizer.json`; 0 where that is not known.
    """

    architecture: str
    context: _Count
    layers: _Count
    hidden_size: _Count
    intermediate_size: _Optional
    heads: _Count
    kv_heads: _Count
    head_size: _Count
    vocab_size: _Count
    tied: bool = False
    experts: _Optional = 0
    experts_used: _Optional = 0
    expert_size: _Optional = 0
    tokenizer_bytes: _Optional = 0

    @classmethod
    def of_config(cls, config: Mapping[str, Any], file: str = "config.json") -> Self:
        """The shape in a checkpoint's `config.json`; that of the text part where it describes more.

        Args:
            file: its name, for errors.

        Raises:
            ModelFileInvalid: a number is missing, or is none.
        """
        text = config.get("text_config")
        values = {**config, **text} if isinstance(text, dict) else dict(config)
        kind = str(config.get("model_type", ""))
        values = {
            **_DEFAULTS.get(kind, {}),
            **{key: value for key, value in values.items() if value is not None},
        }

        def number(*names: str, default: int | None = None) -> int:
            value = next((values[name] for name in names if name in values), default)
            if value is None:
                raise ModelFileInvalid(file=file, reason=tr("it has no {name}", name=names[0]))
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1 << 27:
                reason = tr("{name} is {value}, which makes no sense", name=names[0], value=str(value)[:40])
                raise ModelFileInvalid(file=file, reason=reason)
            return value

        heads, hidden = number("num_attention_heads"), number("hidden_size")
        experts = number("num_experts", "num_local_experts", default=0)
        shape = cls(
            architecture=kind,
            context=number("max_position_embeddings"),
            layers=number("num_hidden_layers"),
            hidden_size=hidden,
            intermediate_size=number("intermediate_size", default=0),
            heads=heads,
            kv_heads=number("num_key_value_heads", default=heads),
            head_size=number("head_dim", default=hidden // max(heads, 1)),
            vocab_size=number("vocab_size"),
            tied=bool(values.get("tie_word_embeddings", False)),
            experts=experts,
            experts_used=number("num_experts_per_tok", default=0) if experts else 0,
            expert_size=number("moe_intermediate_size", "intermediate_size") if experts else 0,
        )
        for name in _NEEDED:
            if not getattr(shape, name):
                raise ModelFileInvalid(
                    file=file, reason=tr("{name} is {value}, which makes no sense", name=name, value=0)
                )
        return shape

    @classmethod
    def of_folder(cls, config: GenaiConfig, graph: GraphSummary, tokenizer_bytes: int = 0) -> Self:
        """The shape of a model folder in onnxruntime-genai's format, which passed its checks."""
        model, decoder = config.model, config.model.decoder
        down = [_columns(tensor) for tensor in graph.external if _is_matrix(tensor, "down_proj")]
        experts = [
            tensor.dims[0]
            for tensor in graph.external
            if ".experts." in tensor.name and len(tensor.dims) == 3
        ]
        names = [tensor.name for tensor in graph.external]
        return cls(
            architecture=model.type,
            context=model.context_length,
            layers=decoder.num_hidden_layers,
            hidden_size=decoder.hidden_size or decoder.num_attention_heads * decoder.head_size,
            intermediate_size=0 if experts else max(down, default=0),
            heads=decoder.num_attention_heads or decoder.num_key_value_heads,
            kv_heads=decoder.num_key_value_heads,
            head_size=decoder.head_size,
            vocab_size=model.vocab_size,
            tied=not any("embed_tokens" in name for name in names),
            experts=max(experts, default=0),
            experts_used=min(_EXPERTS_USED, max(experts, default=0)),
            expert_size=max(down, default=0) if experts else 0,
            tokenizer_bytes=tokenizer_bytes,
        )

    @classmethod
    def of_gguf(cls, file: GgufFile) -> Self:
        """The shape in the header of a GGUF file.

        Raises:
            ModelUnsupported: the header leaves a number out, as those of models without attention do.
            ModelFileInvalid: a number makes no sense, or means more weights than the file has.
        """
        experts = file.experts
        numbers = {
            "context": file.context_length,
            "layers": file.layers,
            "hidden_size": file.hidden_size,
            "intermediate_size": 0 if experts else file.feed_forward_size,
            "heads": file.heads,
            "kv_heads": file.kv_heads,
            "head_size": file.head_size,
            "vocab_size": file.vocab_size,
            "experts": experts,
            "experts_used": min(file.experts_used, experts),
            "expert_size": file.expert_size or file.feed_forward_size if experts else 0,
        }
        for name, number in numbers.items():
            if number > _MOST:
                reason = tr("{name} is {value}, which makes no sense", name=name, value=number)
                raise ModelFileInvalid(file=str(file.path), reason=reason)
            if not number and name in _NEEDED:
                reason = tr("its header does not say {name}, which an estimate needs", name=name)
                raise ModelUnsupported(name=file.path.name, reason=reason)
        shape = cls(architecture=file.architecture, tied=file.is_tied, **numbers)
        if shape.parameters > _MORE_THAN_ALL * file.parameters:
            detail = tr("{n} weights by its sizes, and {m} in it", n=shape.parameters, m=file.parameters)
            reason = tr("its header says what cannot be ({detail})", detail=detail)
            raise ModelFileInvalid(file=str(file.path), reason=reason)
        return shape

    @property
    def parameters(self) -> int:
        """Weights of all matrices; norms and biases, some hundredths of a percent, are left out."""
        tables = self.vocab_size * self.hidden_size * (1 if self.tied else 2)
        return self.layers * sum(rows * columns for rows, columns, _ in self.matrices()) + tables

    @property
    def kv_numbers(self) -> int:
        """Numbers that are kept of each token."""
        return 2 * self.layers * self.kv_heads * self.head_size

    @property
    def tokenizer_size(self) -> int:
        """Bytes of `tokenizer.json`, estimated where they are not known."""
        return self.tokenizer_bytes or self.vocab_size * _TOKENIZER_BYTES

    def matrices(self) -> Iterator[tuple[int, int, float]]:
        """The matrices of one layer: rows, columns, and which part of them a token needs."""
        wide, narrow, hidden = self.heads * self.head_size, self.kv_heads * self.head_size, self.hidden_size
        yield from ((wide, hidden, 1.0), (narrow, hidden, 1.0), (narrow, hidden, 1.0), (hidden, wide, 1.0))
        if self.experts:
            used, all_of = self.experts_used / self.experts, self.experts * self.expert_size
            yield from (
                (self.experts, hidden, 1.0),
                (2 * all_of, hidden, used),
                (hidden * self.experts, self.expert_size, used),
            )
        else:
            size = self.intermediate_size
            yield from ((size, hidden, 1.0), (size, hidden, 1.0), (hidden, size, 1.0))


# Of the experts in a layer, where a graph does not say it in a tensor: the published ones of Qwen3-MoE.
_EXPERTS_USED = 8


def _is_matrix(tensor: ExternalTensor, module: str) -> bool:
    return module in tensor.name and len(tensor.dims) >= 2 and not tensor.name.endswith(("scales", "zp"))


def _columns(tensor: ExternalTensor) -> int:
    """Columns of a matrix: of packed integers [rows, blocks, bytes of a block], else of floats [out, in] or [in, out]."""
    return (
        tensor.dims[1] * tensor.dims[2] * 8 // bits_of(tensor) if len(tensor.dims) == 3 else max(tensor.dims)
    )


def bits_of(tensor: ExternalTensor) -> int:
    """Bits of each integer in a packed matrix, which its name ends with: `..._Q4`."""
    _, mark, bits = tensor.name.rpartition("_Q")
    return int(bits) if mark and bits in ("2", "4", "8") else 4
