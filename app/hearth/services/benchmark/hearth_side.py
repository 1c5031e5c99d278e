"""Hearth's side of a benchmark: the way of every real request, through the model's worker and its engine host."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import msgspec

from hearth.engine.host.protocol import EngineOptions, ModelInfo
from hearth.engine.outputs import Usage
from hearth.engine.sampling_params import SamplingParams
from hearth.errors import ModelUnloaded
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.manifest import GENAI
from hearth.models.registry import ModelEntry
from hearth.models.source import entry_files
from hearth.services.benchmark.noise import hearth_noise
from hearth.services.benchmark.side import SHORT_PROMPT, Forced, Loading, random_tokens
from hearth.services.model_pool import ModelPool
from hearth.services.model_worker import ModelWorker


class HearthSide:
    """One model of Hearth; see `Side`."""

    def __init__(self, pool: ModelPool, entry: ModelEntry, options: EngineOptions) -> None:
        self._pool = pool
        self._entry = entry
        self._options = options
        self._worker: ModelWorker | None = None

    @property
    def name(self) -> str:
        return self._entry.name

    def files(self) -> Sequence[Path]:
        files = [self._entry.path / name for name in entry_files(self._entry)]
        packed = Path(self._options.packed_folder).rglob("*.data") if self._options.packed_bytes else ()
        return [*files, *(packed if self._entry.format == GENAI else ())]

    def load(self) -> Loading:
        loading = self._load()
        if self._entry.format == GENAI and self._options.packed_bytes and not self.info().is_packed:
            # So that nothing is packed beside a measurement.
            self._options = msgspec.structs.replace(self._options, packed_bytes=0)
            self.unload()
            loading = self._load()
        return loading

    def _load(self) -> Loading:
        # As in the app, where a host waits for whoever looks at the models; the peer's program has no such thing.
        self._pool.prepare().result()
        started = time.monotonic()
        self._worker = self._pool.load(self._entry.name, self._options)
        info = self._worker.wait_ready()
        return Loading(time.monotonic() - started, info.load_seconds)

    def unload(self) -> None:
        self._worker = None
        self._pool.unload_and_wait([self._entry.name])

    def info(self) -> ModelInfo:
        """What the loaded model is."""
        return self._loaded().info()

    def pid(self) -> int:
        client = None if self._worker is None else self._worker.client
        return 0 if client is None else client.pid

    def prefill(self, tokens: int, seed: int) -> float:
        params = SamplingParams(temperature=0, max_tokens=1, ignore_eos=True)
        prompt = self._prompt(tokens, f"read {seed}")
        started = time.monotonic()
        for _ in self._loaded().generate(params, token_ids=prompt):
            pass
        return time.monotonic() - started

    def decode(self, streams: int, context: int, tokens: int) -> float:
        params = SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True)
        worker, start = self._loaded(), Barrier(streams)

        def stream(number: int) -> list[float]:
            """When each token came."""
            prompt = self._prompt(max(context, SHORT_PROMPT), f"stream {number}")
            times: list[float] = []
            start.wait()
            usage = Usage()
            for output in worker.generate(params, token_ids=prompt):
                times += [time.monotonic()] * len(output.token_ids)
                usage = output.usage or usage
            return first_token_in_time(times, usage)

        with ThreadPoolExecutor(streams) as threads:
            return shared_speed(list(threads.map(stream, range(streams))))

    def noise(self, forced: Forced) -> float | None:
        if self._entry.format != GENAI:  # nobody can tell what another engine rounds
            return None
        return hearth_noise(ModelFolder.open(self._entry.path), self._options, forced)

    def _loaded(self) -> ModelWorker:
        if self._worker is None:
            raise ModelUnloaded(name=self._entry.name)
        return self._worker

    def _prompt(self, tokens: int, seed: str) -> list[int]:
        return random_tokens(tokens, self.info().vocab_size, seed)


def first_token_in_time(times: list[float], usage: Usage) -> list[float]:
    """The times with the first not later than the host has it.

    A thread that wakes up late finds several tokens at once, and would call a small model endlessly fast.
    """
    written = usage.seconds - usage.seconds_to_first_token
    return [min(times[0], times[-1] - written), *times[1:]]


def shared_speed(streams: list[list[float]]) -> float:
    """Tokens per second between the last stream's first token and the first stream's last."""
    begin, end = max(times[0] for times in streams), min(times[-1] for times in streams)
    if end <= begin:  # they hardly overlapped: count all of it
        begin, end = min(times[0] for times in streams), max(times[-1] for times in streams)
    tokens = sum(begin < at <= end for times in streams for at in times)
    return tokens / (end - begin) if end > begin else 0.0
