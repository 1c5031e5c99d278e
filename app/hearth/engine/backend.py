"""The seam between a host and whatever answers requests."""

from __future__ import annotations

from typing import Protocol

from hearth.engine.host.protocol import ChatMessage, ModelInfo, Submit
from hearth.engine.outputs import RequestOutput


class Backend(Protocol):
    """Requests in, text out; what an engine host runs.

    `submit`, `abort`, `step`, `tidy`, `rest` and `stats` are called by the host's loop alone; `count` from any thread.

    Attributes:
        info: what the model is and how it runs here.
    """

    info: ModelInfo

    @property
    def has_work(self) -> bool:
        """Whether `step` has something to do."""
        ...

    def submit(self, request: Submit) -> None:
        """Queue a request.

        Raises:
            HearthError: it cannot be answered.
        """
        ...

    def abort(self, request_id: str) -> RequestOutput | None:
        """End a request now; None where it is not open."""
        ...

    def step(self) -> list[RequestOutput]:
        """Compute one step; what every request gained in it, text included."""
        ...

    def tidy(self) -> bool:
        """Do a small piece of what can wait until nothing is asked for; whether there is more."""
        ...

    def rest(self) -> None:
        """Start what another process may do while nothing is asked for; returns at once."""
        ...

    def count(self, messages: list[ChatMessage] | None, text: str | None) -> int:
        """Tokens of a prompt made of messages, or of raw text.

        Raises:
            HearthError: the messages cannot be rendered.
        """
        ...

    def stats(self) -> dict[str, int | float]:
        """Figures for a dashboard: bytes and counts."""
        ...
