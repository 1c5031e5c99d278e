"""The first and the last matrix of a model, which many models share."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from hearth.quantize.decoder import Decoder, Rows
from hearth.quantize.graph.linear import MatrixWeight, Writer, linear, matrix_weight, product_with
from hearth.quantize.recipe import EMBEDDING, HEAD
from hearth.quantize.weights import FloatWeight


def embed(writer: Writer, decoder: Decoder, ids: str) -> str:
    """The rows of the embedding for these tokens."""
    graph = writer.graph
    weight = _table(writer, decoder)
    output = f"{EMBEDDING}/Gather"
    graph.weight_once(weight)
    if isinstance(weight, FloatWeight):
        rows = graph.node("Gather", [weight.tensor.name, ids], output)
        if weight.tensor.data_type != writer.float_type:
            rows = graph.node("Cast", [rows], f"{output}/Cast", to=writer.float_type)
    else:
        flat = (weight.rows, weight.data.bytes // weight.rows)
        table = graph.alias(f"{EMBEDDING}.weight_rows", flat, weight.data)
        zero_points = [weight.zero_points.name] if weight.zero_points else []
        rows = graph.contrib(
            "GatherBlockQuantized",
            [table, ids, weight.scales.name, *zero_points],
            output,
            bits=weight.scheme.bits,
            block_size=weight.scheme.block_size,
            gather_axis=0,
            quantize_axis=1,
        )
        if decoder.hidden_size % weight.scheme.block_size:  # the operator gives whole blocks
            bounds = [
                graph.constant(f"constants/{n}", np.array([n], np.int64))
                for n in (0, decoder.hidden_size, -1)
            ]
            rows = graph.node("Slice", [rows, *bounds], f"{output}/Slice")
    if decoder.embedding_times == 1:
        return rows
    dtype = np.float16 if writer.float_type == TensorProto.FLOAT16 else np.float32
    times = graph.constant("constants/embedding_times", np.array(decoder.embedding_times, dtype))
    return graph.node("Mul", [rows, times], f"{EMBEDDING}/Mul")


def _table(writer: Writer, decoder: Decoder) -> MatrixWeight:
    """The embedding; the head's own weight where they are one and the recipe wants both alike."""
    is_shared = decoder.head.weight is None and writer.recipe.shares_embedding
    name = HEAD if is_shared else EMBEDDING
    return matrix_weight(writer, name, writer.matrix((Rows(decoder.embedding),)))


def logits(writer: Writer, decoder: Decoder, hidden: str) -> str:
    """The logits of the last position, pruned as `model_folder/positions.py` and onnxruntime-genai know it."""
    graph = writer.graph
    last = graph.constant("constants/INT64/-1", np.array(-1, np.int64))
    axis = graph.constant("constants/one", np.array([1], np.int64))
    row = graph.node("Gather", [hidden, last], f"{HEAD}/Gather", axis=1)
    chosen = graph.node("Unsqueeze", [row, axis], f"{HEAD}/Unsqueeze")
    if decoder.head.weight is None:
        weight = matrix_weight(writer, HEAD, writer.matrix((Rows(decoder.embedding),)))
        scores = product_with(writer, f"{HEAD}/MatMul", chosen, weight)
    else:
        scores = linear(writer, HEAD, chosen, decoder.head.weight)
    if decoder.head.softcap:
        dtype = np.float16 if writer.float_type == TensorProto.FLOAT16 else np.float32
        cap = graph.constant("constants/logits_softcap", np.array(decoder.head.softcap, dtype))
        scaled = graph.node("Div", [scores, cap], f"{HEAD}/Div")
        scores = graph.node("Mul", [graph.node("Tanh", [scaled], f"{HEAD}/Tanh"), cap], f"{HEAD}/Mul")
    graph.output("logits", writer.float_type, ["batch_size", 1, decoder.vocab_size])
    return graph.node("Identity", [scores], "logits")
