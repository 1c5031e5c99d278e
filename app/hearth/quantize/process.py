"""The caller's side of the process that quantizes: starts it, hears how far it is, and ends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hearth.child_process import ChildProcess, own_command
from hearth.errors import QuantizeCrashed
from hearth.quantize.protocol import Done, Job, Progress


class QuantizeProcess(ChildProcess[Progress | Done]):
    """One process with one job. It ends when this is closed, and by itself when its caller does."""

    def __init__(self, job: Job, log_file: Path | None = None) -> None:
        """Start it; what it has to say besides goes to the end of `log_file`."""
        super().__init__(own_command("hearth.quantize", "--quantize"), job, Progress | Done, log_file)
        self._name = job.name

    def messages(self) -> Iterator[Progress | Done]:
        """What it says, the last of which is `Done`.

        Raises:
            QuantizeCrashed: it ended before that.
            HearthError: what it could not do.
        """
        for message in super().messages():
            yield message
            if isinstance(message, Done):
                return
        raise QuantizeCrashed(name=self._name, reason=str(self.exit_code()))
