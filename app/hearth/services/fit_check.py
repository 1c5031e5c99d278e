"""The estimate beside reality: what a model's first answers show is kept, and corrects later estimates."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Thread

from hearth.config import Config
from hearth.engine.outputs import LEAST_WRITTEN, RequestOutput, Usage
from hearth.errors import HearthError
from hearth.services.benchmark.private_memory import private_bytes
from hearth.services.model_worker import ModelWorker

log = logging.getLogger(__name__)


@dataclass(slots=True)
class FitCheck:
    """Watches the answers of one loaded model until one has shown how fast it is.

    Attributes:
        config: the settings when it is asked for.
    """

    worker: ModelWorker
    config: Callable[[], Config]
    _crowded: set[str] = field(default_factory=set)
    _is_done: bool = False

    def see(self, output: RequestOutput, open_requests: int) -> None:
        """On the worker's thread, with every output of the model."""
        if self._is_done:
            return
        # Beside others, and where several tokens come at once, it is not one stream at its own speed.
        if open_requests > 1 or len(output.token_ids) > 1:
            self._crowded.add(output.request_id)
        if output.finish_reason is None:
            return
        crowded = output.request_id in self._crowded
        self._crowded.discard(output.request_id)
        usage = output.usage
        if usage is None or crowded or usage.generated_tokens < LEAST_WRITTEN:
            return
        self._is_done = True
        memory = private_bytes(self.worker.client.pid) if self.worker.client is not None else 0
        # Files are read and written for it, which no other answer shall wait for.
        Thread(
            target=self._learn, args=(usage, memory), name=f"fit of {self.worker.name}", daemon=True
        ).start()

    def _learn(self, usage: Usage, memory: int) -> None:
        # Imported here, since no start needs it.
        from hearth.services.model_fit import Fits
        from hearth.services.shown_speed import Measured, keep_shown

        entry = self.worker.entry
        if entry is None:
            return
        read = usage.prompt_tokens - usage.cached_tokens
        measured = Measured(
            context=usage.prompt_tokens + usage.generated_tokens,
            written=usage.generated_tokens,
            write_speed=usage.tokens_per_second,
            read=read,
            read_speed=read / usage.seconds_to_first_token if usage.seconds_to_first_token else 0.0,
            memory=memory,
        )
        try:
            fits = Fits.open(self.config(), measured=False)
            shown = keep_shown(fits, entry, self.worker.info(), measured)
        except (HearthError, OSError) as error:  # the model may have gone meanwhile
            log.info("%s is not compared with its estimate: %s", self.worker.name, error)
            return
        if shown is not None:
            log.info("%s beside its estimate: %s", self.worker.name, shown)
