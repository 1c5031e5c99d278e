"""Which waiting request begins next, where all share one memory for keys and values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# An answer without a limit gets at least so much room, unless the whole context is less.
_LEAST_ROOM = 512


@dataclass(frozen=True, slots=True)
class Place:
    """A request that waits or runs.

    Attributes:
        key: what it is called here.
        prompt_tokens: of its prompt.
        max_tokens: of its answer; None is as many as fit.
        number: of its arrival.
    """

    key: int
    client: str
    priority: int
    prompt_tokens: int
    max_tokens: int | None
    number: int


class Admission:
    """Requests wait here until a slot and enough of the shared context are free; clients take turns.

    An answer never gets more room than is free, so that no running answer can push out another one.
    """

    def __init__(self, slots: int, context_length: int) -> None:
        self._slots = slots
        self._context_length = context_length
        self._waiting: list[Place] = []
        self._running: dict[int, int] = {}  # tokens that are reserved, by request
        self._turns: dict[str, int] = {}  # when each client was last admitted
        self._number = 0

    @property
    def running(self) -> int:
        return len(self._running)

    def add(self, key: int, client: str, priority: int, prompt_tokens: int, max_tokens: int | None) -> None:
        self._number += 1
        self._waiting.append(Place(key, client, priority, prompt_tokens, max_tokens, self._number))

    def remove(self, key: int) -> None:
        """The request has ended, or nobody waits for it any more."""
        self._running.pop(key, None)
        self._waiting = [place for place in self._waiting if place.key != key]

    def admit(self) -> Iterator[tuple[int, int]]:
        """The requests that begin now, each with the most tokens that its answer may have."""
        while self._waiting and len(self._running) < self._slots:
            place = min(
                self._waiting, key=lambda one: (-one.priority, self._turns.get(one.client, 0), one.number)
            )
            room = self._room(place)
            if not room:
                return  # the next one waits for room, and the others behind it
            self._waiting.remove(place)
            self._running[place.key] = place.prompt_tokens + room
            self._number += 1
            self._turns[place.client] = self._number
            yield place.key, room

    def _room(self, place: Place) -> int:
        """Tokens for its answer; 0 where it has to wait."""
        free = self._context_length - sum(self._running.values()) - place.prompt_tokens
        alone = not self._running
        if place.max_tokens is not None:
            wanted = min(place.max_tokens, self._context_length - place.prompt_tokens)
            return wanted if wanted <= free else 0
        # Half of what is free, so that others can begin beside it.
        half = free // 2
        if half >= _LEAST_ROOM:
            return half
        return max(free, 0) if alone else 0
