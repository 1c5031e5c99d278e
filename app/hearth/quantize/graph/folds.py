"""Where a layer's channels can be made smaller by one module and larger by the next, with the same result.

AWQ's places (arXiv:2306.00978): a norm and the projections that read it, the values and the output projection, the
feed-forward network's `up` and `down`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Layer, Mlp, Rows
from hearth.quantize.repacked_weight import packed_scheme
from hearth.quantize.weights import Matrix


@dataclass(frozen=True, slots=True)
class Fold:
    """Channels between modules.

    Attributes:
        name: of what makes them: a norm, `...up_proj`, or `...v_proj`, which is the last rows of `...qkv_proj`.
        readers: the modules whose columns meet them.
        spread: the channel that each column meets, int64 [columns]; heads may share their values.
    """

    name: str
    readers: tuple[str, ...]
    spread: np.ndarray

    @property
    def channels(self) -> int:
        return int(self.spread.max()) + 1


def folds(checkpoint: Checkpoint, layer: Layer, number: int) -> Iterator[Fold]:
    """Those of layer `number`; none where a matrix that takes part is int4 in the checkpoint."""
    name = f"model.layers.{number}"
    attention, mlp = layer.attention, layer.mlp

    def is_open(*parts: tuple[Rows, ...]) -> bool:
        return all(packed_scheme(Matrix(checkpoint, some)) is None for some in parts)

    def width(parts: tuple[Rows, ...]) -> int:
        return Matrix(checkpoint, parts).columns

    projected = (*attention.query, *attention.key, *attention.value)
    if layer.attention_norm and is_open(projected):
        plain = np.arange(width(projected))
        yield Fold(f"{name}.input_layernorm", (f"{name}.attn.qkv_proj",), plain)
    if is_open(projected, attention.output):
        shared = attention.heads // attention.kv_heads
        heads = np.arange(attention.kv_heads * attention.head_dim).reshape(attention.kv_heads, 1, -1)
        spread = np.repeat(heads, shared, axis=1).reshape(-1)
        yield Fold(f"{name}.attn.v_proj", (f"{name}.attn.o_proj",), spread)
    if not isinstance(mlp, Mlp):  # experts are not run one by one
        return
    if layer.mlp_norm and is_open(mlp.gate, mlp.up):
        readers = (f"{name}.mlp.gate_proj", f"{name}.mlp.up_proj")
        yield Fold(f"{name}.pre_feedforward_layernorm", readers, np.arange(width(mlp.up)))
    if is_open(mlp.up, mlp.down):
        yield Fold(f"{name}.mlp.up_proj", (f"{name}.mlp.down_proj",), np.arange(width(mlp.down)))
