"""A ModelRunner without a model: its next token is a function of the whole sequence, so a mixed-up slot shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hearth.errors import HearthError

VOCAB_SIZE = 197


def next_token(token_ids: Sequence[int]) -> int:
    """The only likely token after these."""
    value = 7
    for token in token_ids:
        value = (value * 31 + token + 1) % 1_000_003
    return value % VOCAB_SIZE


def answer(prompt: Sequence[int], tokens: int) -> list[int]:
    """What the runner says alone."""
    sequence = list(prompt)
    for _ in range(tokens):
        sequence.append(next_token(sequence))
    return sequence[len(prompt) :]


class Clock:
    """A clock that only the runner's work moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class ScriptedRunner:
    """Keeps each slot's tokens and refuses whatever a real cache could not do.

    Attributes:
        calls: ("prefill", slot, tokens) and ("decode", rows) in order.
        seconds_per_token, seconds_per_decode: what work costs on `clock`.
        failure, failing_prefill: raised by the next work of either kind, or of prefill alone.
        nan_rows: rows of a decode whose logits are not numbers.
        stored: sequences that are on its disk.
    """

    def __init__(
        self,
        *,
        max_slots: int = 8,
        context_length: int = 512,
        budget_tokens: int | None = None,
        clock: Clock | None = None,
        can_score: bool = False,
    ) -> None:
        self.vocab_size = VOCAB_SIZE
        self.context_length = context_length
        self.max_slots = max_slots
        self.can_score = can_score
        self.budget_tokens = budget_tokens or max_slots * context_length
        self.clock = clock or Clock()
        self.seconds_per_token = 0.001
        self.seconds_per_decode = 0.01
        self.calls: list[tuple[str, int] | tuple[str, int, int]] = []
        self.slots: list[list[int]] = [[] for _ in range(max_slots)]
        self.reserved = (0, 0)
        self.failure: HearthError | None = None
        self.failing_prefill: HearthError | None = None
        self.nan_rows: set[int] = set()
        self.stored: list[list[int]] = []

    def reserve(self, slots: int, length: int) -> bool:
        if slots > self.max_slots or length > self.context_length or slots * length > self.budget_tokens:
            return False
        assert not any(self.slots[slots:]), "a slot that is in use would be given up"
        assert all(len(held) <= length for held in self.slots), "tokens that are held would be given up"
        self.reserved = (slots, length)
        return True

    def prefill(self, slot: int, token_ids: Sequence[int]) -> np.ndarray:
        if error := self.failure or self.failing_prefill:
            raise error
        self.calls.append(("prefill", slot, len(token_ids)))
        self.clock.now += self.seconds_per_token * len(token_ids)
        return self._append(slot, token_ids)

    def decode(self, first: int, token_ids: Sequence[int]) -> np.ndarray:
        if self.failure:
            raise self.failure
        self.calls.append(("decode", len(token_ids)))
        self.clock.now += self.seconds_per_decode
        rows = range(first, first + len(token_ids))
        assert all(self.slots[row] for row in rows), "an empty slot would be decoded"
        logits = np.stack([self._append(row, [token]) for row, token in zip(rows, token_ids, strict=True)])
        logits[list(self.nan_rows)] = np.nan
        return logits

    def score(self, slot: int, token_ids: Sequence[int]) -> np.ndarray:
        if self.failure:
            raise self.failure
        self.calls.append(("score", slot, len(token_ids)))
        self.clock.now += self.seconds_per_decode / 2 + self.seconds_per_token * len(token_ids)
        return np.stack([self._append(slot, [token]) for token in token_ids])

    def _append(self, slot: int, token_ids: Sequence[int]) -> np.ndarray:
        assert token_ids, "an empty chunk"
        self.slots[slot] += token_ids
        slots, length = self.reserved
        assert slot < slots, "a slot that was not reserved"
        assert len(self.slots[slot]) <= length, "more tokens than were reserved"
        logits = np.zeros(VOCAB_SIZE, np.float32)
        logits[next_token(self.slots[slot])] = 50.0
        return logits

    def move(self, source: int, target: int) -> None:
        assert target < self.reserved[0], "a slot that was not reserved"
        assert not self.slots[target], "a sequence would be overwritten"
        self.slots[target], self.slots[source] = self.slots[source], []

    def swap(self, first: int, second: int) -> None:
        self.slots[first], self.slots[second] = self.slots[second], self.slots[first]

    def copy(self, source: int, target: int, length: int) -> None:
        assert target < self.reserved[0], "a slot that was not reserved"
        assert not self.slots[target], "a sequence would be overwritten"
        assert len(self.slots[source]) >= length, "more than is there would be copied"
        self.slots[target] = self.slots[source][:length]

    def truncate(self, slot: int, length: int) -> None:
        assert len(self.slots[slot]) >= length, "more than is there would be kept"
        del self.slots[slot][length:]

    def restore(self, slot: int, token_ids: np.ndarray, held: int) -> int:
        for stored in self.stored:
            if len(stored) > held and list(token_ids[: len(stored)]) == stored:
                held = len(stored)
                self.slots[slot] = list(stored)
        return held

    def store(self, slot: int, token_ids: np.ndarray, used: int) -> Iterator[None] | None:
        return None if list(token_ids) in self.stored else self._store(slot, token_ids)

    def _store(self, slot: int, token_ids: np.ndarray) -> Iterator[None]:
        for _ in range(3):
            assert self.slots[slot] == list(token_ids), "a slot changed while it was stored"
            yield
        self.stored.append(list(token_ids))

    def release(self) -> None:
        assert not any(self.slots), "memory of a sequence that is still open"
        self.reserved = (0, 0)
