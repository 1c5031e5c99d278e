"""Norms in the graph, and the sum that runs through all layers beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hearth.quantize.decoder import Norm
from hearth.quantize.graph.graph import CONTRIB
from hearth.quantize.graph.linear import Writer
from hearth.quantize.weights import Tensor, VectorWeight, vector


def norm_weight(writer: Writer, name: str, norm: Norm) -> str:
    """The norm's weight in the graph."""
    checkpoint = writer.checkpoint
    channels = checkpoint.tensor(norm.weight.tensor).row_shape
    tensor = Tensor(f"{name}.weight", writer.float_type, channels)

    def values() -> np.ndarray:
        divisors = writer.found.folds.get(name)
        plain = vector(checkpoint, norm.weight)
        return plain if divisors is None else plain / divisors

    (weight,) = writer.graph.weight(VectorWeight(tensor, values))
    return weight


def normalize(writer: Writer, name: str, source: str, norm: Norm) -> str:
    """RMSNorm over the last dimension."""
    return writer.graph.node(
        "SimplifiedLayerNormalization",
        [source, norm_weight(writer, name, norm)],
        f"{name}/LayerNorm",
        axis=-1,
        epsilon=norm.epsilon,
        stash_type=1,
    )


@dataclass
class Residual:
    """The sum that each part of a layer adds to. An addition waits for the norm that follows: one kernel does both."""

    writer: Writer
    sum: str
    added: str = ""

    def add(self, name: str, value: str) -> None:
        """Add the output of the part `name`."""
        if self.added:
            self.settle(name + "/Add")
        self.added = value

    def settle(self, name: str) -> str:
        """The sum as it stands."""
        if self.added:
            self.sum = self.writer.graph.node("Add", [self.sum, self.added], name)
            self.added = ""
        return self.sum

    def normalized(self, name: str, norm: Norm) -> str:
        """The sum's norm."""
        if not self.added:
            return normalize(self.writer, name, self.sum, norm)
        output, total = f"{name}/SkipLayerNorm", f"{name}/sum"
        self.writer.graph.nodes(
            "SkipSimplifiedLayerNormalization",
            [self.sum, self.added, norm_weight(self.writer, name, norm)],
            [output, "", "", total],
            CONTRIB,
            epsilon=norm.epsilon,
        )
        self.sum, self.added = total, ""
        return output
