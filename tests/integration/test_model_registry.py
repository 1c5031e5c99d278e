"""The model store on a real disk: copies are whole or absent, removal can be undone, owners' files stay."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import hearth
from hearth.errors import (
    DiskFull,
    HomeUnwritable,
    ImportCancelled,
    ModelFileChanged,
    ModelFileInvalid,
    ModelFileMissing,
    ModelFileOutside,
    ModelFileTruncated,
    ModelFolderMissing,
    ModelNameInvalid,
    ModelNameTaken,
    ModelNotFound,
)
from hearth.models.registry import ModelRegistry
from onnx_bytes import block, graph, model, tensor, write_model_folder


class DiskUsage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = write_model_folder(tmp_path / "disk" / "Tiny Model")
    (folder / "LICENSE").write_text("MIT")
    (folder / "holiday.jpg").write_bytes(bytes(1000))
    return folder


@pytest.fixture
def registry(hearth_home: Path) -> ModelRegistry:
    return ModelRegistry()


def leftovers(registry: ModelRegistry) -> list[Path]:
    return [path for name in (".incoming", ".trash") for path in (registry.root / name).glob("*")]


def test_an_empty_home_has_no_models_and_is_not_made(registry: ModelRegistry, hearth_home: Path) -> None:
    assert registry.list() == []
    assert not hearth_home.exists()


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


def test_importing_again_finds_a_free_name(registry: ModelRegistry, source: Path) -> None:
    names = [registry.import_folder(source).name for _ in range(3)]
    assert names == ["tiny-model", "tiny-model-2", "tiny-model-3"]


def test_names_are_unique_among_names_and_aliases(registry: ModelRegistry, source: Path) -> None:
    registry.import_folder(source, name="one")
    registry.alias("one", "first")
    for taken in ("one", "first"):
        with pytest.raises(ModelNameTaken):
            registry.import_folder(source, name=taken)
    registry.import_folder(source, name="two")
    for taken in ("one", "two", "first"):
        with pytest.raises(ModelNameTaken):
            registry.alias("two", taken)
    for bad in ("One", "../evil", ".incoming", "nul"):
        with pytest.raises(ModelNameInvalid):
            registry.import_folder(source, name=bad)


def test_aliases_find_the_model_ignoring_case_until_they_are_removed(
    registry: ModelRegistry, source: Path
) -> None:
    registry.import_folder(source, name="one")
    registry.alias("ONE", "uno")
    assert registry.get("Uno").aliases == ("uno",)
    registry.alias("one", "uno")
    registry.remove_alias("uno")
    for missing in ("uno", "../one", ""):
        with pytest.raises(ModelNotFound):
            registry.get(missing)
    with pytest.raises(ModelNotFound):
        registry.remove_alias("uno")


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


def test_removal_can_be_undone_until_the_purge(registry: ModelRegistry, source: Path) -> None:
    entry = registry.import_folder(source, name="one")
    registry.alias("one", "uno")
    removed = registry.remove("uno")
    assert registry.list() == []
    registry.restore(removed)
    assert registry.get("uno").manifest.files == entry.manifest.files
    registry.verify("one")
    removed = registry.remove("one")
    registry.import_folder(source, name="one")
    with pytest.raises(ModelNameTaken):
        registry.restore(removed)
    registry.purge_removed()
    registry.remove("one")
    with pytest.raises(ModelNotFound):
        registry.restore(removed)


def test_a_second_process_keeps_its_hands_off_what_the_first_removed(
    registry: ModelRegistry, source: Path
) -> None:
    registry.import_folder(source, name="one")
    removed = registry.remove("one")
    program = (
        "from hearth.models.registry import ModelRegistry\n"
        "registry = ModelRegistry()\n"
        "registry.purge_removed()\n"
    )
    with run(program) as process:
        assert process.wait() == 0
    registry.restore(removed)
    registry.verify("one")


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
    with run(program, str(source)) as process:
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


def test_verify_tells_what_changed(registry: ModelRegistry, source: Path) -> None:
    entry = registry.import_folder(source, name="one")
    data = entry.path / "model.onnx.data"
    whole = data.read_bytes()
    for content, error in (
        (whole[:-1], ModelFileTruncated),
        (whole + b"x", ModelFileChanged),
        (whole[::-1], ModelFileChanged),
    ):
        data.write_bytes(content)
        with pytest.raises(error, match=r"model\.onnx\.data"):
            registry.verify("one")
    data.unlink()
    with pytest.raises(ModelFileMissing):
        registry.verify("one")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_verify_does_not_follow_a_manifest_or_a_link_out(registry: ModelRegistry, source: Path) -> None:
    entry = registry.import_folder(source, name="one")
    manifest = entry.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"LICENSE"', '"../../../etc/passwd"'))
    with pytest.raises(ModelFileOutside):
        registry.verify("one")


def test_damaged_folders_are_listed_and_disturb_nobody(registry: ModelRegistry, source: Path) -> None:
    registry.import_folder(source, name="good")
    (registry.root / "file").write_text("x")
    (registry.root / "empty").mkdir()
    (registry.root / "Shouting").mkdir()
    bad = registry.root / "bad"
    bad.mkdir()
    (bad / "manifest.json").write_bytes(b"\x00noise")
    write_model_folder(registry.root / "by-hand")
    assert [entry.name for entry in registry.list()] == ["bad", "by-hand", "good"]
    registry.verify("by-hand")
    with pytest.raises(ModelFileInvalid):
        registry.verify("bad")
    registry.remove("bad")
    assert [entry.name for entry in registry.list()] == ["by-hand", "good"]


def test_a_manifest_of_a_newer_hearth_is_read(registry: ModelRegistry, source: Path) -> None:
    entry = registry.import_folder(source, name="one")
    manifest = entry.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": 1', '"version": 9, "quality": {"ppl": 7.5}'))
    assert registry.get("one").manifest.files == entry.manifest.files


def run(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(hearth.__file__).parents[1])},
    )
