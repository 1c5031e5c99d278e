"""How a host shall choose the device of its model, and where it remembers what it measured."""

from __future__ import annotations

import platform
from pathlib import Path

from hearth import paths
from hearth.engine.providers.choices import DeviceOptions
from hearth.hardware.machine import Machine


def devices_file() -> Path:
    """What was measured on this machine; hosts write it."""
    return paths.home() / "devices.json"


def machine_text(machine: Machine) -> str:
    """What a measurement depends on; with another text it is out of date."""
    cores = f"{machine.usable_cores} of {machine.cores} cores"
    return f"{processor_text(machine)}, {cores}"


def processor_text(machine: Machine) -> str:
    """What the layout of packed weights depends on."""
    return " ".join((platform.system(), platform.machine(), machine.cpu, *machine.instruction_sets))


def device_options(device: str, threads: int, machine: Machine) -> DeviceOptions:
    """By the settings: a provider's id or `auto`, and a number of threads or 0."""
    return DeviceOptions(
        machine=machine_text(machine),
        file=str(devices_file()),
        device=device,
        threads_are_set=bool(threads),
    )
