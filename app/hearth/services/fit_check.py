"""The estimate beside reality: what a model's first answers show is kept, and corrects later estimates."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING

from hearth.config import Config
from hearth.engine.outputs import RequestOutput, Usage
from hearth.errors import HearthError
from hearth.services.benchmark.private_memory import private_bytes
from hearth.services.model_worker import ModelWorker

if TYPE_CHECKING:
    from hearth.models.experience import Shown

log = logging.getLogger(__name__)

# Answers and prompts shorter than these are over before their speed shows.
_LEAST_WRITTEN, _LEAST_READ = 32, 128


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
        if usage is None or crowded or usage.generated_tokens < _LEAST_WRITTEN:
            return
        self._is_done = True
        memory = private_bytes(self.worker.client.pid) if self.worker.client is not None else 0
        # Files are read and written for it, which no other answer shall wait for.
        Thread(
            target=self._learn, args=(usage, memory), name=f"fit of {self.worker.name}", daemon=True
        ).start()

    def _learn(self, usage: Usage, memory: int) -> None:
        try:
            shown = measured_beside_estimate(self.worker, self.config(), usage, memory)
        except (HearthError, OSError) as error:  # the model may have gone meanwhile
            log.info("%s is not compared with its estimate: %s", self.worker.name, error)
            return
        if shown is not None:
            log.info("%s beside its estimate: %s", self.worker.name, shown)


def measured_beside_estimate(worker: ModelWorker, config: Config, usage: Usage, memory: int) -> Shown | None:
    """Compare, and keep what comes of it; None where this machine's own speed was never measured.

    Args:
        usage: of an answer that had the model for itself.
        memory: private bytes of the host after it.

    Raises:
        HearthError, OSError: the model's files cannot be read any more.
    """
    # Imported here, since no start needs it.
    from hearth.model_folder.digest import model_digest
    from hearth.model_folder.folder import ModelFolder
    from hearth.models.experience import Shown, write_experience
    from hearth.models.fit import Correction
    from hearth.services.model_fit import Fits, experience_file

    fits, info = Fits.open(config, measured=False), worker.info()
    if not fits.spec.bandwidth or worker.folder is None or info.provider != "CPUExecutionProvider":
        return None
    folder = ModelFolder.open(worker.folder, [worker.folder])
    fit = fits.of_folder(folder).corrected(Correction(), is_packed=info.is_packed)
    context = usage.prompt_tokens + usage.generated_tokens
    read = usage.prompt_tokens - usage.cached_tokens
    expected = fit.at(context)
    read_factor = 0.0
    if read >= _LEAST_READ and usage.seconds_to_first_token and expected.read_speed:
        read_factor = read / usage.seconds_to_first_token / expected.read_speed
    shown = Shown(
        model=model_digest(folder),
        name=worker.name,
        write=usage.tokens_per_second / expected.write_speed if expected.write_speed else 0.0,
        read=read_factor,
        working_bytes=memory - expected.memory.private if memory else 0,
    )
    write_experience(experience_file(), fits.experience.with_shown(shown))
    return shown
