"""A graph rewritten so that loading its weights takes less memory; nothing that it computes changes.

Weights that it reads in two shapes are given to it in both. onnxruntime-genai's builder shares the embedding with the
head through a `Reshape` of the weights, which ONNX Runtime computes when it loads the model, into memory of this
process: 117 MB for a vocabulary of 151,936 tokens and 1,536 channels in int4. A second tensor at the same place in the
file costs nothing, since the file is mapped.

The operator with the largest weight comes first. Kernels pack their weights in the order of the file, and hold each
twice while they pack it: the largest one last, which is the head, would set the peak.

Only the small graph is rewritten, in memory and as protobuf. Field numbers are those of onnx.proto.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

from hearth.model_folder.graph_node import Node, read_node
from hearth.model_folder.protobuf_reader import Field, ProtobufReader
from hearth.model_folder.protobuf_writer import message_field, number_field

_INT64, _EXTERNAL = 7, 1
_MOST_DIMENSIONS = 8
# Operators that read their weights as they lie.
_UNPACKED = frozenset({"Reshape", "Gather", "GatherBlockQuantized"})


@dataclass(slots=True)
class _Tensor:
    """A TensorProto, as far as it is needed.

    Attributes:
        numbers: the values of a small vector of int64; empty for anything else.
    """

    place: Field
    name: str = ""
    dims: list[int] = field(default_factory=list)
    is_external: bool = False
    numbers: list[int] = field(default_factory=list)


def with_lean_loading(model: bytes) -> bytes:
    """The same model, or one that loads in less memory.

    Args:
        model: an ONNX file that passed the checks of `graph_summary`.
    """
    reader = ProtobufReader(model)
    whole = list(reader.fields())
    (graph,) = (item for item in whole if item.number == 7)
    parts = list(reader.fields(graph.start, graph.end))
    nodes = [read_node(reader, part) for part in parts if part.number == 1]
    tensors = {
        tensor.name: tensor for tensor in (_read_tensor(reader, model, p) for p in parts if p.number == 5)
    }
    shapes = {name: tensor.numbers for name, tensor in tensors.items()}
    shapes |= {node.outputs[0]: _constant(reader, model, node) for node in nodes if node.outputs}
    dropped: set[int] = set()
    added: list[bytes] = []
    for node in nodes:
        if node.op_type != "Reshape" or len(node.inputs) != 2:
            continue
        source, shape = tensors.get(node.inputs[0]), shapes.get(node.inputs[1], [])
        if source and source.is_external and _is_same_size(source.dims, shape):
            dropped.add(node.place.start)
            added.append(message_field(5, _reshaped(reader, model, source, node.outputs[0], shape)))
    heaviest = max(nodes, key=lambda node: _largest_weight(node, tensors), default=None)
    if heaviest is None or not _largest_weight(heaviest, tensors):
        return model
    kept = [part for part in parts if part.start not in dropped]
    # ONNX Runtime sorts the operators for running by what each needs, whatever their order here.
    kept.sort(key=lambda part: part.start != heaviest.place.start)
    rewritten = [message_field(part.number, model[part.start : part.end]) for part in kept]
    before = max((item.end for item in whole if item.end < graph.start), default=0)
    return model[:before] + message_field(7, b"".join([*rewritten, *added])) + model[graph.end :]


def _largest_weight(node: Node, tensors: dict[str, _Tensor]) -> int:
    """How many numbers the largest weight of an operator has that lies in a file; 0 where there is none."""
    if node.op_type in _UNPACKED:
        return 0
    sizes = [
        math.prod(tensors[name].dims) for name in node.inputs if name in tensors and tensors[name].is_external
    ]
    return max(sizes, default=0)


def _is_same_size(dims: list[int], shape: list[int]) -> bool:
    return bool(shape) and min(shape) > 0 and math.prod(shape) == math.prod(dims)


def _constant(reader: ProtobufReader, model: bytes, node: Node) -> list[int]:
    """The numbers of a Constant that is a small vector of int64; empty for anything else."""
    for item in reader.fields(node.place.start, node.place.end):
        if node.op_type == "Constant" and item.number == 5:
            for part in reader.fields(item.start, item.end):
                if part.number == 5:
                    return _read_tensor(reader, model, part).numbers
    return []


def _read_tensor(reader: ProtobufReader, model: bytes, place: Field) -> _Tensor:
    tensor, data_type, raw = _Tensor(place), 0, b""
    for item in reader.fields(place.start, place.end):
        if item.number == 1:
            tensor.dims += reader.integers(item)
        elif item.number == 2:
            data_type = item.value
        elif item.number == 7:
            tensor.numbers += reader.integers(item, limit=1 << 20)
        elif item.number == 8:
            tensor.name = reader.text(item)
        elif item.number == 9 and item.end - item.start <= 8 * _MOST_DIMENSIONS:
            raw = model[item.start : item.end]
        elif item.number == 14:
            tensor.is_external = item.value == _EXTERNAL
    if data_type != _INT64:
        tensor.numbers = []
    elif raw:
        tensor.numbers = list(struct.unpack(f"<{len(raw) // 8}q", raw[: len(raw) // 8 * 8]))
    return tensor


def _reshaped(reader: ProtobufReader, model: bytes, source: _Tensor, name: str, shape: list[int]) -> bytes:
    """The TensorProto at the same place in the same file, with another name and shape."""
    kept = [
        number_field(item.number, item.value)
        if item.wire == 0
        else message_field(item.number, model[item.start : item.end])
        for item in reader.fields(source.place.start, source.place.end)
        if item.number not in (1, 8)
    ]
    return b"".join([*(number_field(1, dim) for dim in shape), message_field(8, name.encode()), *kept])
