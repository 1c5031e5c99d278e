"""One operator of a graph, as far as rewriting a graph needs it. Field numbers are those of onnx.proto."""

from __future__ import annotations

from dataclasses import dataclass, field

from hearth.model_folder.protobuf_reader import Field, ProtobufReader


@dataclass(slots=True)
class Node:
    """A NodeProto.

    Attributes:
        place: where it stands in the file.
        attributes: their names.
    """

    place: Field
    op_type: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    attributes: set[str] = field(default_factory=set)


def read_node(reader: ProtobufReader, place: Field) -> Node:
    """The operator at this place. Raises ProtobufError."""
    node = Node(place)
    for item in reader.fields(place.start, place.end):
        if item.number == 1:
            node.inputs.append(reader.text(item))
        elif item.number == 2:
            node.outputs.append(reader.text(item))
        elif item.number == 4:
            node.op_type = reader.text(item)
        elif item.number == 5:
            node.attributes.add(read_name(reader, item))
    return node


def read_name(reader: ProtobufReader, message: Field) -> str:
    """The name of an AttributeProto or a ValueInfoProto; empty where it has none. Raises ProtobufError."""
    return next(
        (reader.text(item) for item in reader.fields(message.start, message.end) if item.number == 1), ""
    )
