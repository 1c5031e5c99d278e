"""Who owns which slot, and what ended sequences have left in theirs.

Running sequences hold a contiguous range of slots, because a decode batch is one; sequences whose prompt is being read
hold any others. What an ended sequence computed stays in its slot until the slot is needed, so that a prompt that
begins alike starts from there (RadixAttention, Zheng et al., 2024, with whole slots in place of a tree).
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field

import numpy as np

from hearth.engine.model_runner import ModelRunner
from hearth.engine.sequence import Sequence
from hearth.engine.shared_length import shared_length

# A shorter shared beginning saves less than it costs to look after.
LEAST_SHARED = 16


@dataclass(slots=True, eq=False)
class Leftover:
    """What an ended sequence computed.

    Attributes:
        tokens: ids, int64, those in the slot.
        ended: a number that grows; the lowest is dropped first.
        used: when it ended, in nanoseconds since the epoch.
        is_stored: whether nothing is left to do to find it again after a restart.
    """

    tokens: np.ndarray
    ended: int
    used: int = field(default_factory=time.time_ns)
    is_stored: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a newcomer goes.

    Attributes:
        slot: the slot that it gets.
        source: the slot whose first `shared` tokens are also its own; where that is `slot`, nothing is copied.
    """

    slot: int
    source: int
    shared: int


