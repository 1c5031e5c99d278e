"""A matrix product in the graph, with its weights as floats or as integers in blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from onnx import TensorProto

from hearth.quantize.calibration.findings import Findings
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Experts, Rows
from hearth.quantize.graph.graph import Graph
from hearth.quantize.recipe import Recipe
from hearth.quantize.repacked_weight import RepackedWeight, packed_scheme
from hearth.quantize.rounding.rounding import ROUNDINGS
from hearth.quantize.rounding.scheme import Scheme
from hearth.quantize.weights import (
    Factors,
    FloatWeight,
    Folded,
    Matrix,
    RoundedWeight,
    Source,
    Tensor,
    VectorWeight,
)

MatrixWeight = FloatWeight | RoundedWeight | RepackedWeight


@dataclass(frozen=True, slots=True)
class Product:
    """source @ matrix.T; `source` is the name of a tensor of the graph."""

    source: str
    matrix: Matrix


@dataclass(frozen=True, slots=True)
class Mixture:
    """The experts of a layer.

    Attributes:
        part: what they are made of.
        source: the tensor that the router and `gate_up` meet.
        scores: the tensor of what the router says of each expert, [batch, tokens, experts].
        gate_up, down: of all experts, one below the other; the rows of gate and up in turns.
    """

    name: str
    part: Experts
    source: str
    scores: str
    gate_up: Source
    down: Source

    @property
    def matrices(self) -> dict[str, Source]:
        """By the names of their modules."""
        return {self.gate_up_name: self.gate_up, self.down_name: self.down}

    @property
    def gate_up_name(self) -> str:
        return f"{self.name}.gate_up_proj"

    @property
    def down_name(self) -> str:
        return f"{self.name}.down_proj"


@dataclass(frozen=True, slots=True)
class Writer:
    """What every part of the graph is written with.

    Attributes:
        found: what calibration has found; weights are made with what is there then.
        products: every product whose matrix is kept as the recipe wants it, by its module's name.
        mixtures: those of experts, by the names of their modules.
        keeps_packed: whether matrices that the checkpoint has as integers stay so; else they become floats.
        float_type: of what flows through the graph, of TensorProto.
    """

    graph: Graph
    checkpoint: Checkpoint
    recipe: Recipe
    found: Findings = field(default_factory=Findings)
    products: dict[str, Product] = field(default_factory=dict)
    mixtures: dict[str, Mixture] = field(default_factory=dict)
    keeps_packed: bool = True

    @property
    def float_type(self) -> int:
        return TensorProto.FLOAT16 if self.recipe.target_is_gpu else TensorProto.FLOAT

    def factors(self, fold: str) -> Factors:
        """Those that calibration finds for a fold; see `folds.py`."""
        return lambda: self.found.folds.get(fold)

    def matrix(self, parts: tuple[Rows, ...]) -> Matrix:
        return Matrix(self.checkpoint, parts)


def linear(
    writer: Writer,
    name: str,
    source: str,
    parts: tuple[Rows, ...],
    scheme: Scheme | None = None,
    folds: tuple[Factors, Factors] | None = None,
) -> str:
    """source @ matrix.T + bias; `name` is the module's, such as `model.layers.0.mlp.down_proj`.

    Args:
        scheme: how the matrix is kept, whatever the recipe says.
        folds: where the recipe scales: what its columns are multiplied and its rows divided by.
    """
    plain = writer.matrix(parts)
    if scheme is None:
        writer.products[name] = Product(source, plain)
    is_folded = folds is not None and writer.recipe.is_scaled and packed_scheme(plain) is None
    matrix = Folded(plain, *folds) if folds is not None and is_folded else plain
    weight = matrix_weight(writer, name, matrix, scheme)
    product = product_with(writer, f"{name}/MatMul", source, weight)
    if not matrix.has_bias:
        return product
    bias = Tensor(f"{name}.bias", writer.float_type, (matrix.rows,))
    (bias_name,) = writer.graph.weight(VectorWeight(bias, matrix.bias))
    return writer.graph.node("Add", [product, bias_name], f"{name}/Add")


def matrix_weight(writer: Writer, name: str, matrix: Source, scheme: Scheme | None = None) -> MatrixWeight:
    """The matrix as the checkpoint has it where that is integers, else as the scheme or the recipe wants it.

    It is not yet in the graph.
    """
    writer.graph.matrices.append(name)
    packed = packed_scheme(matrix) if writer.keeps_packed and isinstance(matrix, Matrix) else None
    scheme = packed or scheme or writer.recipe.scheme_for(name)
    rows, columns = matrix.rows, matrix.columns
    if scheme.is_float:
        data_type = TensorProto.FLOAT16 if scheme.bits == 16 else TensorProto.FLOAT
        return FloatWeight(Tensor(f"{name}.weight", data_type, (rows, columns)), matrix)
    blocks = -(-columns // scheme.block_size)
    block_bytes = scheme.block_size * scheme.bits // 8
    zero_bytes = -(-blocks * scheme.bits // 8)
    data = Tensor(f"{name}.weight_Q{scheme.bits}", TensorProto.UINT8, (rows, blocks, block_bytes))
    scales = Tensor(f"{name}.weight_scales", writer.float_type, (rows, blocks))
    zero_points = (
        None if scheme.is_symmetric else Tensor(f"{name}.weight_zp", TensorProto.UINT8, (rows, zero_bytes))
    )
    if packed and isinstance(matrix, Matrix):
        return RepackedWeight(data, scales, zero_points, matrix, scheme)
    rounding = ROUNDINGS[writer.recipe.rounding]
    met = partial(writer.found.met, name)
    return RoundedWeight(data, scales, zero_points, matrix, scheme, rounding, rows, met)


def product_with(writer: Writer, output: str, source: str, weight: MatrixWeight) -> str:
    """source @ weight.T, with the weight put into the graph unless it is there."""
    graph = writer.graph
    names = [tensor.name for tensor in weight.tensors]
    graph.weight_once(weight)
    if isinstance(weight, FloatWeight):
        tensor = weight.tensor.name
        if weight.tensor.data_type != writer.float_type:
            tensor = graph.node("Cast", [tensor], f"{tensor}/Cast", to=writer.float_type)
        return graph.contrib("FusedMatMul", [source, tensor], output, transB=1)
    return graph.contrib(
        "MatMulNBits",
        [source, *names],
        output,
        K=weight.matrix.columns,
        N=weight.matrix.rows,
        bits=weight.scheme.bits,
        block_size=weight.scheme.block_size,
        accuracy_level=writer.recipe.accuracy_level,
    )
