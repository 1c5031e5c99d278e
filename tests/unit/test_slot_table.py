"""Slots: running sequences without a gap, every sequence's tokens following it."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hearth.engine.request import Request
from hearth.engine.sampler import TokenChooser
from hearth.engine.sampling_params import SamplingParams
from hearth.engine.sequence import Sequence, SequenceState
from hearth.engine.slot_table import SlotTable
from scripted_runner import ScriptedRunner


class Slots(RuleBasedStateMachine):
    """Takes, starts and releases in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = ScriptedRunner(max_slots=5)
        self.runner.reserve(5, 64)
        self.table = SlotTable(self.runner)
        self.count = 0

    def sequences(self, state: SequenceState) -> list[Sequence]:
        return [owner for owner in self.table.owners() if owner.state is state]

    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        self.count += 1
        params = SamplingParams()
        shared = data.draw(st.sampled_from([(), (1,) * 20, (1,) * 20 + (2,) * 20]))
        prompt = (*shared, self.count % 90 + 3, 0)
        sequence = Sequence(
            Request(str(self.count), prompt, params),
            self.count,
            TokenChooser(params, [], self.runner.vocab_size),
            0.0,
        )
        place = self.table.place_for(sequence)
        if place is None:
            assert len(self.table.owners()) == self.runner.max_slots
            return
        assert place.shared <= len(shared)
        self.table.take(sequence, place)
        sequence.state = SequenceState.PREFILLING
        self.runner.prefill(sequence.slot, prompt[sequence.computed :])
        sequence.computed = len(prompt)

    @precondition(lambda self: self.sequences(SequenceState.PREFILLING))
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        sequence = data.draw(st.sampled_from(self.sequences(SequenceState.PREFILLING)))
        self.table.start(sequence)
        sequence.state = SequenceState.RUNNING

    @precondition(lambda self: self.table.owners())
    @rule(data=st.data(), keep=st.booleans())
    def release(self, data: st.DataObject, keep: bool) -> None:
        sequence = data.draw(st.sampled_from(self.table.owners()))
        self.table.release(sequence, keep=keep)
        assert sequence.slot == -1

    @rule()
    def drop_oldest(self) -> None:
        ages = [leftover.ended for leftover in self.table.leftovers()]
        assert self.table.drop_oldest() == bool(ages)
        assert [leftover.ended for leftover in self.table.leftovers()] == [
            age for age in ages if age != min(ages)
        ]

    @rule()
    def compact(self) -> None:
        for _ in range(20):
            if not self.table.compact():
                break
        assert self.table.span() == len(self.table.owners()) + len(self.table.leftovers())

    @invariant()
    def running_sequences_have_no_gap(self) -> None:
        running = self.sequences(SequenceState.RUNNING)
        assert [sequence.slot for sequence in running] == list(
            range(self.table.first, self.table.first + len(running))
        ) or not running
        assert self.table.running == len(running)

    @invariant()
    def tokens_follow_their_sequence(self) -> None:
        for owner in self.table.owners():
            assert self.runner.slots[owner.slot] == owner.token_ids
        held = [tokens for tokens in self.runner.slots if tokens]
        left = [leftover.tokens.tolist() for leftover in self.table.leftovers()]
        assert len(held) == len(left) + len(self.table.owners())
        assert all(tokens in held for tokens in left)


TestSlots = Slots.TestCase
