"""The requests of one model that have not ended, and who hears their outputs."""

from __future__ import annotations

from collections.abc import Callable

from hearth.engine.outputs import ErrorInfo, FinishReason, RequestOutput
from hearth.services.rest import Rest

OnOutput = Callable[[RequestOutput], None]


class OpenRequests:
    """Each holds the model's rest, from before it is added until it has ended. On the worker's thread.

    Attributes:
        watch: is told every output and how many requests are open.
    """

    def __init__(self, rest: Rest) -> None:
        self.watch: Callable[[RequestOutput, int], None] | None = None
        self._rest = rest
        self._open: dict[str, OnOutput] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._open

    def ids(self) -> list[str]:
        return list(self._open)

    def add(self, request_id: str, on_output: OnOutput) -> None:
        self._open[request_id] = on_output

    def deliver(self, output: RequestOutput) -> None:
        """Tell who waits for it; one with a finish reason ends its request."""
        on_output = self._open.get(output.request_id)
        if on_output is None:
            return
        if self.watch is not None:
            self.watch(output, len(self._open))
        if output.finish_reason is None:
            on_output(output)
            return
        del self._open[output.request_id]
        try:
            on_output(output)
        finally:
            self._rest.release()

    def end(self, request_id: str, error: ErrorInfo | None) -> None:
        """End a request with this error; without one it was aborted."""
        reason = FinishReason.ABORT if error is None else FinishReason.ERROR
        self.deliver(RequestOutput(request_id=request_id, finish_reason=reason, error=error))
