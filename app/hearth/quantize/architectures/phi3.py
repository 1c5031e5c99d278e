"""Phi-3, Phi-3.5 and Phi-4-mini (arXiv:2404.14219, arXiv:2503.01743): Llama with its matrices in fewer tensors."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hearth.quantize.architectures.llama import (
    activation,
    attention,
    decoder,
    head_count,
    head_dim,
    kv_head_count,
    layer_count,
    norm,
    rotary,
    rows,
)
from hearth.quantize.architectures.windows import window
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder, Layer, Mlp, Rope, Rows

_DEFAULTS = {"original_max_position_embeddings": 4096, "rms_norm_eps": 1e-5}


def phi3(checkpoint: Checkpoint) -> Decoder:
    """The decoder of a Phi-3 checkpoint."""
    checkpoint = checkpoint.with_defaults(_DEFAULTS)
    rope = _rotary(checkpoint)
    layers = [_layer(checkpoint, number, rope) for number in range(layer_count(checkpoint))]
    return decoder(checkpoint, "phi3", layers)


def _rotary(checkpoint: Checkpoint) -> Rope:
    scaling = checkpoint.mapping("rope_scaling")
    if "yarn" in (scaling.get("type"), scaling.get("rope_type")):  # what the first ones called it
        scaling = {**scaling, "rope_type": "longrope"}
    return rotary(replace(checkpoint, config={**checkpoint.config, "rope_scaling": scaling}))


def _layer(checkpoint: Checkpoint, number: int, rope: Rope) -> Layer:
    prefix = f"model.layers.{number}."
    heads, kv_heads, dim = head_count(checkpoint), kv_head_count(checkpoint), head_dim(checkpoint)
    query, key, value = _parts(
        checkpoint, f"{prefix}self_attn.qkv_proj", heads * dim, kv_heads * dim, kv_heads * dim
    )
    size = int(checkpoint.number("intermediate_size"))
    gate, up = _parts(checkpoint, f"{prefix}mlp.gate_up_proj", size, size)
    return Layer(
        attention=attention(
            checkpoint,
            prefix,
            query=(query,),
            key=(key,),
            value=(value,),
            rope=rope,
            window=window(checkpoint, number),
        ),
        mlp=Mlp((gate,), (up,), (rows(checkpoint, f"{prefix}mlp.down_proj"),), activation(checkpoint)),
        attention_norm=norm(checkpoint, f"{prefix}input_layernorm"),
        mlp_norm=norm(checkpoint, f"{prefix}post_attention_layernorm"),
    )


def _parts(checkpoint: Checkpoint, module: str, *heights: int) -> list[Rows]:
    """A matrix in parts of so many rows."""
    whole = rows(checkpoint, module)
    ends = [sum(heights[:count]) for count in range(len(heights) + 1)]
    return [replace(whole, start=start, stop=stop) for start, stop in pairwise(ends)]
