"""Processor and memory of this machine, as far as this process may use them."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from hearth.hardware.limits import read_group_limits

# Instruction sets that matter to matrix products, as /proc/cpuinfo spells them.
_INSTRUCTION_SETS = (
    *("avx", "avx2", "f16c", "fma", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16"),
    *("avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimddp", "i8mm", "bf16", "sve", "sve2"),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is, and what this process may use of it.

    Attributes:
        cores: physical cores of the machine; on a Mac those of them that are fast.
        usable_cores: of these, those that affinity and quotas leave to this process; at least 1.
        memory_bytes: memory of the machine, or of this process's control group where that is less.
        available_bytes: what can be taken now without swapping.
    """

    system: str
    cpu: str
    instruction_sets: tuple[str, ...]
    cores: int
    usable_cores: int
    memory_bytes: int
    available_bytes: int


def read_machine() -> Machine:
    """Look at the machine now; takes a few milliseconds."""
    limits = read_group_limits()
    memory = psutil.virtual_memory()
    cores = _physical_cores()
    usable = min(cores, _cores_in_affinity() or cores)
    if limits.cpus is not None:
        usable = min(usable, math.ceil(limits.cpus))
    cpu, flags = _cpu()
    return Machine(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=cpu,
        instruction_sets=tuple(name for name in _INSTRUCTION_SETS if name in flags),
        cores=cores,
        usable_cores=max(1, usable),
        memory_bytes=min(memory.total, limits.memory_bytes or memory.total),
        available_bytes=_least(memory.available, limits.memory_left_bytes),
    )


def cores_of(processors: Iterable[int], root: Path = Path("/")) -> int:
    """How many physical cores these logical processors are; 0 where the system does not tell."""
    cores = set()
    for processor in processors:
        file = root / f"sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list"
        try:
            cores.add(file.read_text())
        except OSError:
            return 0
    return len(cores)


def _least(value: int, limit: int | None) -> int:
    return value if limit is None else min(value, limit)


def _physical_cores() -> int:
    if sys.platform == "darwin":
        # A thread on an efficiency core holds up all the others at the end of each operator.
        fast = _sysctl("hw.perflevel0.physicalcpu")
        if fast.isdigit() and int(fast):
            return int(fast)
    return psutil.cpu_count(logical=False) or psutil.cpu_count() or 1


def _cores_in_affinity() -> int:
    """Cores that this process may be scheduled on; 0 where the system does not tell."""
    if sys.platform == "linux":
        processors = os.sched_getaffinity(0)
        count = cores_of(processors) or len(processors)
    elif sys.platform == "win32":
        count = len(psutil.Process().cpu_affinity())
    else:
        count = 0
    return count


def _cpu() -> tuple[str, set[str]]:
    """The processor's name and its flags, where the system tells."""
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string") or platform.processor(), set()
    if sys.platform == "win32":
        return _windows_cpu_name(), set()
    name, flags = "", set[str]()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    for line in text.split("\n\n", maxsplit=1)[0].splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            name = value.strip()
        elif key.strip() in ("flags", "Features"):
            flags = set(value.split())
    return name or platform.processor() or platform.machine(), flags


def _sysctl(name: str) -> str:
    result = subprocess.run(["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, check=False)
    return result.stdout.strip()


def _windows_cpu_name() -> str:
    name = platform.processor()
    if sys.platform == "win32":
        import winreg

        with winreg.OpenKey(
            winreg.HKEY_LOCAL_MACHINE, r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
        ) as key:
            name = str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()
    return name
