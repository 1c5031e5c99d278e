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

    @precondition(lambda self: self.table.first_free() is not None)
    @rule()
    def take(self) -> None:
        self.count += 1
        params = SamplingParams()
        sequence = Sequence(
            Request(str(self.count), (self.count % 100,), params),
            self.count,
            TokenChooser(params, [], self.runner.vocab_size),
            0.0,
        )
        slot = self.table.first_free()
        assert slot is not None
        self.table.take(sequence, slot)
        sequence.state = SequenceState.PREFILLING
        self.runner.prefill(slot, sequence.token_ids)

    @precondition(lambda self: self.sequences(SequenceState.PREFILLING))
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        sequence = data.draw(st.sampled_from(self.sequences(SequenceState.PREFILLING)))
        self.table.start(sequence)
        sequence.state = SequenceState.RUNNING

    @precondition(lambda self: self.table.owners())
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        sequence = data.draw(st.sampled_from(self.table.owners()))
        self.table.release(sequence)
        assert sequence.slot == -1

    @invariant()
    def running_sequences_have_no_gap(self) -> None:
        running = self.sequences(SequenceState.RUNNING)
        assert sorted(sequence.slot for sequence in running) == list(range(self.table.running))

    @invariant()
    def tokens_follow_their_sequence(self) -> None:
        for owner in self.table.owners():
            assert self.runner.slots[owner.slot] == owner.token_ids
        assert sum(map(bool, self.runner.slots)) == len(self.table.owners())


TestSlots = Slots.TestCase
