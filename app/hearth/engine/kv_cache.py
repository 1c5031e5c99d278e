"""The keys and values of all sequences, in slots.

Per layer one key and one value buffer of shape [slots, kv_heads, length, head_dim], bound to the model as past and
present at once: the attention kernel writes new tokens in place. A sequence owns one slot; a decode batch is a
contiguous range of slots, so it is bound by a pointer and never gathered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hearth.engine.kv_memory import HOST, KVBuffer, KVMemory

# Buffer lengths are multiples of this, so that a growing sequence is bound anew only once in so many tokens.
LENGTH_STEP = 64
FIRST_LENGTH = 512


def round_up(length: int) -> int:
    """The next multiple of LENGTH_STEP."""
    return -(-length // LENGTH_STEP) * LENGTH_STEP


@dataclass(frozen=True, slots=True)
class KVShape:
    """What one token's keys and values are made of."""

    layers: int
    kv_heads: int
    head_dim: int
    dtype: np.dtype[Any]

    @property
    def bytes_per_token(self) -> int:
        return 2 * self.layers * self.kv_heads * self.head_dim * self.dtype.itemsize


class KVCache:
    """Slot buffers that grow on demand inside a byte budget.

    Attributes:
        memory: where they lie.
        keys, values: per layer, [slots, kv_heads, length, head_dim].
        lengths: tokens held in each slot, int64 [max_slots].
        generation: changes whenever the buffers move, so that bindings know that they are stale.
    """

    def __init__(
        self,
        shape: KVShape,
        *,
        max_slots: int,
        max_length: int,
        byte_budget: int,
        memory: KVMemory = HOST,
    ) -> None:
        self.shape = shape
        self.memory = memory
        self.max_slots = max_slots
        self.max_length = round_up(max_length)
        self.byte_budget = byte_budget
        self.lengths = np.zeros(max_slots, np.int64)
        self.generation = 0
        self.slots = 0
        self.length = 0
        self.keys: list[KVBuffer] = []
        self.values: list[KVBuffer] = []

    @property
    def allocated_bytes(self) -> int:
        return self.slots * self.length * self.shape.bytes_per_token

    def reserve(self, slots: int, length: int) -> bool:
        """Make slots 0 to `slots`-1 hold `length` tokens each; False where the budget does not allow it.

        Grows generously where that is affordable, since growing copies; gives up slots or length that nobody asks
        for where it is not. What lies in the first `slots` slots is kept.
        """
        length = round_up(length)
        if slots <= self.slots and length <= self.length:
            return True
        if slots > self.max_slots or length > self.max_length:
            return False
        wide, long = max(slots, self.slots), max(length, self.length)
        # Doubling keeps the copying linear in what is held in the end.
        wider = min(self.max_slots, max(slots, 2 * self.slots)) if slots > self.slots else wide
        longer = (
            min(self.max_length, max(length, 2 * self.length, FIRST_LENGTH)) if long > self.length else long
        )
        choices = (
            (wider, longer),
            (wide, longer),
            (wide, long),
            (slots, long),
            (wide, length),
            (slots, length),
        )
        for choice in choices:
            if self._affordable(*choice):
                self._reallocate(*choice)
                return True
        return False

    def _affordable(self, slots: int, length: int) -> bool:
        return slots * length * self.shape.bytes_per_token <= self.byte_budget

    def _reallocate(self, slots: int, length: int) -> None:
        kept = [
            (slot, int(self.lengths[slot])) for slot in range(min(slots, self.slots)) if self.lengths[slot]
        ]
        for buffers in (self.keys, self.values):
            # Layer by layer, so that growing needs the extra memory of one layer only.
            for layer in range(self.shape.layers):
                grown = self._allocate(slots, length)
                if layer < len(buffers):
                    for slot, used in kept:
                        grown.copy_from(buffers[layer], slot, slot, used)
                    buffers[layer] = grown
                else:
                    buffers.append(grown)
        self.slots, self.length = slots, length
        self.generation += 1

    def release(self) -> None:
        """Give all memory back; every slot is empty afterwards."""
        self.keys.clear()
        self.values.clear()
        self.lengths[:] = 0
        self.slots = self.length = 0
        self.generation += 1

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` tokens of slot `source` over slot `target`."""
        for buffer in (*self.keys, *self.values):
            buffer.copy_from(buffer, source, target, length)
        self.lengths[target] = length

    def move(self, source: int, target: int) -> None:
        """Copy slot `source` over slot `target`; the source is empty afterwards."""
        self.copy(source, target, int(self.lengths[source]))
        self.lengths[source] = 0

    def swap(self, first: int, second: int) -> None:
        """Exchange two slots."""
        used = int(max(self.lengths[first], self.lengths[second]))
        spare = self._allocate(1, round_up(max(used, 1)))
        for buffer in (*self.keys, *self.values):
            spare.copy_from(buffer, first, 0, used)
            buffer.copy_from(buffer, second, first, used)
            buffer.copy_from(spare, 0, second, used)
        self.lengths[[first, second]] = self.lengths[[second, first]]

    def _allocate(self, slots: int, length: int) -> KVBuffer:
        return self.memory.allocate(
            (slots, self.shape.kv_heads, length, self.shape.head_dim), self.shape.dtype
        )
