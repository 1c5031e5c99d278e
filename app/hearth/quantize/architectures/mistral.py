"""Mistral (arXiv:2310.06825): Llama with a window in every layer, which later ones left out again."""

from __future__ import annotations

from hearth.quantize.architectures.llama import decoder, layer, layer_count
from hearth.quantize.architectures.windows import window
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder

_DEFAULTS = {"sliding_window": 4096}


def mistral(checkpoint: Checkpoint) -> Decoder:
    """The decoder of a Mistral checkpoint."""
    checkpoint = checkpoint.with_defaults(_DEFAULTS)
    layers = [
        layer(checkpoint, number, window=window(checkpoint, number))
        for number in range(layer_count(checkpoint))
    ]
    return decoder(checkpoint, "mistral", layers)
