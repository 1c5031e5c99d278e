"""Weights are packed by a process beside a resting host: when, at what rank, and what it leaves when it is stopped."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from disks import small_disk
from hearth.engine.host.client import HostClient
from hearth.engine.host.protocol import VERSION, EngineOptions, Load, Ready
from hearth.engine.ort_backend import OrtBackend
from hearth.engine.ort_session import model_origin
from hearth.engine.packed_weights import DATA_FILE, PackedWeights
from hearth.engine.packing import Job, packing_command, start_packing
from hearth.model_folder.folder import ModelFolder
from packing import listed, logits, opened


def run_packing(folder: ModelFolder, options: EngineOptions, **more: object) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(packing_command(), stdin=subprocess.PIPE, stderr=subprocess.PIPE, **more)  # type: ignore[call-overload]
    job = Job(name="stories", folder=str(folder.path), roots=[], options=options)
    process.stdin.write(msgspec.json.encode(job) + b"\n")
    process.stdin.flush()
    return process


def notes(process: subprocess.Popen[bytes]) -> list[str]:
    """The warnings of a process, once it has ended."""
    assert process.stderr is not None
    text = process.stderr.read().decode()
    process.wait()
    assert process.stdin is not None
    process.stdin.close()
    process.stderr.close()
    return [line for line in text.splitlines() if " WARNING " in line or " ERROR " in line]


@pytest.fixture
def client() -> Iterator[HostClient]:
    client = HostClient("stories")
    yield client
    client.kill()
    client.dispose()


def load(client: HostClient, folder: ModelFolder, options: EngineOptions) -> Ready:
    client.send(Load(version=VERSION, name="stories", folder=str(folder.path), roots=[], options=options))
    reply = client.receive()
    assert isinstance(reply, Ready)
    return reply


def test_a_host_at_rest_has_it_made_and_the_next_host_uses_it(
    int8: ModelFolder, packed: PackedWeights, options: EngineOptions, client: HostClient
) -> None:
    assert not load(client, int8, options).info.is_packed
    origin = model_origin(int8, options.machine)
    while packed.find(origin) is None:
        time.sleep(0.1)
    second = HostClient("stories")
    try:
        assert load(second, int8, options).info.is_packed
    finally:
        second.kill()
        second.dispose()


def test_a_host_that_is_told_to_end_starts_nothing(
    int8: ModelFolder, packed: PackedWeights, options: EngineOptions, client: HostClient
) -> None:
    load(client, int8, options)
    client.close()
    assert not packed.folder.exists()


def test_small_models_are_left_alone_unless_all_shall_be_packed(
    int8: ModelFolder, packed: PackedWeights, options: EngineOptions
) -> None:
    backend = OrtBackend(
        int8, "stories", msgspec.structs.replace(options, packs_all=False, memory_bytes=1 << 30)
    )
    backend.rest()
    assert not packed.folder.exists()


def test_nothing_is_packed_where_memory_is_short(
    int8: ModelFolder, packed: PackedWeights, options: EngineOptions, caplog: pytest.LogCaptureFixture
) -> None:
    backend = OrtBackend(int8, "stories", msgspec.structs.replace(options, memory_bytes=1 << 20))
    backend.rest()
    backend.rest()
    assert not packed.folder.exists()
    assert len(caplog.records) == 1


def test_what_gave_other_answers_is_not_packed_again(
    int8: ModelFolder, packed: PackedWeights, options: EngineOptions
) -> None:
    packed.folder.mkdir(parents=True)
    packed.refuse(model_origin(int8, options.machine))
    process = start_packing("stories", int8, [], options)
    assert process.stdin is not None
    with process.stdin:
        assert process.wait(60) == 1
    assert [entry for entry in packed.folder.iterdir() if entry.is_dir()] == []


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_it_runs_when_nobody_else_wants_to(int8: ModelFolder, options: EngineOptions) -> None:
    process = run_packing(int8, options)
    niceness = 0
    while niceness != 19 and process.poll() is None:
        stat = Path(f"/proc/{process.pid}/stat").read_text()
        niceness = int(stat.rpartition(")")[2].split()[16])
    notes(process)
    assert niceness == 19


def test_a_full_disk_is_one_note_and_leaves_nothing(
    int8: ModelFolder, packed: PackedWeights, options: EngineOptions
) -> None:
    resource = pytest.importorskip("resource")

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    process = run_packing(int8, options, preexec_fn=small_files)
    assert len(notes(process)) == 1
    assert process.returncode == 1
    assert list(packed.folder.iterdir()) == []
    assert not opened(int8, packed).is_packed


def test_a_disk_without_room_is_one_note(int8: ModelFolder, options: EngineOptions, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4 << 20) as disk:
        process = run_packing(int8, msgspec.structs.replace(options, packed_folder=str(disk / "packed")))
        told = notes(process)
        assert len(told) == 1
        assert "the disk has 4 MB left" in told[0] or "the disk has 3 MB left" in told[0]
        assert list((disk / "packed").iterdir()) == []


@pytest.mark.parametrize("seconds", [0.0, 0.3, 0.5, 0.6, 0.7])
def test_killed_at_any_moment_it_leaves_nothing_that_is_listed_half(
    seconds: float, int8: ModelFolder, packed: PackedWeights, options: EngineOptions
) -> None:
    process = run_packing(int8, options)
    time.sleep(seconds)
    process.kill()
    notes(process)
    packed.folder.mkdir(exist_ok=True)
    assert packed.verify(model_origin(int8, "").model)[1] == 0
    runner = opened(int8, packed)
    assert runner.is_packed == bool(listed(packed))
    assert np.array_equal(logits(runner), logits(opened(int8, None)))


def test_parts_of_killed_processes_are_removed_later(packed: PackedWeights) -> None:
    old, young = packed.new_part(), packed.new_part()
    (old / DATA_FILE).write_bytes(b"half")
    os.utime(old, (1, 1))
    packed.new_part()
    assert not old.exists()
    assert young.exists()
