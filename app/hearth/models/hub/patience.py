"""How often a request that failed is made again, and after how long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from hearth.errors import HearthError, HubBusy, HubFailed, HubUnreachable

TEMPORARY = (HubUnreachable, HubBusy, HubFailed)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """Waits that double, and the longer wait that a server asks for.

    Attributes:
        tries: in a row that may bring nothing.
        first_seconds, longest_seconds: of the waits between them.
        longest_asked_seconds: a server that asks for more is given up.
    """

    tries: int = 6
    first_seconds: float = 1.0
    longest_seconds: float = 30.0
    longest_asked_seconds: float = 600.0

    def seconds(self, failures: int, error: HearthError) -> float:
        """How long to wait after that many failures in a row, of which `error` is the last.

        Raises:
            HearthError: `error` itself, where waiting is no use or was tried often enough.
        """
        asked = float(error.params["seconds"]) if isinstance(error, HubBusy) else 0.0
        if not isinstance(error, TEMPORARY) or failures >= self.tries or asked > self.longest_asked_seconds:
            raise error
        return max(asked, min(self.longest_seconds, self.first_seconds * 2.0 ** (failures - 1)))

    def call(self, request: Callable[[], T], wait: Callable[[float], None]) -> T:
        """What `request` gives, at the latest by the last try.

        Args:
            wait: for so many seconds; may raise to stop.

        Raises:
            HearthError: what `request` raised, where waiting is no use or was tried often enough.
        """
        failures = 0
        while True:
            try:
                return request()
            except HearthError as error:
                failures += 1
                wait(self.seconds(failures, error))
