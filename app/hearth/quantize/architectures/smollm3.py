"""SmolLM3 (huggingface.co/blog/smollm3): Llama with every fourth layer without positions (arXiv:2501.18795)."""

from __future__ import annotations

from hearth.quantize.architectures.llama import decoder, layer, layer_count, rotary
from hearth.quantize.architectures.windows import window
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder, Layer

_DEFAULTS = {"tie_word_embeddings": True, "rope_theta": 2000000.0, "num_key_value_heads": 4}


def smollm3(checkpoint: Checkpoint) -> Decoder:
    """The decoder of a SmolLM3 checkpoint."""
    checkpoint = checkpoint.with_defaults(_DEFAULTS)
    layers = [_layer(checkpoint, number) for number in range(layer_count(checkpoint))]
    return decoder(checkpoint, "smollm3", layers)


def _layer(checkpoint: Checkpoint, number: int) -> Layer:
    marks = checkpoint.array("no_rope_layers")  # in which 1 is a layer with positions
    interval = int(checkpoint.number("no_rope_layer_interval", 4))
    has_rope = bool(marks[number]) if number < len(marks) else (number + 1) % interval != 0
    size = 0
    if checkpoint.config.get("use_sliding_window"):
        size = window(checkpoint, number, not has_rope)
    return layer(checkpoint, number, window=size, rope=rotary(checkpoint) if has_rope else None)
