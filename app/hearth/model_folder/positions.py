"""Logits at any positions from a graph whose head is pruned to the last one.

onnxruntime-genai's builder prunes with `Gather(axis=1, index -1)` and `Unsqueeze` before the head, since a prompt needs
the logits of its last token alone. Drafted tokens need those of each. So the graph gets one more input, the int64 vector
`logits_positions` with [-1] as its default, in place of that constant, and logits of [batch, positions, vocab].

Only the small graph is rewritten, in memory and as protobuf: Hearth does not ship the `onnx` package for this, and the
weights lie in files beside it. Field numbers are those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterable

from hearth.model_folder.graph_node import Node, read_node
from hearth.model_folder.protobuf_reader import Field, ProtobufReader
from hearth.model_folder.protobuf_writer import message_field, number_field

POSITIONS = "logits_positions"
_INT64 = 7
_ANY = b""  # a dimension without a size
# How the builder names the constant.
_LAST = "/INT64/-1"
# The head, its bias, its scale, and the caps of some models lie between.
_LONGEST_CHAIN = 12


def with_positions(model: bytes, logits: str) -> bytes | None:
    """The model with the input `logits_positions`; None where its head is not pruned in the way above.

    Args:
        model: an ONNX file that passed the checks of `graph_summary`.
        logits: the name of the output.
    """
    reader = ProtobufReader(model)
    whole = list(reader.fields())
    (graph,) = (item for item in whole if item.number == 7)
    parts = list(reader.fields(graph.start, graph.end))
    nodes = [read_node(reader, part) for part in parts if part.number == 1]
    makers = {name: node for node in nodes for name in node.outputs}
    chain = _up_to_gather(makers, logits)
    if chain is None:
        return None
    *above, unsqueeze, gather = chain
    changed = {name for node in (*above, unsqueeze) for name in node.outputs}
    rewritten = []
    for part in parts:
        if part is unsqueeze.place or (part.number == 13 and _name(reader, part) in changed):
            continue  # a stale shape would contradict the new one
        payload = model[part.start : part.end]
        if part is gather.place:
            # With a vector as its index it keeps the axis that Unsqueeze put back.
            payload = _gather_at_positions(reader, model, gather, unsqueeze.outputs[0])
        elif part.number == 12 and _name(reader, part) == logits:
            payload = _logits_anywhere(reader, model, part, logits)
        rewritten.append(message_field(part.number, payload))
    rewritten.append(message_field(5, _default()))
    rewritten.append(message_field(11, _value_info(POSITIONS, _INT64, [_ANY])))
    before = max((item.end for item in whole if item.end < graph.start), default=0)
    return model[:before] + message_field(7, b"".join(rewritten)) + model[graph.end :]


def _up_to_gather(makers: dict[str, Node], logits: str) -> list[Node] | None:
    """The nodes from the one that makes `logits` up to the pruning Gather, each the first input of the one before."""
    chain: list[Node] = []
    name = logits
    while (node := makers.get(name)) is not None and node.inputs:
        chain.append(node)
        if node.op_type == "Gather":
            is_pruning = len(chain) > 2 and chain[-2].op_type == "Unsqueeze" and len(node.inputs) == 2
            return chain if is_pruning and node.inputs[1].endswith(_LAST) else None
        if len(chain) > _LONGEST_CHAIN:
            return None
        name = node.inputs[0]
    return None


def _gather_at_positions(reader: ProtobufReader, model: bytes, gather: Node, output: str) -> bytes:
    kept = [
        message_field(item.number, model[item.start : item.end])
        for item in reader.fields(gather.place.start, gather.place.end)
        if item.number not in (1, 2)
    ]
    names = [(1, gather.inputs[0]), (1, POSITIONS), (2, output)]
    return b"".join([*(message_field(number, name.encode()) for number, name in names), *kept])


def _name(reader: ProtobufReader, value_info: Field) -> str:
    return next((reader.text(item) for item in _inside(reader, [value_info], 1)), "")


def _logits_anywhere(reader: ProtobufReader, model: bytes, value_info: Field, name: str) -> bytes:
    """The ValueInfoProto of the logits, with any number of positions."""
    tensor = _inside(reader, _inside(reader, [value_info], 2), 1)
    (element_type,) = (item.value for item in _inside(reader, tensor, 1))
    dimensions = _inside(reader, _inside(reader, tensor, 2), 1)
    vocabulary = model[dimensions[-1].start : dimensions[-1].end]
    return _value_info(name, element_type, [_ANY, _ANY, vocabulary])


def _inside(reader: ProtobufReader, messages: Iterable[Field], number: int) -> list[Field]:
    """The fields of that number in all of these messages."""
    return [
        item for each in messages for item in reader.fields(each.start, each.end) if item.number == number
    ]


def _value_info(name: str, element_type: int, dimensions: list[bytes]) -> bytes:
    """A ValueInfoProto of a tensor."""
    shape = b"".join(message_field(1, dimension) for dimension in dimensions)
    tensor = number_field(1, element_type) + message_field(2, shape)
    return message_field(1, name.encode()) + message_field(2, message_field(1, tensor))


def _default() -> bytes:
    """The TensorProto [-1] under the name of the input."""
    data = (-1).to_bytes(8, "little", signed=True)
    return (
        number_field(1, 1)
        + number_field(2, _INT64)
        + message_field(8, POSITIONS.encode())
        + message_field(9, data)
    )
