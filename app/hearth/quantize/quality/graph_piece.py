"""A part of a graph cut out of it, so that it runs alone: what lies between some values and others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper


def cut_out(model: ModelProto, inputs: Mapping[str, tuple[int, int]], outputs: Sequence[str]) -> ModelProto:
    """The nodes that make `outputs` of `inputs`, with the weights and the graph's own inputs that they need.

    Args:
        inputs: type and number of dimensions, by the value's name. A weight may be one: it is given at each run then.
    """
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output if name}
    needed: set[str] = set()
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        if name not in inputs and name in makers:
            waiting += _reads(makers[name])
    declared = [_value(name, data_type, rank) for name, (data_type, rank) in inputs.items() if name in needed]
    declared += [value for value in graph.input if value.name in needed and value.name not in inputs]
    nodes = [node for node in graph.node if not needed.isdisjoint(_made(node, inputs))]
    piece = helper.make_graph(
        nodes,
        graph.name,
        declared,
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        initializer=[
            tensor for tensor in graph.initializer if tensor.name in needed and tensor.name not in inputs
        ],
    )
    return helper.make_model(piece, ir_version=model.ir_version, opset_imports=model.opset_import)


def _reads(node: NodeProto) -> Iterator[str]:
    """What a node reads, and what the graphs in it read of the graph around them."""
    yield from filter(None, node.input)
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield from _reads_of(attribute.g)


def _reads_of(graph: GraphProto) -> Iterator[str]:
    for node in graph.node:
        yield from _reads(node)


def _made(node: NodeProto, inputs: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """What a node makes that is not given."""
    return (name for name in node.output if name and name not in inputs)


def _value(name: str, data_type: int, rank: int) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, data_type, [None] * rank)


def external_names(model: ModelProto) -> list[str]:
    """The weights that lie in another file."""
    return [tensor.name for tensor in model.graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
