"""Feed-forward networks in the graph of which each token uses a few: ONNX Runtime's operators `MoE` and `QMoE`.

Both want the rows of gate and up in turns, and all experts in one tensor [experts, rows, columns].
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hearth.errors import ArchitectureUnsupported
from hearth.i18n import tr
from hearth.quantize.decoder import Activation, Experts
from hearth.quantize.graph.linear import MatrixWeight, Mixture, Writer, linear, matrix_weight
from hearth.quantize.repacked_weight import RepackedWeight
from hearth.quantize.rounding.scheme import Scheme
from hearth.quantize.weights import FloatWeight, RoundedWeight, Source, Tensor, Woven

# What the operators call silu(gate) * up.
_SWIGLU = {"activation_type": "swiglu", "activation_alpha": 1.0, "activation_beta": 0.0, "swiglu_fusion": 1}
# In single numbers, since a rounded router chooses other experts.
_ROUTER = Scheme(bits=32)


def experts(writer: Writer, name: str, source: str, part: Experts) -> str:
    """What the chosen experts make of each token, added up.

    Raises:
        ArchitectureUnsupported: the operators cannot do it as it is, or not with this recipe.
    """
    if part.activation != Activation.SILU:
        raise _unsupported(writer, tr("its experts have the activation “{name}”", name=part.activation))
    graph = writer.graph
    router = linear(writer, f"{name}.gate", source, part.router, _ROUTER)
    flat = graph.constant("constants/experts", np.array([-1, part.count], np.int64))
    scores = graph.node("Reshape", [router, flat], f"{name}.gate/Reshape")
    gate_up = Woven(writer.matrix(part.gate), writer.matrix(part.up))
    mixture = Mixture(f"{name}.experts", part, source, router, gate_up, writer.matrix(part.down))
    writer.mixtures[mixture.name] = mixture
    weights = [_weight(writer, module, matrix, part.count) for module, matrix in mixture.matrices.items()]
    for weight in weights:
        graph.weight(weight)
    first, second = weights
    if isinstance(first, RoundedWeight) and isinstance(second, RoundedWeight):
        return _rounded(writer, name, [source, scores], part, first, second)
    if isinstance(first, FloatWeight) and isinstance(second, FloatWeight):
        return graph.contrib(
            "MoE",
            [source, scores, _floats(writer, first), "", _floats(writer, second)],
            f"{name}/MoE",
            k=part.used,
            normalize_routing_weights=int(part.is_normalized),
            **_SWIGLU,
        )
    raise _unsupported(writer, tr("all matrices of its experts must be rounded alike"))


def _rounded(
    writer: Writer,
    name: str,
    inputs: list[str],
    part: Experts,
    first: RoundedWeight,
    second: RoundedWeight,
) -> str:
    scheme = first.scheme
    if scheme != second.scheme:
        raise _unsupported(writer, tr("all matrices of its experts must be rounded alike"))
    for weight in (first, second):
        if not is_taken(scheme, weight.matrix.columns):
            reason = tr(
                "its experts have rows of {columns} numbers, which are not several blocks of {block_size}",
                columns=weight.matrix.columns,
                block_size=scheme.block_size,
            )
            raise _unsupported(writer, reason)
    zero_points = [weight.zero_points.name if weight.zero_points else "" for weight in (first, second)]
    mix = ""
    if not part.is_normalized:  # the operator would take the softmax over the chosen experts only
        mix = writer.graph.node("Softmax", [inputs[1]], f"{name}.gate/Softmax", axis=-1)
    places = [
        *inputs,
        *(first.data.name, first.scales.name, ""),
        *(second.data.name, second.scales.name, ""),
        *("", "", ""),
        *(*zero_points, ""),
        mix,
    ]
    while not places[-1]:
        places.pop()
    return writer.graph.contrib(
        "QMoE",
        places,
        f"{name}/QMoE",
        k=part.used,
        normalize_routing_weights=int(part.is_normalized),
        expert_weight_bits=scheme.bits,
        block_size=scheme.block_size,
        accuracy_level=writer.recipe.accuracy_level,
        weights_prepacked=0,
        **_SWIGLU,
    )


def is_taken(scheme: Scheme, columns: int) -> bool:
    """Whether `QMoE` takes rows of so many numbers, or `MoE` floats."""
    blocks, rest = divmod(columns, scheme.block_size)
    return scheme.is_float or (not rest and blocks > 1)


def _weight(writer: Writer, name: str, matrix: Source, count: int) -> MatrixWeight:
    """The matrices of all experts, [count, rows, columns] or, in blocks, [count, rows, blocks] and bytes."""
    weight = matrix_weight(writer, name, matrix)
    height = matrix.rows // count
    if isinstance(weight, RepackedWeight):  # the operators have other places for its zero points
        raise _unsupported(writer, tr("all matrices of its experts must be rounded alike"))
    if isinstance(weight, FloatWeight):
        return replace(weight, tensor=_stacked(weight.tensor, count, height))
    return replace(
        weight,
        height=height,
        data=_stacked(weight.data, count, height),
        scales=_stacked(weight.scales, count, height),
        zero_points=_stacked(weight.zero_points, count, height) if weight.zero_points else None,
    )


def _stacked(tensor: Tensor, count: int, height: int) -> Tensor:
    return replace(tensor, shape=(count, height, int(np.prod(tensor.shape[1:]))))


def _floats(writer: Writer, weight: FloatWeight) -> str:
    tensor = weight.tensor.name
    if weight.tensor.data_type == writer.float_type:
        return tensor
    return writer.graph.node("Cast", [tensor], f"{tensor}/Cast", to=writer.float_type)


def _unsupported(writer: Writer, reason: str) -> ArchitectureUnsupported:
    return ArchitectureUnsupported(name=writer.checkpoint.name, reason=reason)
