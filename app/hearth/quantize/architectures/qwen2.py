"""Qwen2 and Qwen2.5 (arXiv:2407.10671, arXiv:2412.15115): Llama with biases on query, key and value."""

from __future__ import annotations

from hearth.quantize.architectures.llama import decoder, layer, layer_count
from hearth.quantize.architectures.windows import window
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder

# Of all Qwens, where the window is switched on.
WINDOW_DEFAULTS = {"sliding_window": 4096, "max_window_layers": 28}


def qwen2(checkpoint: Checkpoint) -> Decoder:
    """The decoder of a Qwen2 checkpoint."""
    checkpoint = checkpoint.with_defaults(WINDOW_DEFAULTS)
    layers = [
        layer(checkpoint, number, window=upper_window(checkpoint, number))
        for number in range(layer_count(checkpoint))
    ]
    return decoder(checkpoint, "qwen2", layers)


def upper_window(checkpoint: Checkpoint, number: int) -> int:
    """The window of a layer, which only the upper ones have, and those only where it is switched on."""
    if not checkpoint.config.get("use_sliding_window"):
        return 0
    return window(checkpoint, number, number >= checkpoint.number("max_window_layers"))
