"""What a decoder-only text model is made of: the description that each architecture gives of a checkpoint.

Nothing in here knows ONNX or a file; names of tensors are those of the checkpoint. What an architecture does not have
is None or its neutral value, so that one graph writer serves all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a matrix of the checkpoint, [out, in]; all of them by default.

    Attributes:
        bias: its tensor, one number a row; None where there is none.
        times: a factor on weights and bias.
    """

    tensor: str
    start: int = 0
    stop: int | None = None
    bias: str | None = None
    times: float = 1.0


@dataclass(frozen=True, slots=True)
class Vector:
    """One number for each channel.

    Attributes:
        plus: added to each (Gemma stores a norm's weight as its distance from one).
        times: a factor, after that.
    """

    tensor: str
    plus: float = 0.0
    times: float = 1.0


@dataclass(frozen=True, slots=True)
class Norm:
    """RMSNorm (arXiv:1910.07467) over the last dimension."""

    weight: Vector
    epsilon: float


@dataclass(frozen=True, slots=True)
class Rope:
    """Rotary positions (arXiv:2104.09864) on the first `2 * len(inverse_frequencies)` channels of each head.

    Attributes:
        inverse_frequencies: radians per position, one for each pair of channels.
        attention_factor: on cosine and sine (YaRN, LongRoPE).
        long: what is right for texts of more than `original_length` tokens, where a checkpoint has both (LongRoPE,
            arXiv:2402.13753); `choose_rope` leaves one of them.
        interleaved: pairs are neighbours (0, 1), not halves (0, n/2).
    """

    inverse_frequencies: tuple[float, ...]
    attention_factor: float = 1.0
    long: Rope | None = None
    original_length: int = 0
    interleaved: bool = False


@dataclass(frozen=True, slots=True)
class Attention:
    """Grouped-query attention (arXiv:2305.13245).

    Attributes:
        query, key, value, output: the projections; several `Rows` lie one below the other.
        query_norm, key_norm: before the rotation; over each head, or over all of them where `norm_is_whole`.
        rope: None for a layer without positions (NoPE).
        window: how many of the latest tokens are seen; 0 is all.
        softcap: logits become softcap * tanh(logits / softcap); 0 leaves them.
    """

    query: tuple[Rows, ...]
    key: tuple[Rows, ...]
    value: tuple[Rows, ...]
    output: tuple[Rows, ...]
    heads: int
    kv_heads: int
    head_dim: int
    scale: float
    rope: Rope | None
    query_norm: Norm | None = None
    key_norm: Norm | None = None
    norm_is_whole: bool = False
    window: int = 0
    softcap: float = 0.0


class Activation(StrEnum):
    """The function between the matrices of a feed-forward network."""

    SILU = "silu"
    GELU_TANH = "gelu_tanh"


@dataclass(frozen=True, slots=True)
class Mlp:
    """down(activation(gate(x)) * up(x)) (arXiv:2002.05202)."""

    gate: tuple[Rows, ...]
    up: tuple[Rows, ...]
    down: tuple[Rows, ...]
    activation: Activation = Activation.SILU


@dataclass(frozen=True, slots=True)
class Experts:
    """Many small feed-forward networks, of which each token uses the few that a router chooses (arXiv:2101.03961).

    Attributes:
        router: a row for each expert; its softmax says which are used, and how much each counts.
        gate, up, down: of all experts, one below the other.
        used: how many of them a token uses.
        is_normalized: whether what the used ones count is made to add up to one.
    """

    router: tuple[Rows, ...]
    gate: tuple[Rows, ...]
    up: tuple[Rows, ...]
    down: tuple[Rows, ...]
    count: int
    used: int
    is_normalized: bool
    activation: Activation = Activation.SILU


@dataclass(frozen=True, slots=True)
class Layer:
    """x + post(attention(norm(x))), then the same with the feed-forward network."""

    attention: Attention
    mlp: Mlp | Experts
    attention_norm: Norm | None = None
    post_attention_norm: Norm | None = None
    mlp_norm: Norm | None = None
    post_mlp_norm: Norm | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """From the last hidden state to logits.

    Attributes:
        weight: None where it is the embedding.
        softcap: as in `Attention`.
    """

    weight: tuple[Rows, ...] | None = None
    softcap: float = 0.0


@dataclass(frozen=True, slots=True)
class Decoder:
    """The whole model.

    Attributes:
        kind: its name in `genai_config.json`.
        embedding: the tensor [vocab_size, hidden_size].
        embedding_times: a factor on what is looked up.
        context_length: positions that it was made for.
    """

    kind: str
    vocab_size: int
    hidden_size: int
    context_length: int
    embedding: str
    final_norm: Norm
    layers: tuple[Layer, ...]
    embedding_times: float = 1.0
    head: Head = field(default_factory=Head)
