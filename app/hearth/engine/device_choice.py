"""Which device and how many threads a model runs on: measured at its first load on this machine, then remembered.

A device other than the CPU must first give the same results as the CPU on a probe prompt, in a process of its own. It
is refused where it fails, hangs or differs; that is said once, and the next best is used.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from hearth.engine.host.protocol import EngineOptions
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.packed_weights import packed_weights
from hearth.engine.providers.choices import DeviceOptions, Remembered, find_choice, remember
from hearth.engine.providers.listing import runtime_text, usable_providers
from hearth.engine.providers.measuring import LEAST_TOKENS, MOST_ERROR, measure
from hearth.engine.providers.provider import Provider, availability
from hearth.engine.providers.registry import CPU, PROVIDERS
from hearth.engine.providers.trial import AUTO, CPU_ID, Refusal, Trial, best_first
from hearth.engine.providers.trial_process import try_provider
from hearth.engine.relative_error import relative_error
from hearth.errors import ModelLoadFailed, ModelUnsupported
from hearth.i18n import tr
from hearth.model_folder.digest import model_digest
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.int8_cache import Scale

log = logging.getLogger(__name__)

# From here on one core can be left to the rest of the machine without losing much, and may be worth it.
_LEAST_THREADS_TO_CHOOSE = 4
# How long a device may take to load and run a model before it is given up: it compiles, and a slow disk is read.
_PATIENCE_SECONDS = 60.0
_BYTES_PER_SECOND = 25e6


@dataclass(frozen=True, slots=True)
class Candidate:
    """A device and a number of threads that a model could run with."""

    provider: Provider
    threads: int

    @property
    def key(self) -> tuple[str, int]:
        return self.provider.id, self.threads


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A loaded model, and how it runs.

    Attributes:
        notices: sentences that its user should read once: which devices were refused, and why.
    """

    runner: OrtRunner
    provider: Provider
    threads: int
    notices: tuple[str, ...]


def open_model(
    folder: ModelFolder,
    name: str,
    options: EngineOptions,
    devices: DeviceOptions | None,
    kv_scales: Mapping[str, Scale] | None = None,
) -> OpenedModel:
    """Load the model on the best device that `devices` allow; on the CPU with all of its threads where they are None.

    Args:
        kv_scales: have the CPU keep keys and values as int8.

    Raises:
        ModelLoadFailed, ModelUnsupported, ModelRunFailed: it cannot be loaded, or not be run.
    """
    fixed = DeviceOptions(machine="", file="", device=CPU_ID, threads_are_set=True)
    return DeviceChooser(folder, name, options, devices or fixed, kv_scales=kv_scales).open()


