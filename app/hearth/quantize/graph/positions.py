"""What attention is told of positions: lengths from the mask, cosines and sines."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np
from onnx import TensorProto

from hearth.quantize.decoder import Rope
from hearth.quantize.graph.linear import Writer
from hearth.quantize.weights import TableWeight, Tensor


@dataclass
class Positions:
    """Made once, and used by every layer.

    Attributes:
        lengths: int32 [batch], the tokens of each row less one.
        longest: int32, the width of the mask.
    """

    writer: Writer
    context_length: int
    lengths: str = ""
    longest: str = ""
    _rotations: dict[Rope, list[str]] = field(default_factory=dict)

    def read(self, mask: str) -> None:
        """Both lengths from the mask, int64 [batch, longest] of ones then zeros."""
        graph = self.writer.graph
        one = graph.constant("constants/one", np.array([1], np.int64))
        total = graph.node("ReduceSum", [mask, one], "positions/ReduceSum", keepdims=0)
        last = graph.node("Sub", [total, one], "positions/Sub")
        self.lengths = graph.node("Cast", [last], "positions/lengths", to=TensorProto.INT32)
        shape = graph.node("Shape", [mask], f"{mask}/Shape")
        index = graph.constant("constants/1", np.array(1, np.int64))
        width = graph.node("Gather", [shape, index], f"{mask}/width", axis=0)
        self.longest = graph.node("Cast", [width], "positions/longest", to=TensorProto.INT32)

    def rotation(self, rope: Rope) -> list[str]:
        """The last inputs of attention: cosines and sines, [positions, pairs]."""
        if rope not in self._rotations:
            suffix = f"_{len(self._rotations)}" if self._rotations else ""
            shape = (self.context_length, len(rope.inverse_frequencies))
            names = []
            for part, function in (("cos", np.cos), ("sin", np.sin)):
                tensor = Tensor(f"{part}_cache{suffix}", self.writer.float_type, shape)
                names += self.writer.graph.weight(TableWeight(tensor, partial(_values, rope, function)))
            self._rotations[rope] = names
        return self._rotations[rope]


def _values(rope: Rope, function: np.ufunc, start: int, stop: int) -> np.ndarray:
    """Those of the positions from `start` to `stop`."""
    # In float32, as the models were trained: float64 angles would be others far out.
    frequencies = np.asarray(rope.inverse_frequencies, np.float32)
    angles = np.arange(start, stop, dtype=np.float32)[:, None] * frequencies
    values: np.ndarray = function(angles) * np.float32(rope.attention_factor)
    return values
