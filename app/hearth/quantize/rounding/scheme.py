"""How the numbers of one matrix are kept."""

from __future__ import annotations

from dataclasses import dataclass

FLOAT_BITS = (16, 32)
# What `MatMulNBits` and `GatherBlockQuantized` of ONNX Runtime 1.32 take on the processor: 3, 5 and 6 bits are refused.
INTEGER_BITS = (2, 4, 8)
BITS = (*INTEGER_BITS, *FLOAT_BITS)
BLOCK_SIZES = (16, 32, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class Scheme:
    """Integers in blocks along each row, or floats.

    Attributes:
        bits: of one number; 16 and 32 are floats, and nothing else counts then.
        block_size: numbers that share a scale.
        is_symmetric: without a zero point for each block.
    """

    bits: int = 4
    block_size: int = 32
    is_symmetric: bool = True

    @property
    def is_float(self) -> bool:
        return self.bits in FLOAT_BITS

    def bytes(self, rows: int, columns: int, scale_bytes: int = 4) -> int:
        """What a matrix takes, with its scales and zero points."""
        if self.is_float:
            return rows * columns * self.bits // 8
        blocks = -(-columns // self.block_size)
        zero_bytes = 0 if self.is_symmetric else -(-blocks * self.bits // 8)
        return rows * (blocks * (self.block_size * self.bits // 8 + scale_bytes) + zero_bytes)
