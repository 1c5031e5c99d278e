"""What models can run on here, what is used and why. Never loads ONNX Runtime."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import msgspec

from hearth.child_process import answer_of
from hearth.engine.providers.choices import Remembered, read_choices
from hearth.engine.providers.listed import ListedProvider, Listing
from hearth.engine.providers.process import process_command
from hearth.engine.providers.trial import AUTO, CPU_ID, best_first
from hearth.hardware.machine import Machine, read_machine
from hearth.i18n import language, tr
from hearth.services.device_options import device_options, devices_file, machine_text
from hearth.services.engine_options import engine_options

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth
    from hearth.services.model_worker import ModelWorker

_LIST_SECONDS = 60


class DeviceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that models could run on.

    Attributes:
        version: of what is installed; empty where it is not.
        hardware: what it would run on; empty where nothing is.
        is_usable: whether it can be used.
        is_used: whether models run on it here; None where that is measured for each model.
        reason: why, in a few words.
        is_tried: whether somebody has run a model on it.
    """

    id: str
    title: str
    version: str
    hardware: str
    is_usable: bool
    is_used: bool | None
    reason: str
    is_tried: bool


class TrialRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured for one model on one device.

    Attributes:
        read_speed, write_speed: tokens per second of a prompt and of one answer; 0 where it was refused.
        refusal: why it was refused, as a part of a sentence; or empty.
    """

    title: str
    threads: int
    read_speed: float
    write_speed: float
    refusal: str
    is_chosen: bool


class ModelDevices(msgspec.Struct, frozen=True, kw_only=True):
    """All that was measured for one model."""

    model: str
    trials: tuple[TrialRow, ...]


class DeviceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What models can run on here, and what was measured.

    Attributes:
        problem: why the devices cannot be listed; or empty.
    """

    devices: tuple[DeviceRow, ...] = ()
    models: tuple[ModelDevices, ...] = ()
    problem: str = ""


def examine_devices(device: str, threads: int, machine: Machine) -> DeviceReport:
    """Ask every provider, in a process of its own, and read what is remembered; takes a second.

    Args:
        device, threads: what the settings want; `auto` and 0 leave it to Hearth.
    """
    listing, problem = _list_providers()
    usable = [known.id for known in listing.providers if not known.reason]
    rows = tuple(_row(known, usable, device, machine) for known in listing.providers)
    titles = {known.id: known.title for known in listing.providers}
    remembered = [
        known
        for known in read_choices(devices_file())
        if (known.machine, known.runtime) == (machine_text(machine), listing.runtime)
    ]
    models = tuple(_model(known, device, threads, titles) for known in remembered)
    return DeviceReport(devices=rows, models=models, problem=problem)


def measure_again(hearth: Hearth, name: str) -> tuple[ModelWorker, ModelDevices]:
    """Load a model anew and measure it on every device that can be used; it stays loaded.

    Blocks while it loads, once for each device. Open answers of the model end.

    Raises:
        HearthError: there is no such model, or it cannot be loaded.
    """
    name = hearth.models.get(name).name
    machine, settings = read_machine(), hearth.config.engine
    devices = device_options(settings.device, settings.threads, machine)
    options = msgspec.structs.replace(
        engine_options(settings, machine), devices=msgspec.structs.replace(devices, measure=True)
    )
    hearth.pool.unload_and_wait([name])
    worker = hearth.pool.load(name, options)
    worker.wait_ready()
    found = [
        known
        for known in examine_devices(settings.device, settings.threads, machine).models
        if known.model == name
    ]
    return worker, found[-1] if found else ModelDevices(model=name, trials=())


def use_text(device: DeviceRow) -> str:
    """Whether models run on it, and why."""
    uses = {True: tr("used"), False: tr("not used"), None: tr("can be used")}
    return tr("{text} ({detail})", text=uses[device.is_used], detail=device.reason)


def _list_providers() -> tuple[Listing, str]:
    """What every provider says, and why that cannot be known."""
    try:
        answer = answer_of(process_command("list", language()), _LIST_SECONDS)
        return msgspec.json.decode(answer, type=Listing), ""
    except subprocess.CalledProcessError as error:
        return Listing(), tr("the process that asks them ended with code {code}", code=error.returncode)
    except (OSError, ValueError, subprocess.TimeoutExpired, msgspec.MsgspecError) as error:
        return Listing(), str(error)


def _row(known: ListedProvider, usable: list[str], device: str, machine: Machine) -> DeviceRow:
    is_used, reason = _use(known, usable, device)
    return DeviceRow(
        id=known.id,
        title=known.title,
        version=known.version,
        hardware=machine.cpu if known.id == CPU_ID else known.hardware,
        is_usable=not known.reason,
        is_used=is_used,
        reason=reason,
        is_tried=known.is_tried,
    )


def _use(known: ListedProvider, usable: list[str], device: str) -> tuple[bool | None, str]:
    """Whether models run on it, and why."""
    if known.reason:
        return False, known.reason
    if device != AUTO and device not in usable:
        # What the settings want cannot be had, so the processor runs everything.
        return known.id == CPU_ID, tr("what config.toml wants cannot be used")
    if device != AUTO:
        return known.id == device, tr("config.toml says so")
    if len(usable) == 1:
        return True, tr("nothing else can be used here")
    return None, tr("measured when a model is first loaded")


def _model(known: Remembered, device: str, threads: int, titles: dict[str, str]) -> ModelDevices:
    trials = [trial for trial in known.trials if trial.provider in titles]
    allowed = [
        trial
        for trial in trials
        if (device == AUTO or trial.provider in (device, CPU_ID)) and threads in (0, trial.threads)
    ]
    chosen = next(iter(best_first(allowed, device)), None)
    return ModelDevices(
        model=known.name,
        trials=tuple(
            TrialRow(
                title=titles[trial.provider],
                threads=trial.threads,
                read_speed=trial.read_speed,
                write_speed=trial.write_speed,
                refusal=trial.reason(),
                is_chosen=trial is chosen,
            )
            for trial in trials
        ),
    )
