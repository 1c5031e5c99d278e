"""What to compute in the next step: decode first, then prompts in turns.

Every running sequence decodes in every step. What a step may take beyond that goes to prompts, in chunks that take
turns, sized by measured time: neither a long prompt nor a crowd of them stalls the streams, and a newcomer gets its
first chunk in the next step. This is Sarathi-Serve's stall-free batching (Agrawal et al., 2024), with time as the
budget in place of tokens.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hearth.engine.model_runner import ModelRunner
from hearth.engine.sequence import Sequence, SequenceState
from hearth.engine.slot_table import Place, SlotTable
from hearth.errors import ModelRunFailed
from hearth.i18n import tr

# The smallest turn of a prompt: smaller ones cost much speed.
MIN_CHUNK = 16
MAX_CHUNK = 512
# Before anything was measured.
FIRST_CHUNK = 32
# With no stream to stall, larger chunks read a prompt faster; a step must still be short enough to abort.
QUIET_FACTOR = 3
# A step with prompts may take so many times the decode in it, so that a fast model's streams stay fast beside them,
MOST_STRETCH = 3.5
# but not less than this, as far as the step's time allows: small chunks cost much speed.
LEAST_STEP_SECONDS = 0.05
# Of a step's time, what prompts get at least, however long the decode takes.
LEAST_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class PrefillChunk:
    """The next `tokens` uncomputed tokens of a sequence."""

    sequence: Sequence
    tokens: int


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's work.

    Attributes:
        decode: running sequences in order of slots, one token each.
        prefill: chunks of prompts, one sequence at a time.
    """

    decode: list[Sequence]
    prefill: list[PrefillChunk]


