"""One layer of the unquantized model, run by ONNX Runtime with weights that may be replaced for a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder
from hearth.quantize.graph.attention import KINDS, past_name, present_name
from hearth.quantize.graph.decoder_graph import decoder_layer
from hearth.quantize.graph.graph import Graph
from hearth.quantize.graph.linear import Mixture, Product, Writer
from hearth.quantize.graph.norms import Residual
from hearth.quantize.graph.positions import Positions
from hearth.quantize.piece_session import PieceSession
from hearth.quantize.recipe import Recipe
from hearth.quantize.weights import Weight

_FLOATS = Recipe(name="float32", bits=32)
OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class LayerSession:
    """A layer with its weights in memory.

    Attributes:
        products, mixtures: as in `Writer`.
        caches: by the name of each past, that of its present; [kv_heads, tokens, head_dim] where it is asked for.
        weights: float32, by their tensors' names.
    """

    session: PieceSession
    products: dict[str, Product]
    mixtures: dict[str, Mixture]
    caches: dict[str, str]
    weights: dict[str, np.ndarray]

    @classmethod
    def open(cls, checkpoint: Checkpoint, decoder: Decoder, number: int, threads: int) -> LayerSession:
        """Read layer `number`.

        Raises:
            ModelFileInvalid, ModelFileTruncated: the checkpoint fails a check.
            ModelRunFailed: onnxruntime refuses the layer.
        """
        graph = Graph()
        writer = Writer(graph, checkpoint, _FLOATS, keeps_packed=False)
        mask = graph.input("attention_mask", TensorProto.INT64, ["batch_size", "total_sequence_length"])
        positions = Positions(writer, decoder.context_length)
        positions.read(mask)
        shape: list[int | str] = ["batch_size", "sequence_length", decoder.hidden_size]
        residual = Residual(writer, graph.input("hidden", TensorProto.FLOAT, shape))
        decoder_layer(writer, residual, decoder.layers[number], number, positions)
        graph.node("Identity", [residual.settle("sum")], OUTPUT)
        scores = [mixture.scores for mixture in writer.mixtures.values()]
        for name in (OUTPUT, *_sources(writer.products, writer.mixtures), *scores):
            graph.output(name, TensorProto.FLOAT, [*shape[:2], f"{name}_channels"])
        session = PieceSession(graph.model_without_weights(), checkpoint.name, threads)
        caches = {past_name(number, kind): present_name(number, kind) for kind in KINDS}
        weights = dict(map(_whole, graph.weights))
        return cls(session, writer.products, writer.mixtures, caches, weights)

    @property
    def met(self) -> list[str]:
        """The tensors that the layer's matrices meet, but for the second ones of experts, whose operator shows none."""
        return _sources(self.products, self.mixtures)

    @property
    def scores(self) -> list[str]:
        """The tensors of what its routers say of experts."""
        return [mixture.scores for mixture in self.mixtures.values()]

    def run(
        self, hidden: np.ndarray, outputs: Sequence[str], replaced: Mapping[str, np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """These outputs, each [tokens, channels] unless it is a cache.

        Args:
            hidden: float32 [tokens, hidden_size], one sequence from its start.
            replaced: matrices other than the layer's own, by their modules' names.
        """
        tensors = {f"{name}.weight": values for name, values in (replaced or {}).items()}
        given = {name: values.reshape(self.weights[name].shape) for name, values in tensors.items()}
        values = {**self.weights, **given, "hidden": hidden[None]}
        return [output[0] for output in self.session.run(values, len(hidden), outputs)]

    def run_all(self, sequences: np.ndarray, replaced: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
        """The sums after the layer, float32 [sequences, tokens, hidden_size] as those before it."""
        return np.stack([self.run(sequence, [OUTPUT], replaced)[0] for sequence in sequences])


def _sources(products: Mapping[str, Product], mixtures: Mapping[str, Mixture]) -> list[str]:
    parts: list[Product | Mixture] = [*products.values(), *mixtures.values()]
    return list(dict.fromkeys(part.source for part in parts))


def _whole(weight: Weight) -> tuple[str, np.ndarray]:
    (tensor,) = weight.tensors
    (values,) = weight.make(0, weight.rows)
    return tensor.name, values.reshape(tensor.shape)
