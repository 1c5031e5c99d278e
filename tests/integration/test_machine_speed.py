"""The machine's speeds are measured for real, in a process of their own; what comes of a failure is no speed."""

from __future__ import annotations

import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event, current_thread, main_thread

import msgspec
import pytest

from hearth.config import Config
from hearth.hardware import kernel_speed, speed
from hearth.models.experience import Experience, Shown, read_experience, write_experience
from hearth.models.speeds import Speeds
from hearth.services import machine_speed, model_fit
from hearth.services.device_options import machine_text
from hearth.services.machine_speed import measure_speed
from hearth.services.model_fit import Fits, experience_file
from hearth.services.model_sizes import EXAMPLES, measure_model_sizes
from machine_speeds import speeds


def test_every_speed_is_measured() -> None:
    found = msgspec.structs.asdict(measure_speed(2))
    assert all(found.values()), found
    # A prompt's products are arithmetic on weights that are read once.
    assert found["prompt_rate"] > 2 * found["token_rate"]


def test_this_machine_is_measured_three_times_and_what_was_measured_is_kept() -> None:
    sizes = measure_model_sizes()
    assert sizes.machine.memory_bytes > 0
    assert sizes.bandwidth > 0
    assert list(sizes.fits) == sorted(EXAMPLES)
    for _ in range(3):
        measure_model_sizes()
    measured = read_experience(experience_file(), machine_text(sizes.machine)).measured
    assert len(measured) == 3, "enough is enough"
    assert measured[0].bandwidth == sizes.bandwidth


@pytest.mark.parametrize(
    "fault",
    [OSError("gone"), subprocess.TimeoutExpired("speed", 1), subprocess.CalledProcessError(1, "speed")],
)
def test_what_cannot_be_measured_is_no_speed(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    def fail(*_: object) -> bytes:
        raise fault

    monkeypatch.setattr(machine_speed, "answer_of", fail)
    assert measure_speed(2) == Speeds()


def test_what_is_not_wanted_any_more_is_not_measured_and_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert measure_speed(2, lambda: True) == Speeds()
    with model_fit._measuring:  # somebody else measures
        assert not Fits.open(Config(), cancelled=lambda: True).spec.speeds.bandwidth
    assert caplog.records == []


def test_without_kernels_there_is_still_what_numpy_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_cores: int) -> dict[str, float]:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(kernel_speed, "measure_kernels", refused)
    found = speed.measure(1)
    assert sorted(found) == ["bandwidth", "compute"]
    assert all(found.values())


def test_who_comes_while_the_machine_is_measured_waits_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, shown = Fits.open(Config(), measured=False).machine, Shown(model="a", name="a", write=0.5)
    file, text = experience_file(), machine_text(machine)
    has_looked = Event()
    runs: list[int] = []

    def looked(file: Path, machine: str) -> Experience:
        found = read_experience(file, machine)
        if current_thread() is not main_thread():
            has_looked.set()
        return found

    def measured(cores: int, _cancelled: object) -> Speeds:
        runs.append(cores)
        # Meanwhile a model shows how fast it is, and another window opens.
        write_experience(file, read_experience(file, text).with_shown(shown))
        others.append(pool.submit(Fits.open, Config()))
        assert has_looked.wait(30)
        return speeds(2e10)

    monkeypatch.setattr(model_fit, "read_experience", looked)
    monkeypatch.setattr(model_fit, "measure_speed", measured)
    others: list[Future[Fits]] = []
    with ThreadPoolExecutor(1) as pool:
        first = Fits.open(Config())
        (second,) = (other.result() for other in others)
    assert len(runs) == 1
    assert first.experience.models == (shown,)
    assert first.spec.speeds == second.spec.speeds == speeds(2e10)
