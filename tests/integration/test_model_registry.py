"""The model store on a real disk: copies are whole or absent, removal can be undone, owners' files stay."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import hearth
from hearth.engine.ort_runner import OrtRunner
from hearth.errors import (
    DiskFull,
    HearthError,
    HomeUnwritable,
    ImportCancelled,
    ModelBuiltIn,
    ModelFileChanged,
    ModelFileInvalid,
    ModelFileMissing,
    ModelFileOutside,
    ModelFileTruncated,
    ModelFolderMissing,
    ModelNameInvalid,
    ModelNameTaken,
    ModelNotFound,
    ModelsBusy,
)
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.manifest import Manifest, ManifestFile, write_manifest
from hearth.models.registry import ModelRegistry
from hub_caches import REVISION, write_hub_cache
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
    manifest.write_text(
        manifest.read_text().replace('"version": 1', '"version": 9, "rating": {"stars": 7.5}')
    )
    assert registry.get("one").manifest.files == entry.manifest.files


@pytest.fixture
def starter(tmp_path: Path) -> Path:
    """A model as Hearth itself brings one."""
    folder = write_model_folder(tmp_path / "resources" / "model")
    files = {
        file.name: ManifestFile(hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size)
        for file in folder.iterdir()
    }
    manifest = Manifest(
        version=1,
        name="hearth-starter",
        aliases=("one",),
        files=files,
        sampling={"temperature": 0.3, "top_k": 5},
    )
    write_manifest(folder, manifest)
    return folder


@pytest.fixture
def with_starter(starter: Path) -> ModelRegistry:
    return ModelRegistry(built_in=[starter])


def test_a_model_of_hearth_comes_first_and_can_be_verified(
    with_starter: ModelRegistry, starter: Path, source: Path
) -> None:
    with_starter.import_folder(source, name="a-model")
    entry, other = with_starter.list()
    assert (entry.name, entry.built_in, entry.path, entry.in_place) == (
        "hearth-starter",
        True,
        starter,
        False,
    )
    assert (entry.aliases, entry.manifest.sampling) == ((), {"temperature": 0.3, "top_k": 5})
    assert (other.name, other.built_in) == ("a-model", False)
    assert with_starter.get("Hearth-Starter") == entry
    with_starter.verify("hearth-starter")
    (starter / "model.onnx.data").write_bytes(bytes(16))
    with pytest.raises(ModelFileChanged):
        with_starter.verify("hearth-starter")


def test_a_model_of_hearth_cannot_be_removed_or_named_otherwise(
    with_starter: ModelRegistry, starter: Path
) -> None:
    before = sorted((file, file.read_bytes()) for file in starter.iterdir())
    for job in (
        lambda: with_starter.remove("HEARTH-starter"),
        lambda: with_starter.alias("hearth-starter", "uno"),
    ):
        with pytest.raises(ModelBuiltIn, match="hearth-starter is part of Hearth"):
            job()
    with pytest.raises(ModelNotFound):
        with_starter.remove_alias("one")
    assert sorted((file, file.read_bytes()) for file in starter.iterdir()) == before


def test_the_name_of_a_model_of_hearth_is_taken(with_starter: ModelRegistry, source: Path) -> None:
    with pytest.raises(ModelNameTaken):
        with_starter.import_folder(source, name="hearth-starter")
    with_starter.import_folder(source, name="mine")
    with pytest.raises(ModelNameTaken):
        with_starter.alias("mine", "hearth-starter")
    renamed = source.rename(source.with_name("Hearth Starter"))
    assert with_starter.import_folder(renamed).name == "hearth-starter-2"


def test_a_model_of_the_same_name_from_before_is_hidden(
    registry: ModelRegistry, source: Path, starter: Path
) -> None:
    registry.import_folder(source, name="hearth-starter")
    both = ModelRegistry(built_in=[starter])
    assert [(entry.name, entry.built_in) for entry in both.list()] == [("hearth-starter", True)]


def test_without_its_files_hearth_has_no_model_of_its_own(tmp_path: Path, starter: Path) -> None:
    assert ModelRegistry(built_in=[tmp_path / "nowhere"]).list() == []
    (starter / "manifest.json").write_text("{")
    assert ModelRegistry(built_in=[starter]).list() == []


def test_a_chosen_folder_that_is_gone_takes_no_import(tmp_path: Path, source: Path) -> None:
    registry = ModelRegistry(tmp_path / "unplugged")
    assert registry.list() == []
    with pytest.raises(ModelFolderMissing, match="unplugged"):
        registry.import_folder(source)
    assert not (tmp_path / "unplugged").exists()


def test_nothing_changes_while_the_models_are_moved(registry: ModelRegistry, source: Path) -> None:
    registry.import_folder(source, name="one")
    registry.alias("one", "uno")
    removed = registry.remove(registry.import_folder(source, name="two").name)
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with registry.exclusively(), registry.exclusively():
            entered.set()
            leave.wait()

    mover = threading.Thread(target=hold)
    mover.start()
    entered.wait()
    try:
        for job in (
            lambda: registry.import_folder(source),
            lambda: registry.alias("one", "eins"),
            lambda: registry.remove_alias("uno"),
            lambda: registry.remove("one"),
            lambda: registry.restore(removed),
            lambda: registry.exclusively().__enter__(),
        ):
            with pytest.raises(ModelsBusy):
                job()
        assert [entry.name for entry in registry.list()] == ["one"]
    finally:
        leave.set()
        mover.join()
    registry.restore(removed)


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


def run(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(hearth.__file__).parents[1])},
    )
