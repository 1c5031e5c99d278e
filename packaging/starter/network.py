"""The starter's network in torch: Llama (Touvron et al., 2023) with grouped-query attention and tied embeddings.

Names of parameters are those of `LlamaForCausalLM`, so its checkpoint is one that every tool reads.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """What the network is made of. Widths are multiples of 256 and the head size of 16, as quantizers want them."""

    vocab_size: int
    hidden_size: int = 256
    intermediate_size: int = 768
    num_hidden_layers: int = 4
    num_attention_heads: int = 8
    num_key_value_heads: int = 8
    head_dim: int = 32
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-5
    max_position_embeddings: int = 2048

    def config(self, end_token_id: int) -> dict[str, object]:
        """`config.json` of a Hugging Face checkpoint."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            **asdict(self),
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": end_token_id,
            "pad_token_id": 0,
            "torch_dtype": "float16",
        }


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        wide = shape.num_attention_heads * shape.head_dim
        narrow = shape.num_key_value_heads * shape.head_dim
        self.q_proj = nn.Linear(shape.hidden_size, wide, bias=False)
        self.k_proj = nn.Linear(shape.hidden_size, narrow, bias=False)
        self.v_proj = nn.Linear(shape.hidden_size, narrow, bias=False)
        self.o_proj = nn.Linear(wide, shape.hidden_size, bias=False)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        rows, length, _ = x.shape

        def heads(y: Tensor) -> Tensor:
            return y.view(rows, length, -1, self.shape.head_dim).transpose(1, 2)

        queries = _rotate(heads(self.q_proj(x)), rotation)
        keys = _rotate(heads(self.k_proj(x)), rotation)
        values = heads(self.v_proj(x))
        group = self.shape.num_attention_heads // self.shape.num_key_value_heads
        out = functional.scaled_dot_product_attention(
            queries,
            keys.repeat_interleave(group, 1),
            values.repeat_interleave(group, 1),
            attn_mask=mask,
        )
        return self.o_proj(out.transpose(1, 2).reshape(rows, length, -1))


class FeedForward(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.up_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.down_proj = nn.Linear(shape.intermediate_size, shape.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn = Attention(shape)
        self.mlp = FeedForward(shape)
        self.input_layernorm = nn.RMSNorm(shape.hidden_size, eps=shape.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(shape.hidden_size, eps=shape.rms_norm_eps)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], mask: Tensor, dropout: float) -> Tensor:
        attended = self.self_attn(self.input_layernorm(x), rotation, mask)
        x = x + functional.dropout(attended, dropout, self.training)
        return x + functional.dropout(self.mlp(self.post_attention_layernorm(x)), dropout, self.training)


class Network(nn.Module):
    """Token ids in, hidden states out; the head is the transposed embedding."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.num_hidden_layers))
        self.norm = nn.RMSNorm(shape.hidden_size, eps=shape.rms_norm_eps)
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)
        for layer in self.layers:
            for output in (layer.self_attn.o_proj, layer.mlp.down_proj):
                nn.init.normal_(output.weight, std=0.02 / (2 * shape.num_hidden_layers) ** 0.5)

    def forward(self, ids: Tensor, mask: Tensor, dropout: float = 0.0) -> Tensor:
        """Hidden states [rows, length, hidden]; `mask` is True where a token may look, [rows, 1, length, length]."""
        x = functional.dropout(self.embed_tokens(ids), dropout, self.training)
        rotation = _rotation(ids.shape[1], self.shape, x.dtype)
        for layer in self.layers:
            x = layer(x, rotation, mask, dropout)
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of each token of the vocabulary in float32, for hidden states [any, hidden]."""
        return functional.linear(hidden, self.embed_tokens.weight).float()

    def checkpoint(self) -> dict[str, Tensor]:
        """The weights in float16, under the names of `LlamaForCausalLM`."""
        return {f"model.{name}": value.half().contiguous() for name, value in self.state_dict().items()}

    def read_checkpoint(self, tensors: dict[str, Tensor]) -> None:
        """The other way round."""
        self.load_state_dict({name.removeprefix("model."): value.float() for name, value in tensors.items()})


def _rotation(length: int, shape: Shape, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary embeddings (Su et al., 2021), [length, head_dim] each."""
    steps = torch.arange(0, shape.head_dim, 2) / shape.head_dim
    angles = torch.arange(length)[:, None] * shape.rope_theta**-steps
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def _rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    cosine, sine = rotation
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-second, first), dim=-1) * sine
