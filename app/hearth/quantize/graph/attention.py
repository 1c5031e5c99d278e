"""Grouped-query attention in the graph, over keys and values that are written in place."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from onnx import TensorProto

from hearth.errors import ArchitectureUnsupported
from hearth.i18n import tr
from hearth.model_folder.cache_scales import channel_scales
from hearth.quantize.decoder import Attention, Norm
from hearth.quantize.graph.graph import CONTRIB
from hearth.quantize.graph.linear import Writer, linear
from hearth.quantize.graph.norms import normalize
from hearth.quantize.graph.positions import Positions
from hearth.quantize.weights import Factors, Tensor, VectorWeight, no_factors

# Of the operator, for a head's channels and for those of them that are rotated.
_HEAD_STEP = 16
# Where the scales stand among the operator's inputs.
_SCALES_PLACE = 12

KINDS = ("key", "value")


def past_name(number: int, kind: str) -> str:
    """The input with what layer `number` keeps."""
    return f"past_key_values.{number}.{kind}"


def present_name(number: int, kind: str) -> str:
    """The output with what layer `number` then keeps."""
    return f"present.{number}.{kind}"


def attention(
    writer: Writer, name: str, source: str, part: Attention, number: int, positions: Positions, norm: str
) -> str:
    """The attention of layer `number`; `name` is the module's, `norm` that which `source` comes from.

    Raises:
        ArchitectureUnsupported: its heads have a size that the operator does not take.
    """
    _check(writer, part)
    graph = writer.graph
    projected = (*part.query, *part.key, *part.value)
    values = writer.factors(f"{name}.v_proj")
    folds = (writer.factors(norm), lambda: _on_values(values(), part))
    packed = linear(writer, f"{name}.qkv_proj", source, projected, folds=folds)
    inputs = [packed, "", ""]
    if part.query_norm or part.key_norm:
        inputs = _normed(writer, name, packed, part)
    past = [past_name(number, kind) for kind in KINDS]
    present = [present_name(number, kind) for kind in KINDS]
    scales, attributes = _int8(writer, part, past, values) if writer.recipe.has_int8_cache else ([], {})
    cache_type = TensorProto.INT8 if scales else writer.float_type
    for before, after in zip(past, present, strict=True):
        for declare, cache, length in (
            (graph.input, before, "past_sequence_length"),
            (graph.output, after, "total_sequence_length"),
        ):
            declare(cache, cache_type, ["batch_size", part.kv_heads, length, part.head_dim])
    rotation = positions.rotation(part.rope) if part.rope else []
    places = [*inputs, *past, positions.lengths, positions.longest, *rotation]
    if scales:
        places += [*[""] * (_SCALES_PLACE - len(places)), *scales]
    output = f"{name}/GroupQueryAttention"
    graph.nodes(
        "GroupQueryAttention",
        places,
        [output, *present],
        CONTRIB,
        num_heads=part.heads,
        kv_num_heads=part.kv_heads,
        scale=part.scale,
        softcap=part.softcap,
        local_window_size=part.window or -1,
        do_rotary=int(part.rope is not None),
        rotary_interleaved=int(part.rope is not None and part.rope.interleaved),
        **attributes,
    )
    return linear(
        writer,
        f"{name}.o_proj",
        output,
        part.output,
        folds=(lambda: _for_all_heads(values(), part), no_factors),
    )


def _on_values(divisors: np.ndarray | None, part: Attention) -> np.ndarray | None:
    """For all rows of queries, keys and values, of which only the last are divided."""
    if divisors is None:
        return None
    others = np.ones((part.heads + part.kv_heads) * part.head_dim, np.float32)
    return np.concatenate([others, divisors])


def _for_all_heads(factors: np.ndarray | None, part: Attention) -> np.ndarray | None:
    """For each head those of the values that it shares."""
    if factors is None:
        return None
    apart = factors.reshape(part.kv_heads, 1, part.head_dim)
    return np.repeat(apart, part.heads // part.kv_heads, axis=1).reshape(-1)


def _int8(
    writer: Writer, part: Attention, past: list[str], value_divisors: Factors
) -> tuple[list[str], dict[str, Any]]:
    """The scales and attributes of int8 keys and values, as onnxruntime-genai's `int8_per_channel` has them."""
    shape = (part.kv_heads, part.head_dim)

    def values(name: str, divisors: Factors) -> np.ndarray:
        largest, smaller = writer.found.peaks[name], divisors()
        return channel_scales(largest if smaller is None else largest / smaller.reshape(shape))

    scales = []
    for name, divisors in zip(past, (no_factors, value_divisors), strict=True):
        tensor = Tensor(f"{name}.scale", TensorProto.FLOAT, (1, part.kv_heads, 1, part.head_dim))
        scales += writer.graph.weight(VectorWeight(tensor, partial(values, name, divisors)))
    kinds = dict.fromkeys(("k_quant_type", "v_quant_type"), "PER_CHANNEL")
    return scales, {"kv_cache_bit_width": 8, **kinds}


def _check(writer: Writer, part: Attention) -> None:
    rotated = 2 * len(part.rope.inverse_frequencies) if part.rope else 0
    if part.head_dim % _HEAD_STEP or rotated % _HEAD_STEP:
        reason = tr(
            "its heads have {size} channels and rotate {rotated} of them; both must be multiples of {step}",
            size=part.head_dim,
            rotated=rotated,
            step=_HEAD_STEP,
        )
        raise ArchitectureUnsupported(name=writer.checkpoint.name, reason=reason)


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
