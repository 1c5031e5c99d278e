"""How much of the machine this process may use, read from made-up control groups."""

from __future__ import annotations

from pathlib import Path

from hearth.hardware.limits import GroupLimits, read_group_limits
from hearth.hardware.machine import cores_of, read_machine


def write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


def test_no_control_groups_no_limits(tmp_path: Path) -> None:
    assert read_group_limits(tmp_path) == GroupLimits()


def test_the_tightest_group_above_counts_in_version_2(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/user/app/"
    write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/user/app\n",
            f"{group}cpu.max": "max 100000\n",
            "sys/fs/cgroup/user/cpu.max": "150000 100000\n",
            f"{group}memory.max": "1000\n",
            f"{group}memory.current": "900\n",
            f"{group}memory.stat": "anon 500\ninactive_file 300\n",
            "sys/fs/cgroup/user/memory.max": "max\n",
        },
    )
    assert read_group_limits(tmp_path) == GroupLimits(cpus=1.5, memory_bytes=1000, memory_left_bytes=400)


def test_version_1(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/job\n2:cpu,cpuacct:/job\n1:name=systemd:/\n",
            "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "200000\n",
            "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "5000\n",
            "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "1000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2**63 - 4096}\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "1\n",
        },
    )
    assert read_group_limits(tmp_path) == GroupLimits(cpus=2.0, memory_bytes=5000, memory_left_bytes=4000)


def test_a_container_sees_its_own_group_as_the_mount(tmp_path: Path) -> None:
    write(tmp_path, {"proc/self/cgroup": "0::/../../outside\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"})
    assert read_group_limits(tmp_path).cpus == 0.5


def test_two_threads_of_one_core_are_one_core(tmp_path: Path) -> None:
    pairs = {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}
    write(
        tmp_path,
        {f"sys/devices/system/cpu/cpu{n}/topology/thread_siblings_list": pair for n, pair in pairs.items()},
    )
    assert cores_of([0, 2], tmp_path) == 1
    assert cores_of(range(4), tmp_path) == 2
    assert cores_of([9], tmp_path) == 0


def test_this_machine() -> None:
    machine = read_machine()
    assert 1 <= machine.usable_cores <= machine.cores
    assert 0 < machine.available_bytes <= machine.memory_bytes
