"""Who owns which slot.

Running sequences hold slots 0 to n-1 without a gap, because a decode batch is a contiguous range; sequences whose
prompt is being read hold any slots behind them.
"""

from __future__ import annotations

from hearth.engine.model_runner import ModelRunner
from hearth.engine.sequence import Sequence


class SlotTable:
    """Slots and their owners; keeps the runner's cache in step with every change.

    Attributes:
        running: how many sequences decode; they own slots 0 to running-1.
    """

    def __init__(self, runner: ModelRunner) -> None:
        self._runner = runner
        self._owners: list[Sequence | None] = [None] * runner.max_slots
        self.running = 0

    def first_free(self) -> int | None:
        """The slot that the next sequence would get; None where all are taken."""
        for slot in range(self.running, len(self._owners)):
            if self._owners[slot] is None:
                return slot
        return None

    def owners(self) -> list[Sequence]:
        """Every sequence that owns a slot, in order of slots."""
        return [owner for owner in self._owners if owner is not None]

    def decoding(self) -> list[Sequence]:
        """The running sequences, in order of slots."""
        return [owner for owner in self._owners[: self.running] if owner is not None]

    def span(self) -> int:
        """Slots from 0 to the last one that is taken."""
        return max((slot + 1 for slot, owner in enumerate(self._owners) if owner is not None), default=0)

    def compact(self) -> bool:
        """Move the highest prompt that is being read into a free slot below it; whether there was one.

        A prompt in a high slot keeps the cache wider than its sequences need.
        """
        free, highest = self.first_free(), self.span() - 1
        owner = self._owners[highest]
        if free is None or free > highest or owner is None:
            return False
        self._runner.move(highest, free)
        self._owners[highest], self._owners[free] = None, owner
        owner.slot = free
        return True

    def take(self, sequence: Sequence, slot: int) -> None:
        """Give a free slot to a sequence."""
        self._owners[slot] = sequence
        sequence.slot = slot

    def start(self, sequence: Sequence) -> None:
        """Its prompt is read: move it to the end of the running range."""
        source, target = sequence.slot, self.running
        if source != target:
            other = self._owners[target]
            if other is None:
                self._runner.move(source, target)
            else:
                self._runner.swap(source, target)
                other.slot = source
            self._owners[source], self._owners[target] = other, sequence
            sequence.slot = target
        self.running += 1

    def release(self, sequence: Sequence) -> None:
        """Free its slot at once; the last running sequence closes the gap."""
        slot = sequence.slot
        self._runner.free(slot)
        self._owners[slot] = None
        sequence.slot = -1
        if slot < self.running:
            self.running -= 1
            last = self._owners[self.running]
            if last is not None:
                self._runner.move(self.running, slot)
                self._owners[slot], self._owners[self.running] = last, None
                last.slot = slot
