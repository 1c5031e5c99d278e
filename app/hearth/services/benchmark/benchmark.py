"""Measuring a model, and a peer beside it: which figures, in which order, how often.

The sides take turns in every run, and in going first, so that whatever else the machine does meets both. What warms caches or grows
buffers is run once and not counted; memory is watched in those runs only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

import msgspec

from hearth.engine.host.protocol import ModelInfo
from hearth.errors import HearthError, MeasuringCancelled, RequestInvalid
from hearth.hardware.machine import read_machine
from hearth.i18n import tr
from hearth.paths import log_file
from hearth.services.benchmark.figures import Figure, Key, What
from hearth.services.benchmark.file_cache import evict
from hearth.services.benchmark.hearth_side import HearthSide
from hearth.services.benchmark.peer_side import PeerOptions, PeerSide
from hearth.services.benchmark.private_memory import Peak, private_bytes
from hearth.services.benchmark.shown_figures import keep_figures
from hearth.services.benchmark.side import SHORT_PROMPT, Forced, Side
from hearth.services.engine_options import engine_options, with_threads
from hearth.services.hearth import Hearth
from hearth.services.model_pool import ModelPool

Progress = Callable[[int, int], None]
Cancelled = Callable[[], bool]

_WATCH_SECONDS = 0.1


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure.

    Attributes:
        prompt_tokens: prompts to read.
        streams: how many answers to write at once, after a short prompt.
        contexts: tokens that one answer follows; 0 is an answer after a short prompt.
        generate_tokens: tokens to write, in each stream.
        repeat: runs of each that count.
        noise: whether to measure what rounding does to the logits, too.
    """

    prompt_tokens: tuple[int, ...] = (512, 4096)
    streams: tuple[int, ...] = (1, 2, 4, 8)
    contexts: tuple[int, ...] = (0, 2048, 8192)
    generate_tokens: int = 64
    repeat: int = 5
    noise: bool = True

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
    progress: Progress = lambda _done, _total: None,
    cancelled: Cancelled = lambda: False,
) -> Report:
    """Measure a model by its name or alias, and by turns a peer or another model; 0 threads leaves them to the settings.

    Args:
        progress: told how many runs are done, of how many, once the model is loaded.
        cancelled: asked often; True stops, in the middle of a run too.

    Raises:
        MeasuringCancelled: `cancelled` said so.
        HearthError: there is none, it cannot do what the plan asks, or a side failed.
    """
    # What is measured is the computing. Noise repeats itself, so guesses at it would flatter; and what an earlier
    # measurement has read must neither be found again nor push out what the user's conversations have read.
    options = msgspec.structs.replace(
        engine_options(opened.config.engine, read_machine()), drafts=False, kv_store_bytes=0
    )
    usual_threads = options.threads
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
        with _stopping(pool, entry.name, cancelled):
            benchmark = Benchmark(ours, other, plan, progress, cancelled)
            figures = benchmark.run()
    finally:
        pool.close()
        if other is not None:
            other.unload()
    if options.threads == usual_threads:  # else it is not what answers get
        sides = [(entry, benchmark.info)]
        if beside is not None and benchmark.other_info is not None:
            sides.append((opened.models.get(beside), benchmark.other_info))
        keep_figures(opened.config, sides, figures, plan.generate_tokens)
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


@contextmanager
def _stopping(pool: ModelPool, name: str, cancelled: Cancelled) -> Iterator[None]:
    """End the hosts of `pool` as soon as `cancelled` says so, and raise MeasuringCancelled in place of what that does."""
    done = Event()

    def watch() -> None:
        while not done.wait(_WATCH_SECONDS):
            for status in pool.statuses() if cancelled() else ():
                pool.unload(status.name)

    watcher = Thread(target=watch, name="stop measuring", daemon=True)
    watcher.start()
    try:
        yield
    except HearthError as error:
        if cancelled():
            raise MeasuringCancelled(name=name) from error
        raise
    finally:
        done.set()
        watcher.join()


@dataclass
class Benchmark:
    """One measurement of one or two sides.

    Attributes:
        plan: cut by `run` to what the model can do.
        progress, cancelled: as `measure_model` has them; without its watcher a measurement stops between runs.
        info: what the model is, once `run` has loaded it.
        other_info: the same of another model of Hearth beside it.
    """

    ours: HearthSide
    other: HearthSide | PeerSide | None
    plan: Plan
    progress: Progress = lambda _done, _total: None
    cancelled: Cancelled = lambda: False
    info: ModelInfo = field(init=False)
    other_info: ModelInfo | None = field(init=False, default=None)
    _runs: dict[Key, dict[Side, list[float]]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._sides: list[Side] = [self.ours] if self.other is None else [self.ours, self.other]
        self._peaks = {side: Peak() for side in self._sides}
        self._done = 0

    def run(self) -> list[Figure]:
        """Measure; both sides are unloaded at the end. Raises HearthError, such as MeasuringCancelled."""
        self._load()
        self._fill_memory()
        for tokens in self.plan.prompt_tokens:
            self._prefill(tokens)
        for streams, context in self.plan.decodes():
            self._decode(streams, context)
        for side in self._sides:
            self._note(side, Key(What.MEMORY_MOST), self._peaks[side].bytes)
            side.unload()
        for side in self._sides if self.plan.noise else ():
            noise = side.noise(Forced.of(self.info.vocab_size))
            if noise is not None:
                self._note(side, Key(What.NOISE), noise)
            self._count()
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
            self.other_info = self.other.info()
            self.plan = self.plan.fitted(self.other_info)
        self.progress(0, self._total())
        for _ in range(self.plan.repeat):
            for side in self._sides:
                side.unload()
                if evict(side.files()):
                    self._note_loading(side, What.LOAD_COLD, What.MODEL_COLD)
                    side.unload()
                self._note_loading(side, What.LOAD_WARM, What.MODEL_WARM)
                self._count()

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
            self._count()

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
            self._count()
        for run in range(self.plan.repeat):
            for side in self._sides if run % 2 else reversed(self._sides):
                yield side, once(side, run)
                self._count()

    def _total(self) -> int:
        """How often `_count` is called for a plan that fits."""
        plan = self.plan
        kinds = len(plan.prompt_tokens) + len(plan.decodes())
        return len(self._sides) * (plan.repeat + 1 + kinds * (plan.repeat + 1) + plan.noise)

    def _count(self) -> None:
        """A run has ended. Raises MeasuringCancelled."""
        self._done += 1
        self.progress(self._done, self._total())
        if self.cancelled():
            raise MeasuringCancelled(name=self.ours.name)

    def _note(self, side: Side, key: Key, value: float) -> None:
        self._runs.setdefault(key, {}).setdefault(side, []).append(value)


def _title(side: HearthSide | PeerSide) -> str:
    return side.name if isinstance(side, HearthSide) else side.version


def _at_most(numbers: tuple[int, ...], most: int) -> tuple[int, ...]:
    return tuple(sorted({min(number, most) for number in numbers}))
