"""A graph whose keys and values are int8, made from one whose keys and values are floats.

The attention kernel of onnxruntime (`GroupQueryAttention` in com.microsoft) rounds new keys and values by given scales
as it writes them, and reads them as they lie. onnxruntime-genai's builder writes such graphs with the scheme
`int8_per_channel`; this makes the same of a graph that is there already: the attributes `kv_cache_bit_width`,
`k_quant_type` and `v_quant_type`, the inputs k_scale and v_scale, and the type of the past and the present.

Only the small graph is rewritten, in memory and as protobuf. Field numbers are those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hearth.model_folder.graph_node import Node, read_name, read_node
from hearth.model_folder.protobuf_reader import Field, ProtobufReader
from hearth.model_folder.protobuf_writer import message_field, number_field

_FLOAT, _INT8 = 1, 3  # TensorProto.DataType
_INT, _STRING = 2, 3  # AttributeProto.AttributeType
_OPERATOR = "GroupQueryAttention"
# Places among the operator's inputs.
_PAST_KEY, _PAST_VALUE, _K_SCALE, _V_SCALE = 3, 4, 12, 13
_QUANTIZATION = {"kv_cache_bit_width", "k_quant_type", "v_quant_type"}


@dataclass(frozen=True, slots=True)
class Scale:
    """The scale of each channel of one layer's keys or values: what the integer 1 stands for.

    Attributes:
        values: float32, little-endian, of shape [kv_heads, head_dim].
    """

    kv_heads: int
    head_dim: int
    values: bytes


def with_int8_cache(model: bytes, scales: Mapping[str, Scale], presents: frozenset[str]) -> bytes | None:
    """The model with int8 keys and values; None where something else than the known operator uses or makes them.

    Args:
        model: an ONNX file that passed the checks of `graph_summary`.
        scales: by the names of the inputs that are the past, all of them.
        presents: the names of the outputs that are the present, all of them.
    """
    reader = ProtobufReader(model)
    whole = list(reader.fields())
    (graph,) = (item for item in whole if item.number == 7)
    cached = scales.keys() | presents
    served: list[str] = []
    rewritten = []
    for part in reader.fields(graph.start, graph.end):
        payload = model[part.start : part.end]
        if part.number == 1:
            node = read_node(reader, part)
            touched = cached.intersection((*node.inputs, *node.outputs))
            if touched:
                pasts, made = node.inputs[_PAST_KEY : _PAST_VALUE + 1], node.outputs[1:3]
                is_known = node.op_type == _OPERATOR and touched == {*pasts, *made}
                if not is_known or len(pasts) != 2 or node.attributes & _QUANTIZATION:
                    return None
                served += [*pasts, *made]
                payload = _with_scales(reader, model, node)
        elif part.number in (11, 12, 13) and read_name(reader, part) in cached:
            payload = _as_int8(reader, model, part)
        rewritten.append(message_field(part.number, payload))
    if sorted(served) != sorted(cached):
        return None
    rewritten += [message_field(5, _scale_tensor(name, scale)) for name, scale in scales.items()]
    before = max((item.end for item in whole if item.end < graph.start), default=0)
    return model[:before] + message_field(7, b"".join(rewritten)) + model[graph.end :]


def _with_scales(reader: ProtobufReader, model: bytes, node: Node) -> bytes:
    """The NodeProto of an attention that rounds its keys and values."""
    inputs = [*node.inputs, *[""] * (_V_SCALE + 1 - len(node.inputs))]
    inputs[_K_SCALE], inputs[_V_SCALE] = (_scale_name(inputs[past]) for past in (_PAST_KEY, _PAST_VALUE))
    kept = [
        number_field(item.number, item.value)
        if item.wire == 0
        else message_field(item.number, model[item.start : item.end])
        for item in reader.fields(node.place.start, node.place.end)
        if item.number != 1
    ]
    width = message_field(1, b"kv_cache_bit_width") + number_field(3, 8) + number_field(20, _INT)
    kinds = [
        message_field(1, name) + message_field(4, b"PER_CHANNEL") + number_field(20, _STRING)
        for name in (b"k_quant_type", b"v_quant_type")
    ]
    return b"".join(
        [
            *(message_field(1, name.encode()) for name in inputs),
            *kept,
            *(message_field(5, attribute) for attribute in (width, *kinds)),
        ]
    )


def _as_int8(reader: ProtobufReader, model: bytes, value_info: Field) -> bytes:
    """The ValueInfoProto of a tensor that now holds int8."""

    def changed(place: Field, path: tuple[int, ...]) -> bytes:
        """The message at `place` with the number at the end of `path` set."""
        parts = []
        for item in reader.fields(place.start, place.end):
            if item.number != path[0]:
                parts.append(message_field(item.number, model[item.start : item.end]))
            elif len(path) == 1:
                parts.append(number_field(item.number, _INT8))
            else:
                parts.append(message_field(item.number, changed(item, path[1:])))
        return b"".join(parts)

    return changed(value_info, (2, 1, 1))  # type, tensor_type, elem_type


def _scale_tensor(past: str, scale: Scale) -> bytes:
    """The TensorProto of a scale, of shape [1, kv_heads, 1, head_dim]."""
    shape = b"".join(number_field(1, size) for size in (1, scale.kv_heads, 1, scale.head_dim))
    name = message_field(8, _scale_name(past).encode())
    return shape + number_field(2, _FLOAT) + name + message_field(9, scale.values)


def _scale_name(past: str) -> str:
    return f"{past}.scale"
