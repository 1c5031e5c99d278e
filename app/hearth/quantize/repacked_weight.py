"""A matrix that is int4 in the checkpoint: its codes, scales and zero points go into the graph as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hearth.errors import CheckpointUnsupported
from hearth.i18n import tr
from hearth.quantize.checkpoint.packed_tensor import PER_WORD, PackedTensor
from hearth.quantize.decoder import Rows
from hearth.quantize.rounding.blocks import RoundedRows
from hearth.quantize.rounding.scheme import Scheme
from hearth.quantize.weights import Matrix, Tensor, stored


def packed_scheme(matrix: Matrix) -> Scheme | None:
    """How the matrix is kept, where the checkpoint has it as integers; None where it has floats.

    Raises:
        CheckpointUnsupported: it has both, or in different blocks.
    """
    tensors = [matrix.checkpoint.tensor(part.tensor) for part in matrix.parts]
    packed = [tensor for tensor in tensors if isinstance(tensor, PackedTensor)]
    if not packed:
        return None
    blocks = {tensor.block_size for tensor in packed}
    if len(packed) < len(tensors) or len(blocks) > 1:
        reason = tr(
            "its matrix “{name}” belongs with others that are quantized otherwise", name=packed[0].name[:100]
        )
        raise CheckpointUnsupported(name=matrix.checkpoint.name, reason=reason)
    return Scheme(packed[0].scheme.bits, blocks.pop(), all(tensor.scheme.is_symmetric for tensor in packed))


@dataclass(frozen=True, slots=True)
class RepackedWeight:
    """As a `RoundedWeight`, without rounding."""

    data: Tensor
    scales: Tensor
    zero_points: Tensor | None
    matrix: Matrix
    scheme: Scheme

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (self.data, self.scales, *((self.zero_points,) if self.zero_points else ()))

    @property
    def rows(self) -> int:
        return self.data.shape[0]

    @property
    def row_numbers(self) -> int:
        return self.matrix.columns // PER_WORD

    def make(self, start: int, stop: int) -> tuple[np.ndarray, ...]:
        pieces = [self._part(part, begin, end) for part, begin, end in self.matrix.pieces(start, stop)]
        rows = RoundedRows.joined(pieces)
        made = (rows.packed(), stored(rows.scales, self.scales))
        zero_points = rows.packed_zero_points()
        return made if self.zero_points is None or zero_points is None else (*made, zero_points)

    def _part(self, part: Rows, start: int, stop: int) -> RoundedRows:
        tensor = self.matrix.checkpoint.tensor(part.tensor)
        if not isinstance(tensor, PackedTensor):
            raise TypeError(part.tensor)
        codes = tensor.codes(start, stop)
        if part.times == 1:
            return codes
        return RoundedRows(codes.bits, codes.codes, codes.scales * np.float32(part.times), codes.zero_points)
