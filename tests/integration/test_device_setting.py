"""The device of a model from end to end: settings, engine host, command line."""

from __future__ import annotations

from pathlib import Path

import msgspec

from command_line import hearth
from hearth.config import Config, load_config
from hearth.engine.host.client import HostClient
from hearth.engine.host.protocol import VERSION, EngineOptions, Load, ModelInfo, Ready
from hearth.engine.providers.choices import DeviceOptions, read_choices
from hearth.engine.providers.registry import PROVIDERS
from hearth.engine.providers.trial import AUTO
from hearth.hardware.machine import read_machine
from hearth.paths import config_file
from hearth.services.device_options import devices_file
from hearth.services.engine_options import engine_options, with_threads


def load(folder: Path, options: EngineOptions) -> ModelInfo:
    """What a host says once it has loaded the model."""
    client = HostClient("stories")
    client.send(Load(version=VERSION, name="stories", folder=str(folder), roots=[], options=options))
    reply = client.receive()
    client.kill()
    client.dispose()
    assert isinstance(reply, Ready), reply
    return reply.info


def test_a_host_measures_at_the_first_load_and_remembers(stories_int8: Path, tmp_path: Path) -> None:
    file = tmp_path / "devices.json"
    devices = DeviceOptions(machine="here", file=str(file))
    options = EngineOptions(threads=4, kv_cache_bytes=64 << 20, devices=devices)
    first = load(stories_int8, options)
    assert first.threads in (3, 4)
    assert first.notices == ()
    (choice,) = read_choices(file)
    assert {(trial.provider, trial.threads) for trial in choice.trials} == {("cpu", 3), ("cpu", 4)}
    written = file.read_bytes()
    second = load(stories_int8, options)
    assert (second.threads, second.provider) == (first.threads, "CPUExecutionProvider")
    assert file.read_bytes() == written


def test_the_setting_may_be_each_provider() -> None:
    for device in (AUTO, *(provider.id for provider in PROVIDERS)):
        config_file().parent.mkdir(exist_ok=True)
        config_file().write_text(f'[engine]\ndevice = "{device}"\n')
        assert load_config().engine.device == device


def test_options_say_what_the_settings_leave_open() -> None:
    machine = read_machine()
    free = engine_options(Config().engine, machine)
    assert free.devices is not None
    assert (free.devices.device, free.devices.threads_are_set) == (AUTO, False)
    assert free.devices.file == str(devices_file())
    fixed = engine_options(msgspec.structs.replace(Config().engine, threads=3, device="cpu"), machine)
    assert fixed.devices is not None
    assert (fixed.threads, fixed.devices.device, fixed.devices.threads_are_set) == (3, "cpu", True)
    wanted = with_threads(free, 5)
    assert wanted.devices is not None
    assert (wanted.threads, wanted.devices.threads_are_set) == (5, True)


def test_doctor_measures_a_model_again(stories_int8: Path) -> None:
    hearth("models", "import", str(stories_int8), "--name", "one")
    measured = hearth("doctor", "--measure", "one", "--json").json
    assert measured["model"] == "one"
    assert sum(trial["is_chosen"] for trial in measured["trials"]) == 1
    assert all(trial["write_speed"] > 0 for trial in measured["trials"] if not trial["refusal"])
    assert devices_file().exists()
    assert hearth("doctor", "--json").json["devices"]["models"] == [measured]
    text = hearth("doctor").out
    assert "chosen" in text
    assert "tokens/s" in text


def test_doctor_measures_only_what_is_there() -> None:
    assert "no model named “one”" in hearth("doctor", "--measure", "one").error_line()


def test_a_device_that_is_not_here_is_told_and_the_processor_answers(
    hearth_home: Path, stories_int8: Path
) -> None:
    hearth_home.mkdir()
    config_file().write_text('[engine]\ndevice = "cuda"\nthreads = 1\n')
    hearth("models", "import", str(stories_int8), "--name", "one")
    answer = hearth("run", "one", "Once", "--raw", "--max-tokens", "2")
    assert answer.code == 0
    assert answer.out.strip()
    assert "NVIDIA CUDA is not used: " in answer.err
    rows = {row["id"]: row for row in hearth("doctor", "--json").json["devices"]["devices"]}
    assert rows["cpu"]["is_used"] is True
    assert rows["cpu"]["reason"] == "what config.toml wants cannot be used"
    assert rows["cuda"]["is_used"] is False


def test_threads_of_one_command_are_used_as_they_are(stories_int8: Path) -> None:
    hearth("models", "import", str(stories_int8), "--name", "one")
    hearth("run", "one", "Once", "--raw", "--max-tokens", "2", "--threads", "4")
    assert not devices_file().exists()