class SlotTable:
    """Slots and their owners; keeps the runner's cache in step with every change.

    Attributes:
        first, running: how many sequences decode, and the first of their slots.
    """

    def __init__(self, runner: ModelRunner) -> None:
        self._runner = runner
        self._owners: list[Sequence | Leftover | None] = [None] * runner.max_slots
        self._endings = itertools.count()
        self.first = 0
        self.running = 0

    def owners(self) -> list[Sequence]:
        """Every sequence that owns a slot, in order of slots."""
        return [owner for owner in self._owners if isinstance(owner, Sequence)]

    def leftovers(self) -> list[Leftover]:
        """In order of slots."""
        return list(self._leftovers().values())

    def next_to_store(self) -> tuple[int, Leftover] | None:
        """The newest leftover that is not stored, with its slot."""
        waiting = [(slot, leftover) for slot, leftover in self._leftovers().items() if not leftover.is_stored]
        return max(waiting, key=lambda each: each[1].ended, default=None)

    def decoding(self) -> list[Sequence]:
        """The running sequences, in order of slots."""
        running = self._owners[self.first : self.first + self.running]
        return [owner for owner in running if isinstance(owner, Sequence)]

    def span(self) -> int:
        """Slots from 0 to the last one that is taken."""
        return max((slot + 1 for slot, owner in enumerate(self._owners) if owner is not None), default=0)

    def place_for(self, sequence: Sequence) -> Place | None:
        """The slot that `sequence` would get, and from where its beginning would come; None where all are in use."""
        slot = self._free_slot()
        if slot is None:
            slot = self._oldest_leftover()
        if slot is None:  # before anything is compared: this is asked in every step while somebody waits
            return None
        source, shared = self._longest_shared(sequence)
        owner = self._owners[source]
        # A leftover of which most is shared is gone on with; of another one a copy is taken, for it may be wanted too.
        if shared and isinstance(owner, Leftover) and 2 * shared >= len(owner.tokens):
            return Place(source, source, shared)
        return Place(slot, source, shared)

    def take(self, sequence: Sequence, place: Place) -> None:
        """Give the slot to `sequence`, with what of it is there already."""
        if place.slot == place.source:
            self._runner.truncate(place.slot, place.shared)
        else:
            self._runner.truncate(place.slot, 0)
            if place.shared:
                self._runner.copy(place.source, place.slot, place.shared)
        self._owners[place.slot] = sequence
        sequence.slot = place.slot
        sequence.computed = place.shared

    def start(self, sequence: Sequence) -> None:
        """Its prompt is read: make it one of the running range."""
        source = sequence.slot
        if not self.running:
            self.first = source
        else:
            before, behind = self.first - 1, self.first + self.running
            if source not in (before, behind):
                source = self._beside_running(before, behind)
                self._exchange(sequence.slot, source)
            if source == before:
                self.first = before
        self.running += 1

    def release(self, sequence: Sequence, *, keep: bool) -> None:
        """End its ownership at once; a running one's gap is closed. `keep` leaves what it computed in a slot."""
        slot = sequence.slot
        if self.first <= slot < self.first + self.running:
            last = self.first + self.running - 1
            if slot == self.first:
                self.first += 1
            elif slot != last:
                if not keep:
                    self._empty(slot)
                self._exchange(last, slot)
                slot = last
            self.running -= 1
        if keep and sequence.computed >= LEAST_SHARED:
            tokens = np.array(sequence.token_ids[: sequence.computed], np.int64)
            self._runner.truncate(slot, len(tokens))  # drafted tokens that were not taken may lie behind
            self._owners[slot] = Leftover(tokens, next(self._endings))
        else:
            self._empty(slot)
        sequence.slot = -1

    def drop_oldest(self, spared: int = -1) -> bool:
        """Drop the oldest leftover, that in slot `spared` last of all; whether there was one."""
        slot = self._oldest_leftover(spared)
        if slot is None:
            return False
        self._empty(slot)
        return True

    def compact(self) -> bool:
        """Fill one free slot from a higher one; whether there was a reason to.

        What lies in a high slot keeps the cache wider than it needs to be.
        """
        highest = self.span() - 1
        free = next((slot for slot in range(highest) if self._owners[slot] is None), None)
        if free is None:
            return False
        if highest != self.first + self.running - 1 or not self.running:
            self._exchange(highest, free)
        elif self._owners[self.first - 1] is None:
            self._exchange(highest, self.first - 1)
            self.first -= 1
        else:  # something that does not run lies between: it goes first
            self._exchange(self.first - 1, free)
        return True

    def _longest_shared(self, sequence: Sequence) -> tuple[int, int]:
        """The slot with the longest beginning that `sequence` shares, and its length."""
        prompt = sequence.shareable
        best, longest = -1, 0
        for slot, owner in enumerate(self._owners):
            if owner is None:
                continue
            tokens = (
                owner.tokens
                if isinstance(owner, Leftover)
                else np.array(owner.token_ids[: owner.computed], np.int64)
            )
            shared = shared_length(prompt, tokens)
            if shared > longest:
                best, longest = slot, shared
        return (best, longest) if longest >= LEAST_SHARED else (-1, 0)

    def _free_slot(self) -> int | None:
        """A slot without an owner: where it would run without being moved, if there is a choice."""
        free = [slot for slot, owner in enumerate(self._owners) if owner is None]
        beside = self.first + self.running
        return beside if self.running and beside in free else min(free, default=None)

    def _leftovers(self) -> dict[int, Leftover]:
        return {slot: owner for slot, owner in enumerate(self._owners) if isinstance(owner, Leftover)}

    def _oldest_leftover(self, spared: int = -1) -> int | None:
        leftovers = self._leftovers()
        return min(leftovers, key=lambda slot: (slot == spared, leftovers[slot].ended), default=None)

    def _beside_running(self, before: int, behind: int) -> int:
        """Which end of the running range grows: an empty slot where there is one, and none that is not reserved."""
        ends = [slot for slot in (behind, before) if 0 <= slot < self.span()]
        return next((slot for slot in ends if self._owners[slot] is None), ends[0])

    def _exchange(self, first: int, second: int) -> None:
        """Exchange two slots, of which either may be empty."""
        owners = self._owners
        if owners[second] is None:
            self._runner.move(first, second)
        else:
            self._runner.swap(first, second)
        owners[first], owners[second] = owners[second], owners[first]
        for slot in (first, second):
            owner = owners[slot]
            if isinstance(owner, Sequence):
                owner.slot = slot

    def _empty(self, slot: int) -> None:
        self._runner.truncate(slot, 0)
        self._owners[slot] = None