@dataclass(slots=True)
class PrefillPace:
    """How many prompt tokens fit into a given time, by what the last chunks took."""

    seconds_per_token: float = 0.0

    def tokens_in(self, seconds: float) -> int:
        """A multiple of 8, so that few different shapes run; at least MIN_CHUNK."""
        if not self.seconds_per_token:
            return FIRST_CHUNK
        return max(MIN_CHUNK, min(MAX_CHUNK, int(seconds / self.seconds_per_token) // 8 * 8))

    def measured(self, tokens: int, seconds: float) -> None:
        if tokens < MIN_CHUNK:
            return  # dominated by fixed costs
        rate = seconds / tokens
        old = self.seconds_per_token
        # Quick to slow down, since a step that is too long is felt; slower to speed up.
        weight = 0.7 if rate > old else 0.3
        self.seconds_per_token = rate if not old else old + weight * (rate - old)


@dataclass(slots=True)
class Scheduler:
    """Admits waiting sequences to slots and divides each step.

    Attributes:
        waiting: sequences without a slot.
        turns: sequences whose prompt is being read; the next turn is the first one's.
        decode_seconds: what the last decode took, which a step's prompts must leave room for.
    """

    runner: ModelRunner
    step_seconds: float
    slots: SlotTable = field(init=False)
    pace: PrefillPace = field(default_factory=PrefillPace)
    waiting: list[Sequence] = field(default_factory=list)
    turns: list[Sequence] = field(default_factory=list)
    decode_seconds: float = 0.0
    _admissions: int = 0
    _last_admission: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.slots = SlotTable(self.runner)

    def add(self, sequence: Sequence) -> None:
        self.waiting.append(sequence)

    def remove(self, sequence: Sequence, *, keep: bool) -> None:
        """Forget a sequence wherever it stands; its slot is free at once.

        With `keep`, what it computed stays there for the next one that begins alike, until the slot is needed.
        """
        if sequence.state is SequenceState.WAITING:
            self.waiting.remove(sequence)
            return
        if sequence.state is SequenceState.PREFILLING:
            self.turns.remove(sequence)
        self.slots.release(sequence, keep=keep)

    def drop_leftovers(self) -> None:
        """Forget what ended sequences have computed."""
        while self.slots.drop_oldest():
            pass

    def schedule(self) -> Batch:
        """Admit whom the cache has room for, then divide the step."""
        self._grow_for_decode()
        self._admit()
        return Batch(self.slots.decoding(), self._chunks())

    def prefilled(self, sequence: Sequence) -> None:
        """All of its tokens are computed: it decodes from the next step on."""
        self.turns.remove(sequence)
        self.slots.start(sequence)
        sequence.state = SequenceState.RUNNING

    def _grow_for_decode(self) -> None:
        """Room for the next token of every running sequence; the newest yield where memory does not suffice."""
        while self.slots.running and not self._reserve(self.slots.owners(), self.slots.span()):
            if self.slots.compact() or self.slots.drop_oldest():
                continue
            owners = self.slots.owners()
            if len(owners) == 1:
                raise ModelRunFailed(name=tr("Model"), reason=tr("the memory for its context is too small"))
            self._preempt(min(owners, key=lambda s: (s.request.priority, -s.order)))

    def has_room_beyond(self, tokens: int) -> bool:
        """Whether the cache holds so many tokens more of each sequence than the next step needs."""
        return self._reserve(self.slots.owners(), self.slots.span(), beyond=1 + tokens)

    def _reserve(self, sequences: list[Sequence], span: int, beyond: int = 1) -> bool:
        # One token beyond what a sequence has, so that whoever is admitted can decode at least once.
        longest = max(len(sequence.token_ids) for sequence in sequences) + beyond
        kept = max((len(leftover.tokens) for leftover in self.slots.leftovers()), default=0)
        return self.runner.reserve(span, max(longest, kept))

    def _preempt(self, sequence: Sequence) -> None:
        """Back to the queue; its tokens are kept and computed again when there is room."""
        if sequence.state is SequenceState.PREFILLING:
            self.turns.remove(sequence)
        self.slots.release(sequence, keep=False)
        sequence.computed = 0
        sequence.state = SequenceState.WAITING
        self.waiting.append(sequence)

    def _admit(self) -> None:
        active = Counter(owner.request.client for owner in self.slots.owners())
        newcomers = 0
        while self.waiting:
            best = min(
                self.waiting,
                key=lambda s: (
                    -s.request.priority,
                    s.cached is None,  # one that had to yield in the middle of its answer goes on first
                    active[s.request.client],
                    self._last_admission.get(s.request.client, 0),
                    s.order,
                ),
            )
            place = self._room_for(best)
            if place is None:
                return
            self.waiting.remove(best)
            self.slots.take(best, place)
            best.computed = self.runner.restore(best.slot, best.shareable, place.shared)
            if best.cached is None:
                best.cached = best.computed
            best.state = SequenceState.PREFILLING
            self.turns.insert(newcomers, best)
            newcomers += 1
            active[best.request.client] += 1
            self._admissions += 1
            self._last_admission[best.request.client] = self._admissions
        self._last_admission.clear()  # nobody waits, so nobody's turn is owed

    def _room_for(self, newcomer: Sequence) -> Place | None:
        """A slot that the cache holds beside all others; None where there is none now."""
        while (place := self.slots.place_for(newcomer)) is not None:
            if self._reserve([*self.slots.owners(), newcomer], max(self.slots.span(), place.slot + 1)):
                return place
            if not (self.slots.compact() or self.slots.drop_oldest(spared=place.source)):
                return None
        return None

    def _chunks(self) -> list[PrefillChunk]:
        if not self.turns:
            return []
        seconds = self.step_seconds * QUIET_FACTOR
        if self.slots.running:
            step = self.step_seconds
            if self.decode_seconds:  # else nothing was decoded yet
                step = min(step, max(LEAST_STEP_SECONDS, self.decode_seconds * MOST_STRETCH))
            seconds = max(step - self.decode_seconds, step * LEAST_SHARE)
        budget = self.pace.tokens_in(seconds)
        chunks: list[PrefillChunk] = []
        for turn, sequence in enumerate(list(self.turns)):
            if budget <= 0:
                break
            # What the prompts before it left unused is shared by the rest.
            tokens = min(sequence.uncomputed, max(MIN_CHUNK, budget // (len(self.turns) - turn)))
            if sequence.uncomputed - tokens == 1:
                tokens += 1  # a chunk of one token runs another kernel, with other rounding
            chunks.append(PrefillChunk(sequence, tokens))
            budget -= tokens
            self.turns.remove(sequence)
            self.turns.append(sequence)
        return chunks
