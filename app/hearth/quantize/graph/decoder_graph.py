"""The graph of a whole decoder, in the form that onnxruntime-genai gave it."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from hearth.quantize.calibration.findings import Findings
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder, Layer, Mlp
from hearth.quantize.graph.attention import attention
from hearth.quantize.graph.embedding import embed, logits
from hearth.quantize.graph.experts import experts
from hearth.quantize.graph.folds import Fold, folds
from hearth.quantize.graph.graph import Graph
from hearth.quantize.graph.linear import Writer
from hearth.quantize.graph.mlp import mlp
from hearth.quantize.graph.norms import Residual, normalize
from hearth.quantize.graph.positions import Positions
from hearth.quantize.recipe import Recipe
from hearth.quantize.weights import Tensor, VectorWeight

FACTORS = ".awq_factors"


def decoder_graph(
    decoder: Decoder, checkpoint: Checkpoint, recipe: Recipe, found: Findings | None = None
) -> Graph:
    """`input_ids` [batch, tokens], `attention_mask` [batch, total] and the past to `logits` and the present.

    Args:
        found: as in `Writer`.

    Raises:
        ModelFileInvalid: a tensor is missing, or of an unexpected shape.
    """
    graph = Graph()
    writer = Writer(graph, checkpoint, recipe, found or Findings())
    ids = graph.input("input_ids", TensorProto.INT64, ["batch_size", "sequence_length"])
    mask = graph.input("attention_mask", TensorProto.INT64, ["batch_size", "total_sequence_length"])
    positions = Positions(writer, decoder.context_length)
    positions.read(mask)
    residual = Residual(writer, embed(writer, decoder, ids))
    for number, layer in enumerate(decoder.layers):
        graph.seams.append((residual.sum, residual.added))
        decoder_layer(writer, residual, layer, number, positions)
    graph.seams.append((residual.sum, residual.added))
    hidden = residual.normalized("model.norm", decoder.final_norm)
    graph.seams.append((hidden, ""))
    logits(writer, decoder, hidden)
    return graph


def layer_prefix(number: int) -> str:
    """What the names of all modules of a layer begin with."""
    return f"model.layers.{number}."


def decoder_layer(
    writer: Writer, residual: Residual, layer: Layer, number: int, positions: Positions
) -> None:
    """Layer `number`, from one sum to the next."""
    name = f"model.layers.{number}"
    if writer.recipe.is_scaled:
        for fold in folds(writer.checkpoint, layer, number):
            _keep_factors(writer, fold)
    norm = f"{name}.input_layernorm"
    source = (
        residual.normalized(norm, layer.attention_norm)
        if layer.attention_norm
        else residual.settle(f"{name}/sum")
    )
    attended = attention(writer, f"{name}.attn", source, layer.attention, number, positions, norm)
    if layer.post_attention_norm:
        attended = normalize(writer, f"{name}.post_attention_layernorm", attended, layer.post_attention_norm)
    residual.add(f"{name}.attn", attended)
    norm = f"{name}.pre_feedforward_layernorm"
    source = (
        residual.normalized(norm, layer.mlp_norm) if layer.mlp_norm else residual.settle(f"{name}/middle")
    )
    fed = (
        mlp(writer, f"{name}.mlp", source, layer.mlp, norm)
        if isinstance(layer.mlp, Mlp)
        else experts(writer, f"{name}.mlp", source, layer.mlp)
    )
    if layer.post_mlp_norm:
        fed = normalize(writer, f"{name}.post_feedforward_layernorm", fed, layer.post_mlp_norm)
    residual.add(f"{name}.mlp", fed)


def _keep_factors(writer: Writer, fold: Fold) -> None:
    """Put the fold's factors into the file of weights. No operator uses them: the quality report undoes them."""
    tensor = Tensor(f"{fold.name}{FACTORS}", TensorProto.FLOAT, (fold.channels,))
    ones = np.ones(fold.channels, np.float32)
    writer.graph.weight(VectorWeight(tensor, lambda: writer.found.folds.get(fold.name, ones)))
