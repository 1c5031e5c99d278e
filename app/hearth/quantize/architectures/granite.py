"""Granite 3 (github.com/ibm-granite/granite-3.0-language-models): Llama with four multipliers."""

from __future__ import annotations

from hearth.quantize.architectures.llama import decoder, layer, layer_count, norm
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder


def granite(checkpoint: Checkpoint) -> Decoder:
    """The decoder of a Granite checkpoint. What follows a matrix or a norm is multiplied into its weights."""
    layers = [
        layer(
            checkpoint,
            number,
            output_times=checkpoint.factor("residual_multiplier", 1),
            scale=checkpoint.factor("attention_multiplier", 1),
        )
        for number in range(layer_count(checkpoint))
    ]
    return decoder(
        checkpoint,
        "granite",
        layers,
        embedding_times=checkpoint.factor("embedding_multiplier", 1),
        final_norm=norm(checkpoint, "model.norm", times=1 / checkpoint.factor("logits_scaling", 1)),
    )
