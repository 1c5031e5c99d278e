"""OLMo 2 (arXiv:2501.00656): Llama with its norms after each part, and one norm over all queries, one over all keys."""

from __future__ import annotations

from hearth.quantize.architectures.llama import attention, decoder, layer_count, mlp, norm
from hearth.quantize.architectures.qwen3 import query_key_norms
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder, Layer

_DEFAULTS = {"rms_norm_eps": 1e-5}


def olmo2(checkpoint: Checkpoint) -> Decoder:
    """The decoder of an OLMo 2 checkpoint."""
    checkpoint = checkpoint.with_defaults(_DEFAULTS)
    layers = [_layer(checkpoint, number) for number in range(layer_count(checkpoint))]
    return decoder(checkpoint, "olmo", layers)


def _layer(checkpoint: Checkpoint, number: int) -> Layer:
    prefix = f"model.layers.{number}."
    norms = query_key_norms(checkpoint, number)
    return Layer(
        attention=attention(checkpoint, prefix, norm_is_whole=True, **norms),
        mlp=mlp(checkpoint, prefix),
        post_attention_norm=norm(checkpoint, f"{prefix}post_attention_layernorm"),
        post_mlp_norm=norm(checkpoint, f"{prefix}post_feedforward_layernorm"),
    )
