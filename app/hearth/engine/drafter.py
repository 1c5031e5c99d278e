"""Guesses at the tokens that follow, which the model then checks several at a time.

Speculative decoding (Leviathan et al., 2023): reading eight tokens takes far less time than writing eight, so a guess
that is often right makes an answer quicker. It never makes it another one: each token is still chosen from the model's
own logits, and the guess is dropped from the first token on that differs.
"""

from __future__ import annotations

from typing import Protocol

# Tokens that must have stood together before for what came next to be worth a guess; the longer match is the better one.
GRAMS = (8, 3)


class Drafter(Protocol):
    """Guesses for one sequence."""

    def draft(self, token_ids: list[int], limit: int) -> list[int]:
        """At most `limit` tokens that may follow; none where there is no idea. `token_ids` only grows at its end."""
        ...


class LookupDrafter:
    """What followed the last time that the newest tokens stood together (prompt lookup, Saxena, 2023)."""

    def __init__(self) -> None:
        self._followed: dict[tuple[int, ...], int] = {}
        self._known = min(GRAMS)  # tokens whose predecessors are in the table

    def draft(self, token_ids: list[int], limit: int) -> list[int]:
        # The newest grams themselves are left out: nothing follows them yet.
        for end in range(self._known, len(token_ids)):
            for gram in GRAMS:
                if end >= gram:
                    self._followed[tuple(token_ids[end - gram : end])] = end
        self._known = max(self._known, len(token_ids))
        for gram in GRAMS:
            place = self._followed.get(tuple(token_ids[-gram:]))
            if place is not None:
                return token_ids[place : place + limit]
        return []


class FirstOf:
    """The guess of the first drafter that has one: what costs least comes first."""

    def __init__(self, *drafters: Drafter) -> None:
        self._drafters = drafters

    def draft(self, token_ids: list[int], limit: int) -> list[int]:
        return next((draft for each in self._drafters if (draft := each.draft(token_ids, limit))), [])
