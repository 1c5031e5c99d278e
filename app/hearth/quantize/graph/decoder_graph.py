"""The graph of a whole decoder, in the form that onnxruntime-genai gave it."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import TensorProto

from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder, Layer, Mlp
from hearth.quantize.graph.attention import attention
from hearth.quantize.graph.embedding import embed, logits
from hearth.quantize.graph.experts import experts
from hearth.quantize.graph.graph import Graph
from hearth.quantize.graph.linear import Writer
from hearth.quantize.graph.mlp import mlp
from hearth.quantize.graph.norms import Residual, normalize
from hearth.quantize.graph.positions import Positions
from hearth.quantize.recipe import Recipe
from hearth.quantize.rounding.inputs import Inputs


def decoder_graph(
    decoder: Decoder, checkpoint: Checkpoint, recipe: Recipe, inputs: Mapping[str, Inputs] | None = None
) -> Graph:
    """`input_ids` [batch, tokens], `attention_mask` [batch, total] and the past to `logits` and the present.

    Args:
        inputs: as in `Writer`.

    Raises:
        ModelFileInvalid: a tensor is missing, or of an unexpected shape.
    """
    graph = Graph()
    writer = Writer(graph, checkpoint, recipe, {} if inputs is None else inputs)
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
    source = (
        residual.normalized(f"{name}.input_layernorm", layer.attention_norm)
        if layer.attention_norm
        else residual.settle(f"{name}/sum")
    )
    attended = attention(writer, f"{name}.attn", source, layer.attention, number, positions)
    if layer.post_attention_norm:
        attended = normalize(writer, f"{name}.post_attention_layernorm", attended, layer.post_attention_norm)
    residual.add(f"{name}.attn", attended)
    source = (
        residual.normalized(f"{name}.pre_feedforward_layernorm", layer.mlp_norm)
        if layer.mlp_norm
        else residual.settle(f"{name}/middle")
    )
    fed = (
        mlp(writer, f"{name}.mlp", source, layer.mlp)
        if isinstance(layer.mlp, Mlp)
        else experts(writer, f"{name}.mlp", source, layer.mlp)
    )
    if layer.post_mlp_norm:
        fed = normalize(writer, f"{name}.post_feedforward_layernorm", fed, layer.post_mlp_norm)
    residual.add(f"{name}.mlp", fed)
