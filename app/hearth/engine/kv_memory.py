"""The seam between the slot buffers and the memory that they lie in: the host's, or a device's of its own."""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

Shape = tuple[int, int, int, int]


class KVBuffer(Protocol):
    """The keys or the values of one layer: [slots, kv_heads, length, head_dim], contiguous.

    What a method does is done when it returns, so that a run may follow. The memory goes when nobody refers to it.
    """

    @property
    def shape(self) -> Shape: ...

    def pointer(self, slot: int) -> int:
        """The address of a slot, for a binding."""
        ...

    def copy_from(self, source: Any, source_slot: int, slot: int, length: int) -> None:
        """Copy the first `length` tokens of a slot of `source` over those of `slot`.

        Args:
            source: a buffer of the same memory, of any length.
        """
        ...

    def read(self, slot: int, length: int) -> np.ndarray:
        """The first `length` tokens of a slot, as an array [kv_heads, length, head_dim] of their own."""
        ...

    def write(self, slot: int, tokens: np.ndarray) -> None:
        """Write an array [kv_heads, length, head_dim] over the first `length` tokens of a slot."""
        ...


class KVMemory(Protocol):
    """Where slot buffers lie.

    Attributes:
        device: its name in a binding of ONNX Runtime.
    """

    device: str

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> KVBuffer:
        """A buffer of zeros: attention multiplies what lies behind a row's end by nothing, and NaN would stay NaN.

        Raises:
            MemoryError, OSError: there is no room.
        """
        ...

    def free_bytes(self) -> int | None:
        """What is free of it; None where memory is the machine's, of which the settings say how much may be used."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class HostBuffer:
    """A buffer in this process's memory."""

    array: np.ndarray

    @property
    def shape(self) -> Shape:
        slots, heads, length, head_dim = self.array.shape
        return slots, heads, length, head_dim

    def pointer(self, slot: int) -> int:
        return self.array.ctypes.data + slot * self.array.strides[0]

    def copy_from(self, source: Self, source_slot: int, slot: int, length: int) -> None:
        self.array[slot, :, :length] = source.array[source_slot, :, :length]

    def read(self, slot: int, length: int) -> np.ndarray:
        return self.array[slot, :, :length].copy()

    def write(self, slot: int, tokens: np.ndarray) -> None:
        self.array[slot, :, : tokens.shape[1]] = tokens


class HostMemory:
    """This process's memory, straight from the system."""

    device = "cpu"

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> HostBuffer:
        # Zeros, page by page as they are first used. Not numpy's: its allocator may hand out old memory, which it must
        # clear at once, and keep what is freed.
        pages = mmap.mmap(-1, math.prod(shape) * dtype.itemsize)
        return HostBuffer(np.frombuffer(pages, dtype).reshape(shape))

    def free_bytes(self) -> int | None:
        return None


HOST = HostMemory()
