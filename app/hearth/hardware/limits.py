"""What control groups leave to this process: a container, a service or a batch job may have less than the machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_UNLIMITED = 1 << 60  # version 1 writes "no limit" as a number near 2^63


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """The tightest limits of this process's control groups; None where there is none.

    Attributes:
        cpus: processors' worth of time, such as 1.5.
        memory_bytes: most memory of the group.
        memory_left_bytes: what the group may still take; cached files count as free.
    """

    cpus: float | None = None
    memory_bytes: int | None = None
    memory_left_bytes: int | None = None


def read_group_limits(root: Path = Path("/")) -> GroupLimits:
    """The limits of this process. `root` stands for `/`; systems other than Linux have none."""
    cpus: list[float] = []
    memory: list[tuple[int, int]] = []
    mounts = root / "sys/fs/cgroup"
    for controllers, path in _memberships(root):
        if not controllers:
            for folder in _upward(mounts, path):
                cpus += _quota(_words(folder / "cpu.max"))
                memory += _memory(folder, "memory.max", "memory.current", "inactive_file")
        if "cpu" in controllers:
            for folder in _upward(mounts / "cpu", path):
                period = _words(folder / "cpu.cfs_period_us")
                cpus += _quota(_words(folder / "cpu.cfs_quota_us") + period)
        if "memory" in controllers:
            for folder in _upward(mounts / "memory", path):
                memory += _memory(
                    folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
                )
    return GroupLimits(
        cpus=min(cpus, default=None),
        memory_bytes=min((limit for limit, _ in memory), default=None),
        memory_left_bytes=min((left for _, left in memory), default=None),
    )


def _memberships(root: Path) -> Iterator[tuple[list[str], str]]:
    """Lines of /proc/self/cgroup: `hierarchy:controllers:path`; version 2 has no controllers."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            yield [name for name in parts[1].split(",") if name], parts[2].lstrip("/")


def _upward(mount: Path, path: str) -> Iterator[Path]:
    """The group's folder and those above it. A container often sees its own group as the mount itself."""
    folder = mount / path
    while folder != mount:
        yield folder
        folder = folder.parent
    yield mount


def _quota(words: list[str]) -> list[float]:
    """`[quota, period]` in microseconds; a quota of `max` or -1 is none."""
    if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
        return [int(words[0]) / int(words[1])]
    return []


def _memory(folder: Path, limit_name: str, usage_name: str, cache_name: str) -> list[tuple[int, int]]:
    limit, usage = _words(folder / limit_name), _words(folder / usage_name)
    if len(limit) != 1 or len(usage) != 1 or not limit[0].isdigit() or not usage[0].isdigit():
        return []
    if int(limit[0]) >= _UNLIMITED:
        return []
    cached = 0
    for line in _text(folder / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == cache_name and value.isdigit():
            cached = int(value)
    return [(int(limit[0]), max(0, int(limit[0]) - int(usage[0]) + cached))]


def _words(file: Path) -> list[str]:
    return _text(file).split()


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux, another version of control groups, or a file that a container hides
        return ""
