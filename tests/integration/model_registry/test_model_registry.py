"""The list of models: names, aliases, removal that can be undone, verifying, and folders that are damaged or moved."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hearth.errors import (
    ModelFileChanged,
    ModelFileInvalid,
    ModelFileMissing,
    ModelFileOutside,
    ModelFileTruncated,
    ModelNameInvalid,
    ModelNameTaken,
    ModelNotFound,
    ModelsBusy,
)
from hearth.models.registry import ModelRegistry
from onnx_bytes import write_model_folder


def test_an_empty_home_has_no_models_and_is_not_made(registry: ModelRegistry, hearth_home: Path) -> None:
    assert registry.list() == []
    assert not hearth_home.exists()


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
    subprocess.run([sys.executable, "-c", program], check=True)
    registry.restore(removed)
    registry.verify("one")


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
