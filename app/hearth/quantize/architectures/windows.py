"""How many of the latest tokens a layer sees."""

from __future__ import annotations

from hearth.quantize.checkpoint.checkpoint import Checkpoint

_SLIDING = "sliding_attention"


def is_sliding(checkpoint: Checkpoint, number: int, otherwise: bool = True) -> bool:
    """Whether a layer has a window: what `layer_types` says, or `otherwise` in older configurations."""
    types = checkpoint.array("layer_types")
    return types[number] == _SLIDING if number < len(types) else otherwise


def window(checkpoint: Checkpoint, number: int, otherwise: bool = True) -> int:
    """The window of a layer; 0 where it sees all that there can be."""
    size = int(checkpoint.number("sliding_window", 0))
    fits = 0 < size < checkpoint.number("max_position_embeddings")
    return size if fits and is_sliding(checkpoint, number, otherwise) else 0
