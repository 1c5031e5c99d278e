"""Grouped-query attention in the graph, over keys and values that are written in place."""

from __future__ import annotations

import numpy as np

from hearth.errors import ArchitectureUnsupported
from hearth.i18n import tr
from hearth.quantize.decoder import Attention, Norm
from hearth.quantize.graph.graph import CONTRIB
from hearth.quantize.graph.linear import Writer, linear
from hearth.quantize.graph.norms import normalize
from hearth.quantize.graph.positions import Positions

# Of the operator, for a head's channels and for those of them that are rotated.
_HEAD_STEP = 16


def attention(
    writer: Writer, name: str, source: str, part: Attention, number: int, positions: Positions
) -> str:
    """The attention of layer `number`; `name` is the module's.

    Raises:
        ArchitectureUnsupported: its heads have a size that the operator does not take.
    """
    _check(writer, part)
    graph = writer.graph
    projected = (*part.query, *part.key, *part.value)
    packed = linear(writer, f"{name}.qkv_proj", source, projected)
    inputs = [packed, "", ""]
    if part.query_norm or part.key_norm:
        inputs = _normed(writer, name, packed, part)
    past = [f"past_key_values.{number}.{kind}" for kind in ("key", "value")]
    present = [f"present.{number}.{kind}" for kind in ("key", "value")]
    for past_name, present_name in zip(past, present, strict=True):
        for declare, cache, length in (
            (graph.input, past_name, "past_sequence_length"),
            (graph.output, present_name, "total_sequence_length"),
        ):
            declare(cache, writer.float_type, ["batch_size", part.kv_heads, length, part.head_dim])
    rotation = positions.rotation(part.rope) if part.rope else []
    output = f"{name}/GroupQueryAttention"
    graph.nodes(
        "GroupQueryAttention",
        [*inputs, *past, positions.lengths, positions.longest, *rotation],
        [output, *present],
        CONTRIB,
        num_heads=part.heads,
        kv_num_heads=part.kv_heads,
        scale=part.scale,
        softcap=part.softcap,
        local_window_size=part.window or -1,
        do_rotary=int(part.rope is not None),
        rotary_interleaved=int(part.rope is not None and part.rope.interleaved),
    )
    return linear(writer, f"{name}.o_proj", output, part.output)


def _check(writer: Writer, part: Attention) -> None:
    rotated = 2 * len(part.rope.inverse_frequencies) if part.rope else 0
    if part.head_dim % _HEAD_STEP or rotated % _HEAD_STEP:
        reason = tr(
            "its heads have {size} channels and rotate {rotated} of them; both must be multiples of {step}",
            size=part.head_dim,
            rotated=rotated,
            step=_HEAD_STEP,
        )
        raise ArchitectureUnsupported(name=writer.checkpoint.folder.name, reason=reason)


def _normed(writer: Writer, name: str, packed: str, part: Attention) -> list[str]:
    """Query, key and value apart, the first two normalized."""
    graph = writer.graph
    widths = [part.heads * part.head_dim, part.kv_heads * part.head_dim, part.kv_heads * part.head_dim]
    sizes = graph.constant(f"constants/split_{'_'.join(map(str, widths))}", np.array(widths, np.int64))
    outputs = [f"{name}/{kind}" for kind in ("query", "key", "value")]
    graph.nodes("Split", [packed, sizes], outputs, axis=-1)
    norms = (("q_norm", part.query_norm), ("k_norm", part.key_norm))
    for index, (norm_name, norm) in enumerate(norms):
        if norm is not None:
            outputs[index] = _norm(writer, f"{name}.{norm_name}", outputs[index], norm, part, widths[index])
    return outputs


def _norm(writer: Writer, name: str, source: str, norm: Norm, part: Attention, width: int) -> str:
    if part.norm_is_whole:
        return normalize(writer, name, source, norm)
    graph = writer.graph
    heads = graph.constant(
        f"constants/heads_{width}", np.array([0, 0, width // part.head_dim, part.head_dim], np.int64)
    )
    flat = graph.constant(f"constants/flat_{width}", np.array([0, 0, width], np.int64))
    apart = graph.node("Reshape", [source, heads], f"{name}/heads")
    return graph.node("Reshape", [normalize(writer, name, apart, norm), flat], f"{name}/flat")
