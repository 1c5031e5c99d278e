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
    _ids: str = ""
    _totals: str = ""
    _rotations: dict[Rope, list[str]] = field(default_factory=dict)

    def read(self, ids: str, mask: str) -> None:
        """Both lengths from the mask, int64 [batch, longest] of ones then zeros; `ids` are [batch, tokens]."""
        graph = self.writer.graph
        one = graph.constant("constants/one", np.array([1], np.int64))
        self._ids = ids
        self._totals = graph.node("ReduceSum", [mask, one], "positions/ReduceSum", keepdims=0)
        last = graph.node("Sub", [self._totals, one], "positions/Sub")
        self.lengths = graph.node("Cast", [last], "positions/lengths", to=TensorProto.INT32)
        self.longest = graph.node("Cast", [self._size(mask)], "positions/longest", to=TensorProto.INT32)

    def rotation(self, rope: Rope) -> list[str]:
        """The last inputs of attention: cosines and sines, and where it must be told which rows of them to take."""
        if rope not in self._rotations:
            suffix = f"_{len(self._rotations)}" if self._rotations else ""
            names = self._caches(rope, suffix)
            if rope.long is not None:
                names.append(self._places(rope.long_from, suffix))
            self._rotations[rope] = names
        return self._rotations[rope]

    def _caches(self, rope: Rope, suffix: str) -> list[str]:
        """Cosines and sines, [positions, pairs]; those for long texts follow the ones for short texts."""
        parts = [(rope, self.context_length)]
        if rope.long is not None:
            parts = [(rope, rope.long_from), (rope.long, self.context_length)]
        shape = (sum(length for _, length in parts), len(rope.inverse_frequencies))
        names = []
        for part, function in (("cos", np.cos), ("sin", np.sin)):
            tensor = Tensor(f"{part}_cache{suffix}", self.writer.float_type, shape)
            names += self.writer.graph.weight(TableWeight(tensor, partial(_values, parts, function)))
        return names

    def _places(self, limit: int, suffix: str) -> str:
        """int64 [batch, tokens]: the rows of the caches, `limit` further down for each text that is longer."""
        graph, name = self.writer.graph, f"positions/rows{suffix}"
        most = graph.constant(f"constants/long_from{suffix}", np.array(limit, np.int64))
        zero, step = (graph.constant(f"constants/{n}", np.array(n, np.int64)) for n in (0, 1))
        is_long = graph.node("Greater", [self._totals, most], f"{name}/is_long")
        shift = graph.node("Where", [is_long, most, zero], f"{name}/shift")
        ends = graph.node("Add", [self._totals, shift], f"{name}/ends")
        axis = graph.constant("constants/one", np.array([1], np.int64))
        column = graph.node("Unsqueeze", [ends, axis], f"{name}/column")
        before = graph.node("Neg", [self._size(self._ids)], f"{name}/before")
        steps = graph.node("Range", [before, zero, step], f"{name}/steps")
        return graph.node("Add", [column, steps], name)

    def _size(self, source: str) -> str:
        """The second dimension, int64."""
        graph = self.writer.graph
        shape = graph.node("Shape", [source], f"{source}/Shape")
        index = graph.constant("constants/1", np.array(1, np.int64))
        return graph.node("Gather", [shape, index], f"{source}/width", axis=0)


def _values(parts: list[tuple[Rope, int]], function: np.ufunc, start: int, stop: int) -> np.ndarray:
    """Rows `start` to `stop` of the parts one below the other, each a frequency set with its number of positions."""
    pieces, first = [], 0
    for rope, length in parts:
        begin, end = max(start - first, 0), min(stop - first, length)
        if begin < end:
            # In float32, as the models were trained: float64 angles would be others far out.
            frequencies = np.asarray(rope.inverse_frequencies, np.float32)
            angles = np.arange(begin, end, dtype=np.float32)[:, None] * frequencies
            pieces.append(function(angles) * np.float32(rope.attention_factor))
        first += length
    return np.concatenate(pieces)
