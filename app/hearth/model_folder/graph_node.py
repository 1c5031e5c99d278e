"""One operator of a graph, as far as rewriting a graph needs it. Field numbers are those of onnx.proto."""

from __future__ import annotations

from dataclasses import dataclass, field

from hearth.model_folder.protobuf_reader import Field, ProtobufReader


@dataclass(slots=True)
class Node:
    """A NodeProto.

    Attributes:
        place: where it stands in the file.
    """

    place: Field
    op_type: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


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
    return node
