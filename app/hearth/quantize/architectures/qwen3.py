"""Qwen3 (arXiv:2505.09388): Qwen2 without the biases, with a norm on each head's queries and keys."""

from __future__ import annotations

from typing import Any

from hearth.quantize.architectures.llama import decoder, layer, layer_count, norm
from hearth.quantize.architectures.qwen2 import WINDOW_DEFAULTS, upper_window
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder

_DEFAULTS = {**WINDOW_DEFAULTS, "head_dim": 128}


def qwen3(checkpoint: Checkpoint) -> Decoder:
    """The decoder of a Qwen3 checkpoint."""
    checkpoint = checkpoint.with_defaults(_DEFAULTS)
    layers = [
        layer(
            checkpoint, number, window=upper_window(checkpoint, number), **query_key_norms(checkpoint, number)
        )
        for number in range(layer_count(checkpoint))
    ]
    return decoder(checkpoint, "qwen3", layers)


def query_key_norms(checkpoint: Checkpoint, number: int, plus: float = 0.0) -> dict[str, Any]:
    """The norms of a layer's queries and keys, as parts of its attention."""
    prefix = f"model.layers.{number}.self_attn."
    return {
        "query_norm": norm(checkpoint, f"{prefix}q_norm", plus),
        "key_norm": norm(checkpoint, f"{prefix}k_norm", plus),
    }
