"""Feed-forward networks in the graph."""

from __future__ import annotations

from hearth.quantize.decoder import Activation, Mlp
from hearth.quantize.graph.linear import Writer, linear
from hearth.quantize.weights import no_factors


def mlp(writer: Writer, name: str, source: str, part: Mlp, norm: str) -> str:
    """down(activation(gate(x)) * up(x)); `norm` is the module that `source` comes from."""
    graph = writer.graph
    read, between = (writer.factors(fold) for fold in (norm, f"{name}.up_proj"))
    gate = linear(writer, f"{name}.gate_proj", source, part.gate, folds=(read, no_factors))
    up = linear(writer, f"{name}.up_proj", source, part.up, folds=(read, between))
    active = activate(writer, f"{name}.act_fn", gate, part.activation)
    product = graph.node("Mul", [active, up], f"{name}/Mul")
    return linear(writer, f"{name}.down_proj", product, part.down, folds=(between, no_factors))


def activate(writer: Writer, name: str, source: str, activation: Activation) -> str:
    """The activation of each number."""
    graph = writer.graph
    match activation:
        case Activation.SILU:
            sigmoid = graph.node("Sigmoid", [source], f"{name}/Sigmoid")
            return graph.node("Mul", [source, sigmoid], f"{name}/Mul")
        case Activation.GELU_TANH:
            return graph.node("Gelu", [source], f"{name}/Gelu", approximate="tanh")