class DeviceChooser:
    """Opens one model on the best of the candidates."""

    def __init__(
        self,
        folder: ModelFolder,
        name: str,
        options: EngineOptions,
        devices: DeviceOptions,
        *,
        kv_scales: Mapping[str, Scale] | None = None,
        providers: Sequence[Provider] = PROVIDERS,
        patience: float | None = None,
    ) -> None:
        """`patience`: seconds that a device may take for a trial; by default by the size of the model."""
        self._folder = folder
        self._name = name
        self._options = options
        self._devices = devices
        self._kv_scales = kv_scales
        self._usable = usable_providers(providers)
        self._known = {provider.id: provider for provider in providers}
        self._patience = patience or _PATIENCE_SECONDS + folder.bytes / _BYTES_PER_SECOND
        self._notices: list[str] = []
        self._loaded: tuple[Candidate, Mapping[str, Scale] | None, OrtRunner] | None = None

    def open(self) -> OpenedModel:
        """Load the model, measured first where nothing is remembered.

        Raises:
            ModelLoadFailed, ModelUnsupported, ModelRunFailed: the CPU cannot load it either, or run it.
        """
        candidates = self._candidates()
        for candidate in self._in_order(candidates):
            try:
                return self._opened(candidate)
            except ModelLoadFailed as error:
                if candidate.provider.id == CPU_ID:
                    raise
                refused = Trial(
                    provider=candidate.provider.id,
                    threads=candidate.threads,
                    refusal=Refusal.LOAD,
                    detail=str(error.params["reason"]),
                )
                self._tell_refused(candidate.provider, refused.reason())
        return self._opened(candidates[-1])

    def _opened(self, candidate: Candidate) -> OpenedModel:
        runner = self._load(candidate, self._kv_scales if candidate.provider.id == CPU_ID else None)
        return OpenedModel(runner, candidate.provider, candidate.threads, tuple(self._notices))

    def _candidates(self) -> list[Candidate]:
        """What may be used; the CPU with all threads comes last and is always there."""
        device, threads = self._devices.device, self._options.threads
        wanted = [provider for provider in self._usable if device in (AUTO, provider.id)]
        if not wanted:
            self._tell_missing(device)
        others = [Candidate(provider, threads) for provider in wanted if provider.id != CPU_ID]
        fewer = []
        chooses_threads = not self._devices.threads_are_set and threads >= _LEAST_THREADS_TO_CHOOSE
        if chooses_threads and any(provider.id == CPU_ID for provider in wanted):
            # An eighth less, and at least one: only so many more sessions as a first load can bear.
            fewer = [Candidate(CPU, threads - max(1, threads // 8))]
        return [*others, *fewer, Candidate(CPU, threads)]

    def _tell_missing(self, device: str) -> None:
        provider = self._known.get(device)
        title = provider.title if provider else device
        reason = availability(provider).reason if provider else tr("this Hearth does not know it")
        self._notices.append(tr("{device} is not used: {reason}.", device=title, reason=reason))

    def _in_order(self, candidates: list[Candidate]) -> list[Candidate]:
        """The candidates that can be used, best first."""
        if len(candidates) == 1 and not self._devices.measure:
            return candidates
        by_key = {candidate.key: candidate for candidate in candidates}
        trials = best_first(self._trials(candidates), self._devices.device)
        return [by_key[trial.provider, trial.threads] for trial in trials]

    def _trials(self, candidates: list[Candidate]) -> list[Trial]:
        """How each of the candidates did: remembered where all of them are, else measured now."""
        file, keys = Path(self._devices.file), {candidate.key for candidate in candidates}
        model, runtime = model_digest(self._folder), runtime_text(self._usable)
        if not self._devices.measure:
            known = find_choice(file, model=model, machine=self._devices.machine, runtime=runtime)
            trials = [
                trial for trial in (known.trials if known else ()) if (trial.provider, trial.threads) in keys
            ]
            if len(trials) == len(keys):
                return trials
        trials = self._measure(candidates)
        remember(
            file,
            Remembered(
                model=model,
                name=self._name,
                machine=self._devices.machine,
                runtime=runtime,
                trials=tuple(trials),
            ),
        )
        return trials

    def _measure(self, candidates: list[Candidate]) -> list[Trial]:
        """Try all of them, one after the other, so that no two hold the model in memory at once.

        The last is tried in this process, since it is most often the one that is used.
        """
        *others, last = candidates
        tried = [
            try_provider(self._folder, self._name, other.provider, other.threads, self._patience)
            for other in others
        ]
        runner = self._load(last, None)  # floats everywhere: scales would be held against the other devices
        if runner.context_length < LEAST_TOKENS:
            raise ModelUnsupported(name=self._name, reason=tr("the memory for its context is too small"))
        reference = measure(runner)
        trials = [_compared(trial, logits, reference.logits) for trial, logits in tried]
        for other, trial in zip(others, trials, strict=True):
            log.info("%s was tried for %s: %s", other.provider.title, self._name, trial)
            if trial.refusal is not None and other.provider.id != CPU_ID:
                self._tell_refused(other.provider, trial.reason())
        return [
            *trials,
            Trial(
                provider=last.provider.id,
                threads=last.threads,
                read_speed=reference.read_speed,
                write_speed=reference.write_speed,
            ),
        ]

    def _load(self, candidate: Candidate, kv_scales: Mapping[str, Scale] | None) -> OrtRunner:
        """The model on this candidate; one that is loaded already in another way goes first."""
        if self._loaded is None or self._loaded[:2] != (candidate, kv_scales):
            self._loaded = None  # its memory is needed
            options, on_cpu = self._options, candidate.provider.id == CPU_ID
            runner = OrtRunner(
                self._folder,
                self._name,
                threads=candidate.threads,
                provider=candidate.provider,
                kv_scales=kv_scales,
                packed=None if kv_scales or not on_cpu else packed_weights(self._folder, options),
                machine=options.machine,
                memory_bytes=options.memory_bytes,
                max_slots=options.max_slots,
                kv_cache_bytes=options.kv_cache_bytes,
                max_context=options.max_context,
            )
            self._loaded = candidate, kv_scales, runner
        return self._loaded[2]

    def _tell_refused(self, provider: Provider, reason: str) -> None:
        notice = tr(
            "{device} is not used for {name}: {reason}.",
            device=provider.title,
            name=self._name,
            reason=reason,
        )
        log.warning("%s", notice)
        self._notices.append(notice)


def _compared(trial: Trial, logits: np.ndarray, reference: np.ndarray) -> Trial:
    """The trial, refused where its logits are not those of the CPU."""
    if trial.refusal is not None:
        return trial
    error = relative_error(logits, reference.ravel())
    if error <= MOST_ERROR:
        return trial
    percent = "∞" if error == float("inf") else f"{error * 100:.0f}"
    return msgspec.structs.replace(trial, refusal=Refusal.WRONG, detail=percent)
