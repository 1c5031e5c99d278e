"""How a model ran on one device: what was measured, or why the device is refused. No ONNX Runtime in here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from hearth.i18n import mark, tr

CPU_ID = "cpu"
AUTO = "auto"

# What a turn of a conversation is made of, by which devices are compared: tokens read, and tokens written.
_READ, _WRITTEN = 300, 150
# Fewer threads leave a core to the rest of the machine, but must be worth it beyond what measuring twice differs by.
_WORTH = 1.05


class Refusal(StrEnum):
    """Why a device is not used for a model."""

    LOAD = "load"
    RUN = "run"
    HANG = "hang"
    CRASH = "crash"
    WRONG = "wrong"


_REASONS = {
    Refusal.LOAD: mark("it cannot load the model ({detail})"),
    Refusal.RUN: mark("it failed while computing ({detail})"),
    Refusal.HANG: mark("it did not answer for {detail} seconds"),
    Refusal.CRASH: mark("its test stopped unexpectedly ({detail})"),
    Refusal.WRONG: mark("its results differ from the processor's by {detail} %"),
}


class Trial(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model on one device with one number of threads.

    Attributes:
        provider: the id of the execution provider.
        read_speed, write_speed: tokens per second of a prompt, and of one answer.
        refusal: None where the device can be used.
        detail: what the reason of the refusal says: a number, or words of ONNX Runtime.
    """

    provider: str
    threads: int
    read_speed: float = 0.0
    write_speed: float = 0.0
    refusal: Refusal | None = None
    detail: str = ""

    def reason(self) -> str:
        """Why the device is refused, as a part of a sentence; empty where it is not."""
        return "" if self.refusal is None else tr(_REASONS[self.refusal], detail=self.detail)

    @property
    def seconds(self) -> float:
        """What a usual turn takes; forever where a speed is missing, as in a damaged file."""
        if min(self.read_speed, self.write_speed) <= 0:
            return math.inf
        return _READ / self.read_speed + _WRITTEN / self.write_speed


def best_first(trials: Iterable[Trial], device: str = AUTO) -> list[Trial]:
    """Those that are not refused: first those on `device`, then by speed."""
    usable = [trial for trial in trials if trial.refusal is None]
    most = max((trial.threads for trial in usable), default=0)

    def rank(trial: Trial) -> tuple[bool, float]:
        fewer = _WORTH if trial.threads < most else 1.0
        return device not in (trial.provider, AUTO), trial.seconds * fewer

    return sorted(usable, key=rank)
