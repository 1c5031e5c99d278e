"""The graph has the operators that ONNX Runtime's kernels want, and no matrix in it twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, TensorProto

from checkpoints import write_llama
from golden_checkpoint import golden_checkpoint
from hearth.quantize.architectures.registry import describe
from hearth.quantize.builder import plan
from hearth.quantize.calibration.findings import Findings, expert_part
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.graph.decoder_graph import decoder_graph
from hearth.quantize.recipe import Recipe
from hearth.quantize.rounding.inputs import Inputs
from hearth.quantize.rounding.scale_search import round_scale_search
from hearth.quantize.weights import RoundedWeight


def graph_of(folder: Path, recipe: Recipe) -> GraphProto:
    planned = plan(Checkpoint.open(folder), recipe)
    graph: GraphProto = planned.graph.model(planned.places).graph
    return graph


def operators(graph: GraphProto) -> Counter[str]:
    return Counter(node.op_type for node in graph.node)


def places(graph: GraphProto) -> dict[str, str]:
    """Where each tensor lies in the file of weights."""
    return {
        tensor.name: entry.value
        for tensor in graph.initializer
        for entry in tensor.external_data
        if entry.key == "offset"
    }


def test_operators_are_fused(tmp_path: Path) -> None:
    write_llama(tmp_path, layers=3)
    graph = graph_of(tmp_path, Recipe(name="x"))
    found = operators(graph)
    assert found["GroupQueryAttention"] == 3
    assert found["SkipSimplifiedLayerNormalization"] == 6
    assert found["SimplifiedLayerNormalization"] == 1  # before the first layer there is nothing to add
    assert found["MatMulNBits"] == 5 * 3 + 1  # query, key and value are one
    assert found["MatMul"] == found["RotaryEmbedding"] == 0
    attention = next(node for node in graph.node if node.op_type == "GroupQueryAttention")
    assert {part.name: part.i for part in attention.attribute}["do_rotary"] == 1


def test_a_head_that_is_the_embedding_is_in_the_file_once(tmp_path: Path) -> None:
    write_llama(tmp_path)
    graph = graph_of(tmp_path, Recipe(name="x"))
    lookup = next(node for node in graph.node if node.op_type == "GatherBlockQuantized")
    head = next(node for node in graph.node if node.output[0].startswith("lm_head/MatMul"))
    where = places(graph)
    assert where[lookup.input[0]] == where[head.input[1]]
    assert lookup.input[2] == head.input[2]  # the scales


def test_logits_are_made_of_the_last_position_alone(tmp_path: Path) -> None:
    write_llama(tmp_path, vocabulary=128)
    graph = graph_of(tmp_path, Recipe(name="x"))
    logits = next(value for value in graph.output if value.name == "logits")
    shape = [part.dim_value for part in logits.type.tensor_type.shape.dim]
    assert shape[1:] == [1, 128]


def test_experts_are_one_operator_in_each_layer(tmp_path: Path) -> None:
    checkpoint = golden_checkpoint("qwen3_moe", tmp_path)
    found = operators(graph_of(checkpoint, Recipe(name="x", block_size=16)))
    assert found["QMoE"] > 0
    assert found["QMoE"] + found["MoE"] <= found["GroupQueryAttention"]


def test_each_expert_is_rounded_for_what_it_meets_itself(tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(golden_checkpoint("qwen3_moe", tmp_path))
    decoder, found = describe(checkpoint), Findings()
    recipe = Recipe(name="x", bits=2, block_size=16, rounding="scale-search")
    graph = decoder_graph(decoder, checkpoint, recipe, found)
    module = "model.layers.0.mlp.experts.down_proj"
    (weight,) = (one for one in graph.weights if one.tensors[0].name.startswith(module))
    assert isinstance(weight, RoundedWeight)
    height, columns = weight.height, weight.matrix.columns
    ways = np.random.default_rng(0).exponential(1, (4, columns)).astype(np.float32) ** 8
    found.inputs = {expert_part(module, expert): Inputs(ways[expert]) for expert in range(3)}
    found.inputs[module] = Inputs(ways[3])  # of all, for the expert that nothing more is known of
    assert weight.rows == 4 * height
    alone = [
        round_scale_search(
            weight.matrix.floats(expert * height, (expert + 1) * height), weight.scheme, inputs
        )
        for expert, inputs in enumerate(map(Inputs, ways))
    ]
    scales = np.concatenate([rounded.scales for rounded in alone])
    assert np.array_equal(weight.make(0, weight.rows)[1], scales)
    assert np.array_equal(weight.make(height - 3, 2 * height + 5)[1], scales[height - 3 : 2 * height + 5])
    found.inputs.clear()
    assert not np.array_equal(weight.make(0, weight.rows)[1], scales)


def test_a_model_for_the_gpu_has_16_bit_floats_all_through(tmp_path: Path) -> None:
    write_llama(tmp_path)
    graph = graph_of(tmp_path, Recipe(name="x", target="gpu"))
    values = [*graph.input, *graph.output]
    floats = {value.type.tensor_type.elem_type for value in values} - {TensorProto.INT64}
    assert floats == {TensorProto.FLOAT16}
    kept = {
        tensor.data_type
        for tensor in graph.initializer
        if onnx.external_data_helper.uses_external_data(tensor)
    }
    assert kept == {TensorProto.FLOAT16, TensorProto.UINT8}
