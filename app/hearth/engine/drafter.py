"""Guesses at the tokens that follow, which the model then checks several at a time.

Speculative decoding (Leviathan et al., 2023): reading eight tokens takes far less time than writing eight, so a guess
that is often right makes an answer quicker. It never makes it another one: each token is still chosen from the model's
own logits, and the guess is dropped from the first token on that differs.
"""

from __future__ import annotations

from typing import Protocol

# Tokens that must have stood together before for what came next to be worth a guess.
GRAM = 3


class Drafter(Protocol):
    """Guesses for one sequence."""

    def draft(self, token_ids: list[int], limit: int) -> list[int]:
        """At most `limit` tokens that may follow; none where there is no idea. `token_ids` only grows at its end."""
        ...


class LookupDrafter:
    """What followed the last time that the newest tokens stood together (prompt lookup, Saxena, 2023)."""

    def __init__(self) -> None:
        self._followed: dict[tuple[int, ...], int] = {}
        self._known = GRAM  # tokens whose predecessors are in the table

    def draft(self, token_ids: list[int], limit: int) -> list[int]:
        # The newest gram itself is left out: nothing follows it yet.
        for end in range(self._known, len(token_ids)):
            self._followed[tuple(token_ids[end - GRAM : end])] = end
        self._known = max(self._known, len(token_ids))
        place = self._followed.get(tuple(token_ids[-GRAM:]))
        return [] if place is None else token_ids[place : place + limit]
