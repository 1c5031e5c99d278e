"""One layer cut out of a decoder's graph, from one hidden state to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto

from hearth.quantize.graph.graph import Graph
from hearth.quantize.piece_session import PieceSession
from hearth.quantize.quality.graph_piece import cut_out

HIDDEN_RANK = 3  # [batch, tokens, hidden]


@dataclass(frozen=True, slots=True)
class LayerPiece:
    """Layer `number`, or the last norm where it is as many as there are layers.

    Attributes:
        float_type: of the hidden states, of TensorProto.
    """

    graph: Graph
    number: int
    float_type: int = TensorProto.FLOAT

    def cut_out(self, model: ModelProto) -> ModelProto:
        """The layer of this model, which has the graph."""
        before, after = self.graph.seams[self.number : self.number + 2]
        inputs = {name: (self.float_type, HIDDEN_RANK) for name in before if name}
        return cut_out(model, inputs, [name for name in after if name])

    def run(self, session: PieceSession, hidden: np.ndarray) -> np.ndarray:
        """From the hidden states [tokens, hidden] of one text before the layer to those after it."""
        total, added = self.graph.seams[self.number]
        values = {total: hidden[None]}
        if added:  # the sum is whole already
            values[added] = np.zeros_like(hidden[None])
        outputs = session.run(values, len(hidden))
        whole: np.ndarray = np.sum(outputs, axis=0)[0]
        return whole
