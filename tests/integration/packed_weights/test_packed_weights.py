"""Packed weights: the same answers, never trusted further than they are checked, and no more than there is room for."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hearth.engine import packed_graph
from hearth.engine.host.protocol import EngineOptions
from hearth.engine.ort_backend import OrtBackend
from hearth.engine.ort_session import model_origin
from hearth.engine.packed_graph import write_packed
from hearth.engine.packed_weights import DATA_FILE, GRAPH_FILE, NotPacked, NotTheSame, PackedWeights
from hearth.engine.packing import pack
from hearth.errors import ModelLoadFailed
from hearth.model_folder.folder import ModelFolder
from packing import listed, logits, make, opened, punch_out


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


def change_one_byte(file: Path) -> None:
    with file.open("rb+") as stream:
        stream.seek(file.stat().st_size // 2)
        byte = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte[0] ^ 1]))


def put_in_another_origin(file: Path) -> None:
    manifest = file.with_name("manifest.json")
    manifest.write_text(manifest.read_text().replace("this one", "another one"))


def spoil_the_manifest(file: Path) -> None:
    manifest = file.with_name("manifest.json")
    manifest.write_bytes(manifest.read_bytes().replace(b"this one", b"\xff"))


def lose_the_manifest(file: Path) -> None:
    file.with_name("manifest.json").unlink()


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        punch_out,
        change_one_byte,
        put_in_another_origin,
        spoil_the_manifest,
        lose_the_manifest,
        Path.unlink,
    ],
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
