"""The memory that loaded models take, and how much of it they may have together."""

from __future__ import annotations

from collections.abc import Iterable

from hearth.hardware.machine import Machine
from hearth.models.registry import ModelEntry
from hearth.services.benchmark.private_memory import private_bytes

MB = 1 << 20
# Interpreter and libraries, and what reading a prompt takes beside the weights.
_HOST_BYTES = 200 * MB


def limit_bytes(setting_mb: int, machine: Machine) -> int:
    """Memory for all loaded models together: what the settings file says, or three quarters of the machine's."""
    return setting_mb * MB or machine.memory_bytes * 3 // 4


def expected_bytes(entries: Iterable[ModelEntry]) -> int:
    """What a host is going to take that loads these models, a model and the one that guesses for it: by their files."""
    return _HOST_BYTES + sum(entry.bytes * 11 // 10 for entry in entries)


def measured_bytes(pid: int) -> int:
    """What the engine host with this process id has for itself; 0 once it has ended."""
    return private_bytes(pid)
