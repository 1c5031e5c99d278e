"""Gemma 3 (arXiv:2503.19786), its text part: Gemma 2 with norms on queries and keys in place of soft caps."""

from __future__ import annotations

from typing import Any

from hearth.errors import ArchitectureUnsupported
from hearth.i18n import tr
from hearth.quantize.architectures.gemma2 import PLUS, gemma_decoder, gemma_layer
from hearth.quantize.architectures.llama import layer_count, rotary
from hearth.quantize.architectures.qwen3 import query_key_norms
from hearth.quantize.architectures.windows import is_sliding, window
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder, Layer

# The sizes that also see leave out of `config.json` whatever is as in transformers' Gemma3TextConfig.
_DEFAULTS = {
    "tie_word_embeddings": True,
    "hidden_activation": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": 256,
    "head_dim": 256,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 131072,
    "sliding_window": 4096,
}


def gemma3(checkpoint: Checkpoint) -> Decoder:
    """The decoder of a Gemma 3 checkpoint.

    Raises:
        ArchitectureUnsupported: it is made for embedding texts, not for writing them.
    """
    checkpoint = checkpoint.with_defaults(_DEFAULTS)
    if checkpoint.config.get("use_bidirectional_attention"):
        raise ArchitectureUnsupported(name=checkpoint.name, reason=tr("it writes no text"))
    layers = [_layer(checkpoint, number) for number in range(layer_count(checkpoint))]
    return gemma_decoder(checkpoint, "gemma3_text", layers)


def _layer(checkpoint: Checkpoint, number: int) -> Layer:
    pattern = int(checkpoint.number("sliding_window_pattern", 6))
    slides = is_sliding(checkpoint, number, (number + 1) % pattern != 0)
    return gemma_layer(
        checkpoint,
        number,
        window=window(checkpoint, number, slides),
        rope=rotary(checkpoint, _rope_parameters(checkpoint, slides)),
        **query_key_norms(checkpoint, number, PLUS),
    )


def _rope_parameters(checkpoint: Checkpoint, slides: bool) -> dict[str, Any]:
    """Layers with a window have positions of their own."""
    newer = checkpoint.mapping("rope_parameters")
    if slides:
        older = {"rope_theta": checkpoint.number("rope_local_base_freq", 10000.0)}
        return {**older, **(newer.get("sliding_attention") or {})}
    older = {
        "rope_theta": checkpoint.number("rope_theta", 1000000.0),
        **checkpoint.mapping("rope_scaling"),
    }
    return {**older, **(newer.get("full_attention") or {})}
