"""Packed weights: made beside a resting host, used at the next load, and never trusted further than they are checked."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from command_line import hearth
from disks import small_disk
from hearth.engine import packed_graph
from hearth.engine.host.client import HostClient
from hearth.engine.host.protocol import VERSION, EngineOptions, Load, Ready
from hearth.engine.ort_backend import OrtBackend
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.ort_session import model_origin
from hearth.engine.packed_graph import write_packed
from hearth.engine.packed_weights import DATA_FILE, GRAPH_FILE, NotPacked, NotTheSame, PackedWeights
from hearth.engine.packing import Job, pack, packing_command, start_packing
from hearth.errors import ModelLoadFailed
from hearth.model_folder.folder import ModelFolder
from hearth.models.registry import ModelRegistry
from hearth.paths import config_file
from hearth.services import packed_forms
from hearth.services.hearth import Hearth

PROMPT = [1, 403, 407, 261, 378]


@pytest.fixture
def packed(tmp_path: Path) -> PackedWeights:
    return PackedWeights(tmp_path / "packed", 1 << 30)


@pytest.fixture
def options(packed: PackedWeights) -> EngineOptions:
    return EngineOptions(
        threads=1,
        kv_cache_bytes=1 << 27,
        packed_folder=str(packed.folder),
        packed_bytes=packed.byte_limit,
        packs_all=True,
        machine="this one",
    )


@pytest.fixture(params=["float32", "int8"])
def model(request: pytest.FixtureRequest) -> ModelFolder:
    path: Path = request.getfixturevalue(f"stories_{request.param}")
    return ModelFolder.open(path)


@pytest.fixture
def int8(stories_int8: Path) -> ModelFolder:
    return ModelFolder.open(stories_int8)


@pytest.fixture
def entry(int8: ModelFolder, packed: PackedWeights, options: EngineOptions) -> Path:
    """The folder of the packed form of the int8 model."""
    return make(int8, packed, options)


def make(folder: ModelFolder, packed: PackedWeights, options: EngineOptions) -> Path:
    pack(folder, "stories", packed, options, packed.new_part())
    file = packed.find(model_origin(folder, options.machine))
    assert file is not None
    return file.parent


def opened(folder: ModelFolder, packed: PackedWeights | None, machine: str = "this one") -> OrtRunner:
    runner = OrtRunner(
        folder, "stories", threads=1, max_slots=1, kv_cache_bytes=1 << 27, packed=packed, machine=machine
    )
    runner.reserve(1, 64)
    return runner


def logits(runner: OrtRunner) -> np.ndarray:
    """After a prompt, after a token more, and at each position of three more."""
    rows = [runner.prefill(0, PROMPT)[None], runner.decode(0, [298]), runner.score(0, [5, 6, 7])]
    return np.concatenate(rows)


def listed(packed: PackedWeights) -> list[str]:
    return sorted(entry.name for entry in packed.folder.iterdir() if not entry.suffix)


def test_the_packed_form_gives_the_same_logits_at_every_position(
    model: ModelFolder, packed: PackedWeights, options: EngineOptions
) -> None:
    make(model, packed, options)
    runner, plain = opened(model, packed), opened(model, None)
    assert runner.is_packed
    assert not plain.is_packed
    assert np.array_equal(logits(runner), logits(plain))


def test_another_onnxruntime_or_processor_takes_the_plain_form_and_replaces_the_packed_one(
    int8: ModelFolder,
    packed: PackedWeights,
    options: EngineOptions,
    entry: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not opened(int8, packed, "another one").is_packed
    monkeypatch.setattr("onnxruntime.__version__", "9.9.9")
    assert not opened(int8, packed).is_packed
    newer = make(int8, packed, options)
    assert listed(packed) == [newer.name]
    assert newer != entry


def truncate(file: Path) -> None:
    with file.open("rb+") as stream:
        stream.truncate(file.stat().st_size - 4096)


def punch_out(file: Path) -> None:
    """The first quarter set to zero, as a hole would read, and the times put back as they were."""
    stat = file.stat()
    with file.open("rb+") as stream:
        stream.write(bytes(stat.st_size // 4))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def change_one_byte(file: Path) -> None:
    with file.open("rb+") as stream:
        stream.seek(file.stat().st_size // 2)
        byte = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte[0] ^ 1]))


def put_in_another_origin(file: Path) -> None:
    manifest = file.with_name("manifest.json")
    manifest.write_text(manifest.read_text().replace("this one", "another one"))


def lose_the_manifest(file: Path) -> None:
    file.with_name("manifest.json").unlink()


@pytest.mark.parametrize(
    "damage",
    [truncate, punch_out, change_one_byte, put_in_another_origin, lose_the_manifest, Path.unlink],
    ids=lambda damage: damage.__name__,
)
def test_what_is_damaged_is_removed_and_the_plain_form_answers(
    damage: Callable[[Path], None],
    int8: ModelFolder,
    packed: PackedWeights,
    entry: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    damage(entry / DATA_FILE)
    runner = opened(int8, packed)
    assert not runner.is_packed
    assert np.array_equal(logits(runner), logits(opened(int8, None)))
    assert listed(packed) == []
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_form_that_cannot_be_loaded_is_removed_and_told_once(
    int8: ModelFolder, packed: PackedWeights, options: EngineOptions, caplog: pytest.LogCaptureFixture
) -> None:
    part = packed.new_part()
    (part / GRAPH_FILE).write_bytes(b"no graph")
    (part / DATA_FILE).write_bytes(b"no weights")
    packed.add(part, model_origin(int8, options.machine), int8.path)
    assert not opened(int8, packed).is_packed
    assert not opened(int8, packed).is_packed
    assert listed(packed) == []
    assert len(caplog.records) == 1


def test_a_form_with_other_answers_is_never_taken_in(
    int8: ModelFolder,
    packed: PackedWeights,
    options: EngineOptions,
    stories_float32: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = ModelFolder.open(stories_float32)
    monkeypatch.setattr(packed_graph, "write_packed", lambda _, *rest: write_packed(other, *rest))
    with pytest.raises(NotTheSame):
        pack(int8, "stories", packed, options, packed.new_part())
    assert listed(packed) == []


def test_each_product_is_compared_with_its_packed_matrix(
    int8: ModelFolder, packed: PackedWeights, options: EngineOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that nothing wrong comes of it where there is no memory for comparing logits."""
    moved = packed_graph._moved

    def to_a_wrong_place(*arguments: Any) -> str:
        key, buffer = moved(*arguments).split("|")
        offset, rest = buffer.split(";", 1)
        return f"{key}|{int(offset) - 64};{rest}"

    monkeypatch.setattr("hearth.engine.packing.loads_as_it_is", lambda *_: False)
    make(int8, packed, options)
    monkeypatch.setattr(packed_graph, "_moved", to_a_wrong_place)
    with pytest.raises((NotTheSame, ModelLoadFailed)):  # onnxruntime may notice it first
        pack(int8, "stories", packed, options, packed.new_part())


