"""What a model's answers show is kept beside its estimate, and corrects the next one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from hearth.config import Config
from hearth.engine.sampling_params import SamplingParams
from hearth.hardware.machine import read_machine
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.manifest import GGUF
from hearth.models.experience import Experience, read_experience, write_experience
from hearth.services.device_options import machine_text
from hearth.services.hearth import Hearth
from hearth.services.model_fit import Fits, experience_file
from machine_speeds import speeds


def experience() -> Experience:
    return read_experience(experience_file(), machine_text(read_machine()))


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_first_long_answer_corrects_the_estimate(stories_float32: Path) -> None:
    kept = Experience(machine=machine_text(read_machine()), measured=3 * (speeds(2e10, 1e11),))
    write_experience(experience_file(), kept)
    folder = ModelFolder.open(stories_float32)
    before = Fits.open(Config()).of_folder(folder).at(512)
    hearth = Hearth.open()
    try:
        hearth.models.import_folder(stories_float32, name="stories", in_place=True)
        worker = hearth.pool.load("stories")
        worker.wait_ready()
        for length in (8, 40, 60):
            for _ in worker.generate(
                SamplingParams(temperature=0, max_tokens=length, ignore_eos=True), text="Once"
            ):
                pass
            if length == 8:
                assert experience() == kept, "eight tokens show nothing"
        until(lambda: experience().models)
        (shown,) = experience().models
    finally:
        hearth.close()
    assert shown.name == "stories"
    assert shown.write > 0
    assert shown.read == 0, "a prompt of two tokens shows nothing"
    after = Fits.open(Config()).of_folder(folder).at(512)
    assert after.memory.working - before.memory.working == shown.working_bytes
    # The real host is told of as it was: interpreter, libraries and a model of a megabyte.
    assert 30e6 < after.memory.private < 300e6


def test_models_in_gguf_have_an_experience_of_their_own(stories_gguf: Path) -> None:
    kept = Experience(machine=machine_text(read_machine()), measured=3 * (speeds(2e10, 1e11),))
    write_experience(experience_file(), kept)
    hearth = Hearth.open()
    try:
        hearth.models.import_folder(stories_gguf, name="stories", in_place=True)
        worker = hearth.pool.load("stories")
        worker.wait_ready()
        for _ in worker.generate(
            SamplingParams(temperature=0, max_tokens=40, ignore_eos=True), text="Once upon"
        ):
            pass
        until(lambda: experience().models)
        (shown,) = experience().models
    finally:
        hearth.close()
    assert (shown.name, shown.format, shown.working_bytes) == ("stories", GGUF, 0)
    assert shown.write > 0


def test_nothing_is_measured_behind_the_back_of_who_never_asked(stories_float32: Path) -> None:
    hearth = Hearth.open()
    try:
        hearth.models.import_folder(stories_float32, name="stories", in_place=True)
        worker = hearth.pool.load("stories")
        for _ in worker.generate(
            SamplingParams(temperature=0, max_tokens=40, ignore_eos=True), text="Once upon"
        ):
            pass
        time.sleep(0.5)
    finally:
        hearth.close()
    assert not experience_file().exists()
