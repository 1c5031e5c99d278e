"""The machine's speeds are measured for real, in a process of their own; what comes of a failure is no speed."""

from __future__ import annotations

import subprocess

import msgspec
import pytest

from hearth.models.speeds import Speeds
from hearth.services import machine_speed
from hearth.services.machine_speed import measure_speed


def test_every_speed_is_measured() -> None:
    found = msgspec.structs.asdict(measure_speed(2))
    assert all(found.values()), found
    # A product reads its weights no faster than memory or caches give them, and needs longer than no time.
    assert 1e8 < found["token_rate"] < 1e13
    assert 1e-7 < found["operator_seconds"] < 1e-2
    # A prompt's products are arithmetic on weights that are read once.
    assert found["prompt_rate"] > 2 * found["token_rate"]


@pytest.mark.parametrize(
    "fault",
    [OSError("gone"), subprocess.TimeoutExpired("speed", 1), subprocess.CalledProcessError(1, "speed")],
)
def test_what_cannot_be_measured_is_no_speed(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    def fail(*_: object) -> bytes:
        raise fault

    monkeypatch.setattr(machine_speed, "answer_of", fail)
    assert measure_speed(2) == Speeds()