def test_a_model_that_memory_cannot_hold_as_it_is_is_packed_before_it_is_loaded(
    int8: ModelFolder, packed: PackedWeights, options: EngineOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hearth.engine.ort_backend.loads_as_it_is", lambda *_: False)
    heard: list[float] = []
    backend = OrtBackend(int8, "stories", options, on_preparing=heard.append)
    assert backend.info.is_packed
    assert heard
    assert heard == sorted(heard)
    assert 0 <= heard[0] <= heard[-1] < 1


def test_verify_reads_every_byte_and_removes_what_is_damaged(
    int8: ModelFolder, packed: PackedWeights, entry: Path
) -> None:
    model = model_origin(int8, "").model
    done: list[tuple[int, int]] = []
    assert packed.verify(model, lambda *now: done.append(now)) == (1, 0)
    whole = sum((entry / name).stat().st_size for name in (GRAPH_FILE, DATA_FILE))
    assert done[-1] == (whole, whole)
    punch_out(entry / DATA_FILE)
    assert packed.verify("another model") == (0, 0)
    assert packed.verify(model) == (1, 1)
    assert listed(packed) == []


def test_those_not_used_for_longest_go_first(
    int8: ModelFolder, stories_float32: Path, packed: PackedWeights, options: EngineOptions, entry: Path
) -> None:
    second = make(ModelFolder.open(stories_float32), packed, options)
    os.utime(second / "manifest.json", ns=(1, 1))
    assert opened(int8, packed).is_packed
    size = sum(file.stat().st_size for file in entry.iterdir())
    part = packed.new_part()
    for file in (GRAPH_FILE, DATA_FILE):
        (part / file).write_bytes((entry / file).read_bytes())
    origin = msgspec.structs.replace(model_origin(int8, options.machine), model="a third model")
    PackedWeights(packed.folder, 2 * size).add(part, origin, int8.path)
    assert listed(packed) == sorted([entry.name, origin.name])


def test_the_form_of_a_model_that_is_gone_goes_with_it(
    int8: ModelFolder, packed: PackedWeights, options: EngineOptions, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    part = packed.new_part()
    for file in (GRAPH_FILE, DATA_FILE):
        (part / file).write_bytes(b"-")
    packed.add(part, msgspec.structs.replace(model_origin(int8, ""), model="gone"), gone)
    kept = make(int8, packed, options)
    assert listed(packed) == [kept.name]


def test_a_short_disk_and_a_low_limit_leave_no_room(
    packed: PackedWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed.check_room(100 << 20)
    with pytest.raises(NotPacked, match="are allowed"):
        packed.check_room(1 << 30)
    usage = type("Usage", (), {"total": 100 << 30, "free": 5 << 30})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(NotPacked, match="the disk has"):
        packed.check_room(100 << 20)


# In processes of their own


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


def test_nothing_is_packed_where_memory_is_short(
    int8: ModelFolder, packed: PackedWeights, options: EngineOptions, caplog: pytest.LogCaptureFixture
) -> None:
    backend = OrtBackend(int8, "stories", msgspec.structs.replace(options, memory_bytes=1 << 20))
    backend.rest()
    backend.rest()
    assert not packed.folder.exists()
    assert len(caplog.records) == 1


def test_models_verify_checks_the_packed_form_too(
    int8: ModelFolder, options: EngineOptions, hearth_home: Path
) -> None:
    hearth("models", "import", "--in-place", str(int8.path), "--name", "stories")
    packed = PackedWeights(hearth_home / "packed", 1 << 30)
    entry = make(int8, packed, options)
    assert hearth("models", "verify", "stories", "--json").json["packed"] == {"checked": 1, "damaged": 0}
    punch_out(entry / DATA_FILE)
    result = hearth("models", "verify", "stories")
    assert result.code == 0
    assert "damaged" in result.err
    assert listed(packed) == []


@pytest.fixture
def packed_at_home(int8: ModelFolder, options: EngineOptions, hearth_home: Path) -> PackedWeights:
    """A copy of the int8 model in the list, as “mine”, and its packed form where Hearth keeps them."""
    registry = ModelRegistry()
    registry.import_folder(int8.path, name="mine")
    packed = PackedWeights(hearth_home / "packed", 1 << 30)
    make(ModelFolder.open(registry.root / "mine"), packed, options)
    return packed


def test_the_form_of_a_removed_model_stays_as_long_as_that_can_be_restored(
    packed_at_home: PackedWeights, stories_float32: Path, options: EngineOptions
) -> None:
    registry = ModelRegistry()
    registry.import_folder(stories_float32, name="theirs", in_place=True)
    make(ModelFolder.open(stories_float32), packed_at_home, options)
    registry.restore(registry.remove("mine"))
    packed_forms.purge_removed(registry)
    assert len(listed(packed_at_home)) == 2
    registry.remove("mine")
    packed_forms.purge_removed(registry)
    assert len(listed(packed_at_home)) == 1
    assert hearth("models", "remove", "theirs", "--yes").code == 0
    assert listed(packed_at_home) == []


def test_packed_weights_that_are_switched_off_are_deleted(packed_at_home: PackedWeights) -> None:
    packed_at_home.new_part()  # another process makes one at this moment
    (packed_at_home.folder / "of-old.refused").touch()
    opened = Hearth.open()
    opened.change_settings({"engine.threads": 1})
    assert len(listed(packed_at_home)) == 1
    opened.change_settings({"engine.packed_weights": "off"})
    assert {entry.suffix for entry in packed_at_home.folder.iterdir()} == {".part"}
    opened.close()


def test_packed_weights_that_are_off_when_hearth_starts_are_deleted(packed_at_home: PackedWeights) -> None:
    config_file().write_text('[engine]\npacked_weights = "off"\n')
    Hearth.open().close()
    assert listed(packed_at_home) == []


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_it_runs_when_nobody_else_wants_to(int8: ModelFolder, options: EngineOptions) -> None:
    process = run_packing(int8, options)
    niceness = 0
    while niceness != 19 and process.poll() is None:
        stat = Path(f"/proc/{process.pid}/stat").read_text()
        niceness = int(stat.rpartition(")")[2].split()[16])
    notes(process)
    assert niceness == 19
