"""Gemma 2 (arXiv:2408.00118): norms before and after each part, every other layer with a window, soft caps."""

from __future__ import annotations

from typing import Any

from hearth.quantize.architectures.llama import attention, decoder, head, layer_count, mlp, norm
from hearth.quantize.architectures.windows import window
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder, Layer

_DEFAULTS = {
    "tie_word_embeddings": True,
    "hidden_activation": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": 256,
    "head_dim": 256,
    "sliding_window": 4096,
    "attn_logit_softcapping": 50.0,
    "final_logit_softcapping": 30.0,
}
# A norm's weight is stored as its distance from one.
PLUS = 1.0


def gemma2(checkpoint: Checkpoint) -> Decoder:
    """The decoder of a Gemma 2 checkpoint."""
    checkpoint = checkpoint.with_defaults(_DEFAULTS)
    layers = [
        gemma_layer(
            checkpoint,
            number,
            window=window(checkpoint, number, number % 2 == 0),
            softcap=_softcap(checkpoint, "attn_logit_softcapping"),
        )
        for number in range(layer_count(checkpoint))
    ]
    return gemma_decoder(checkpoint, "gemma2", layers)


def gemma_decoder(checkpoint: Checkpoint, kind: str, layers: list[Layer]) -> Decoder:
    """A decoder around these layers, as all Gemmas have it."""
    return decoder(
        checkpoint,
        kind,
        layers,
        final_norm=norm(checkpoint, "model.norm", PLUS),
        head=head(checkpoint, _softcap(checkpoint, "final_logit_softcapping")),
        embedding_times=float(checkpoint.number("hidden_size")) ** 0.5,
    )


def _softcap(checkpoint: Checkpoint, name: str) -> float:
    """0 where there is none."""
    return checkpoint.factor(name) if checkpoint.number(name, 0) else 0.0


def gemma_layer(checkpoint: Checkpoint, number: int, **parts: Any) -> Layer:
    """A layer with its four norms; `parts` of its attention."""
    prefix = f"model.layers.{number}."
    scale = checkpoint.factor("query_pre_attn_scalar") ** -0.5
    return Layer(
        attention=attention(checkpoint, prefix, scale=scale, **parts),
        mlp=mlp(checkpoint, prefix),
        attention_norm=norm(checkpoint, f"{prefix}input_layernorm", PLUS),
        post_attention_norm=norm(checkpoint, f"{prefix}post_attention_layernorm", PLUS),
        mlp_norm=norm(checkpoint, f"{prefix}pre_feedforward_layernorm", PLUS),
        post_mlp_norm=norm(checkpoint, f"{prefix}post_feedforward_layernorm", PLUS),
    )
