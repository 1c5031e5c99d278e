"""Measuring a model, and a peer beside it: which figures, in which order, how often.

The sides take turns in every run, and in going first, so that whatever else the machine does meets both. What warms caches or grows
buffers is run once and not counted; memory is watched in those runs only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from hearth.engine.host.protocol import ModelInfo
from hearth.errors import RequestInvalid
from hearth.hardware.machine import read_machine
from hearth.i18n import tr
from hearth.paths import log_file
from hearth.services.benchmark.figures import Figure, Key, What
from hearth.services.benchmark.file_cache import evict
from hearth.services.benchmark.hearth_side import HearthSide
from hearth.services.benchmark.peer_side import PeerOptions, PeerSide
from hearth.services.benchmark.private_memory import Peak, private_bytes
from hearth.services.benchmark.side import SHORT_PROMPT, Forced, Side
from hearth.services.engine_options import engine_options, with_threads
from hearth.services.hearth import Hearth
from hearth.services.model_pool import ModelPool


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure.

    Attributes:
        prompt_tokens: prompts to read.
        streams: how many answers to write at once, after a short prompt.
        contexts: tokens that one answer follows; 0 is an answer after a short prompt.
        generate_tokens: tokens to write, in each stream.
        repeat: runs of each that count.
    """

    prompt_tokens: tuple[int, ...] = (512, 4096)
    streams: tuple[int, ...] = (1, 2, 4, 8)
    contexts: tuple[int, ...] = (0, 2048, 8192)
    generate_tokens: int = 64
    repeat: int = 5

    def fitted(self, info: ModelInfo) -> Plan:
        """What of it the model can do: what is longer than its context is cut to that.

        Raises:
            RequestInvalid: nothing of it.
        """
        room = info.context_length - self.generate_tokens
        if room < SHORT_PROMPT:
            raise RequestInvalid(reason=tr("this model holds {n} tokens at once", n=info.context_length))
        return msgspec.structs.replace(
            self,
            prompt_tokens=_at_most(self.prompt_tokens, info.context_length - 1),
            streams=_at_most(self.streams, info.max_slots),
            contexts=_at_most(self.contexts, room),
        )

    def decodes(self) -> list[tuple[int, int]]:
        """Streams and context of each measurement of writing, each once; the short ones first."""
        alone = ((1, context) for context in self.contexts)
        return list(dict.fromkeys((*((streams, 0) for streams in self.streams), *alone)))


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, and how.

    Attributes:
        threads: of each side.
        provider: what ran Hearth's model.
        is_packed: its weights were mapped from their packed form, as this machine's next load of it would do.
        kv_cache_type: what its keys and values were, such as "float32" or "int8".
        kv_cache_noise: relative RMS error of the logits that int8 ones bring, against float ones; None for those.
        peer: the other engine and its version, or the other model; None where there was none.
    """

    model: str
    threads: int
    provider: str
    is_packed: bool
    kv_cache_type: str
    kv_cache_noise: float | None
    peer: str | None
    generate_tokens: int
    repeat: int
    figures: list[Figure]


def measure_model(
    opened: Hearth,
    name: str,
    plan: Plan,
    *,
    threads: int = 0,
    peer: PeerOptions | None = None,
    beside: str | None = None,
) -> Report:
    """Measure a model by its name or alias, and by turns a peer or another model; 0 threads leaves them to the settings.

    Raises:
        HearthError: there is none, it cannot do what the plan asks, or a side failed.
    """
    # What is measured is the computing. Noise repeats itself, so guesses at it would flatter; and what an earlier
    # measurement has read must neither be found again nor push out what the user's conversations have read.
    options = msgspec.structs.replace(
        engine_options(opened.config.engine, read_machine()), drafts=False, kv_store_bytes=0
    )
    if threads or peer or beside:  # both sides have the same
        options = with_threads(options, threads or options.threads)
    entry = opened.models.get(name)
    # A pool of its own: what the user's answers need of the app's is left alone.
    pool = ModelPool(opened.models, options, log_file=log_file())
    ours = HearthSide(pool, entry, options)
    other: HearthSide | PeerSide | None = None
    if beside is not None:
        other = HearthSide(pool, opened.models.get(beside), options)
        if other.name == ours.name:
            raise RequestInvalid(reason=tr("{name} cannot be measured beside itself", name=ours.name))
    elif peer is not None:
        other = PeerSide(peer, options.threads)
    try:
        benchmark = Benchmark(ours, other, plan)
        figures = benchmark.run()
    finally:
        pool.close()
        if other is not None:
            other.unload()
    return Report(
        model=entry.name,
        threads=benchmark.info.threads,
        provider=benchmark.info.provider,
        is_packed=benchmark.info.is_packed,
        kv_cache_type=benchmark.info.kv_cache_type,
        kv_cache_noise=benchmark.info.kv_cache_noise,
        peer=None if other is None else _title(other),
        generate_tokens=plan.generate_tokens,
        repeat=plan.repeat,
        figures=figures,
    )


@dataclass
class Benchmark:
    """One measurement of one or two sides.

    Attributes:
        plan: cut by `run` to what the model can do.
        info: what the model is, once `run` has loaded it.
    """

    ours: HearthSide
    other: HearthSide | PeerSide | None
    plan: Plan
    info: ModelInfo = field(init=False)
    _runs: dict[Key, dict[Side, list[float]]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._sides: list[Side] = [self.ours] if self.other is None else [self.ours, self.other]
        self._peaks = {side: Peak() for side in self._sides}

    def run(self) -> list[Figure]:
        """Measure; both sides are unloaded at the end. Raises HearthError."""
        self._load()
        self._fill_memory()
        for tokens in self.plan.prompt_tokens:
            self._prefill(tokens)
        for streams, context in self.plan.decodes():
            self._decode(streams, context)
        for side in self._sides:
            self._note(side, Key(What.MEMORY_MOST), self._peaks[side].bytes)
            side.unload()
        for side in self._sides:
            noise = side.noise(Forced.of(self.info.vocab_size))
            if noise is not None:
                self._note(side, Key(What.NOISE), noise)
        return [
            key.figure(runs.get(self.ours, []), runs.get(self.other, []) if self.other else [])
            for key, runs in self._runs.items()
        ]

    def _load(self) -> None:
        """From the disk where the file cache can be emptied, then from the cache."""
        for side in self._sides:
            with self._peaks[side].watch(side.pid):
                side.load()
        self.info = self.ours.info()
        self.plan = self.plan.fitted(self.info)
        if isinstance(self.other, HearthSide):
            self.plan = self.plan.fitted(self.other.info())
        for _ in range(self.plan.repeat):
            for side in self._sides:
                side.unload()
                if evict(side.files()):
                    self._note_loading(side, What.LOAD_COLD, What.MODEL_COLD)
                    side.unload()
                self._note_loading(side, What.LOAD_WARM, What.MODEL_WARM)

    def _note_loading(self, side: Side, whole: What, model: What) -> None:
        loading = side.load()
        self._note(side, Key(whole), loading.seconds)
        self._note(side, Key(model), loading.model_seconds)

    def _fill_memory(self) -> None:
        """What each side takes, from the moment it is loaded; later it also keeps what it has read."""
        shortest = min(self.plan.prompt_tokens)
        for side in self._sides:
            self._note(side, Key(What.MEMORY_LOADED), private_bytes(side.pid()))
            with self._peaks[side].watch(side.pid):
                side.prefill(shortest, self.plan.repeat + 1)
                side.decode(1, 0, self.plan.generate_tokens)
            self._note(side, Key(What.MEMORY_ONE, shortest, 1), self._peaks[side].bytes)
            streams = max(self.plan.streams)
            with self._peaks[side].watch(side.pid):
                side.decode(streams, 0, self.plan.generate_tokens)
            self._note(side, Key(What.MEMORY_MANY, 0, streams), self._peaks[side].bytes)

    def _prefill(self, tokens: int) -> None:
        for side, run in self._turns(lambda side, run: side.prefill(tokens, run)):
            self._note(side, Key(What.PREFILL, tokens), tokens / run)
            self._note(side, Key(What.FIRST_TOKEN, tokens), run)

    def _decode(self, streams: int, context: int) -> None:
        written = self.plan.generate_tokens
        for side, run in self._turns(lambda side, _: side.decode(streams, context, written)):
            self._note(side, Key(What.DECODE, context, streams), run)

    def _turns(self, once: Callable[[Side, int], float]) -> Iterator[tuple[Side, float]]:
        """Each side in each run; before them each once more, uncounted."""
        for side in self._sides:
            with self._peaks[side].watch(side.pid):
                once(side, self.plan.repeat)
        for run in range(self.plan.repeat):
            for side in self._sides if run % 2 else reversed(self._sides):
                yield side, once(side, run)

    def _note(self, side: Side, key: Key, value: float) -> None:
        self._runs.setdefault(key, {}).setdefault(side, []).append(value)


def _title(side: HearthSide | PeerSide) -> str:
    return side.name if isinstance(side, HearthSide) else side.version


def _at_most(numbers: tuple[int, ...], most: int) -> tuple[int, ...]:
    return tuple(sorted({min(number, most) for number in numbers}))
