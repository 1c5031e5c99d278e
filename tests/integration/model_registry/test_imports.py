"""Models come into the store whole or not at all, by copy or in place, and under a name that is free."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from hearth.engine.ort_runner import OrtRunner
from hearth.errors import (
    DiskFull,
    HearthError,
    HomeUnwritable,
    ImportCancelled,
    ModelFileOutside,
    ModelFileTruncated,
    ModelFolderMissing,
    ModelsBusy,
)
from hearth.model_folder.folder import ModelFolder
from hearth.models.registry import ModelRegistry
from hub_caches import REVISION, write_hub_cache
from onnx_bytes import block, graph, model, tensor


class DiskUsage(NamedTuple):
    total: int
    used: int
    free: int


def leftovers(registry: ModelRegistry) -> list[Path]:
    return [path for name in (".incoming", ".trash") for path in (registry.root / name).glob("*")]


def test_an_import_copies_the_model_and_nothing_else(registry: ModelRegistry, source: Path) -> None:
    reported: list[tuple[int, int]] = []
    entry = registry.import_folder(source, progress=lambda done, total: reported.append((done, total)))
    assert (entry.name, entry.format, entry.in_place) == ("tiny-model", "onnxruntime-genai", False)
    assert entry.path == registry.root / "tiny-model"
    copied = {file.name for file in entry.path.iterdir()}
    assert copied == {file.name for file in source.iterdir()} - {"holiday.jpg"} | {"manifest.json"}
    for name, file in entry.manifest.files.items():
        data = (source / name).read_bytes()
        assert (entry.path / name).read_bytes() == data
        assert (file.sha256, file.bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert entry.manifest.source == str(source)
    assert reported[-1] == (entry.bytes, entry.bytes)
    assert registry.list() == [entry]
    assert leftovers(registry) == []
    registry.verify("tiny-model")


def test_a_real_model_is_imported_and_verified(registry: ModelRegistry, stories_int8: Path) -> None:
    entry = registry.import_folder(stories_int8)
    assert entry.name == "stories260k-onnx-int8"
    assert entry.bytes == sum(file.stat().st_size for file in stories_int8.iterdir())
    registry.verify(entry.name)


def test_in_place_registers_and_copies_nothing(registry: ModelRegistry, source: Path) -> None:
    entry = registry.import_folder(source, name="mine", in_place=True)
    assert entry.in_place
    assert entry.path == source
    assert [file.name for file in (registry.root / "mine").iterdir()] == ["manifest.json"]
    registry.verify("mine")
    registry.remove("mine")
    registry.purge_removed()
    assert (source / "model.onnx.data").is_file()
    assert registry.list() == []


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
@pytest.mark.parametrize("in_place", [True, False])
def test_a_model_in_the_cache_of_the_hub_is_taken_and_answers(
    registry: ModelRegistry, stories_float32: Path, tmp_path: Path, in_place: bool
) -> None:
    repository = write_hub_cache(stories_float32, tmp_path / "hub")
    entry = registry.import_folder(repository, in_place=in_place)
    assert entry.name == "org-name"
    assert (entry.path == repository / "snapshots" / REVISION) is in_place
    registry.verify(entry.name)
    folder = ModelFolder.open(entry.path)
    runner = OrtRunner(folder, entry.name, threads=1, max_slots=1, kv_cache_bytes=1 << 24)
    runner.reserve(1, 16)
    assert np.isfinite(runner.prefill(0, [1, 2, 3])).all()


def test_importing_again_finds_a_free_name(registry: ModelRegistry, source: Path) -> None:
    names = [registry.import_folder(source).name for _ in range(3)]
    assert names == ["tiny-model", "tiny-model-2", "tiny-model-3"]


def test_a_cancelled_import_leaves_nothing(registry: ModelRegistry, source: Path) -> None:
    with pytest.raises(ImportCancelled):
        registry.import_folder(source, cancelled=lambda: True)
    assert registry.list() == []
    assert leftovers(registry) == []


def test_a_broken_source_is_refused_and_leaves_nothing(registry: ModelRegistry, source: Path) -> None:
    (source / "model.onnx.data").write_bytes(bytes(3))
    with pytest.raises(ModelFileTruncated):
        registry.import_folder(source)
    with pytest.raises(ModelFolderMissing):
        registry.import_folder(source / "nowhere")
    assert registry.list() == []
    assert leftovers(registry) == []


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_copy_never_writes_outside_the_store(registry: ModelRegistry, source: Path) -> None:
    """`s/../..` lies in the source, where `s` is a link two folders down, and outside the copy, where it is none."""
    location = "s/../../model.onnx.data"
    part = block(5, tensor(location=location, offset="0", length="16"))
    (source / "model.onnx").write_bytes(model(graph(part)))
    (source / "a" / "b").mkdir(parents=True)
    (source / "s").symlink_to("a/b")
    assert (source / location).is_file()
    with pytest.raises(ModelFileOutside):
        registry.import_folder(source)
    assert leftovers(registry) == []


def test_a_full_disk_is_noticed_before_anything_is_copied(
    registry: ModelRegistry, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: DiskUsage(10, 5, 5))
    with pytest.raises(DiskFull):
        registry.import_folder(source)
    registry.import_folder(source, in_place=True)
    assert leftovers(registry) == []


def test_a_disk_that_fills_up_under_way_leaves_nothing(registry: ModelRegistry, source: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (registry.root / ".incoming").mkdir(parents=True)
    real_open = Path.open

    def open_full(path: Path, mode: str = "r", *args: object, **kwargs: object) -> object:
        if "x" in mode:
            return real_open(Path("/dev/full"), "wb")
        return real_open(path, mode, *args, **kwargs)  # type: ignore[call-overload]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", open_full)
        with pytest.raises(DiskFull):
            registry.import_folder(source)
    assert registry.list() == []
    assert leftovers(registry) == []


def test_a_home_that_cannot_be_written(tmp_path: Path, source: Path) -> None:
    (tmp_path / "file").write_text("")
    registry = ModelRegistry(tmp_path / "file" / "models")
    with pytest.raises(HomeUnwritable):
        registry.list()
    with pytest.raises(HomeUnwritable):
        registry.import_folder(source, name="one")


def test_a_chosen_folder_that_is_gone_takes_no_import(tmp_path: Path, source: Path) -> None:
    registry = ModelRegistry(tmp_path / "unplugged")
    assert registry.list() == []
    with pytest.raises(ModelFolderMissing, match="unplugged"):
        registry.import_folder(source)
    assert not (tmp_path / "unplugged").exists()


def test_an_import_killed_half_way_is_not_listed_and_is_cleaned_up(
    registry: ModelRegistry, source: Path
) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from hearth.models.registry import ModelRegistry\n"
        "def progress(done, total):\n"
        "    print(done, flush=True)\n"
        "    time.sleep(60)\n"
        "ModelRegistry().import_folder(Path(sys.argv[1]), name='one', progress=progress)\n"
    )
    command = [sys.executable, "-c", program, str(source)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip().isdigit()
        assert len(leftovers(registry)) == 1
        assert ModelRegistry().list() == []
        assert len(leftovers(registry)) == 1, "its owner still works on it"
        process.kill()
        process.wait()
        process.stdout.close()
    assert registry.list() == []
    ModelRegistry()
    assert leftovers(registry) == []


def test_the_models_cannot_be_moved_while_one_is_imported(registry: ModelRegistry, source: Path) -> None:
    refused: list[HearthError] = []

    def progress(done: int, total: int) -> None:
        try:
            with registry.exclusively():
                pass
        except HearthError as error:
            refused.append(error)

    registry.import_folder(source, progress=progress)
    assert refused
    assert {type(error) for error in refused} == {ModelsBusy}
    with registry.exclusively():
        pass
