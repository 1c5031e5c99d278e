"""Moves that cannot be: the models stay where they are, and are whole."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from disks import make_read_only, small_disk
from hearth.config import load_config
from hearth.errors import (
    ConfigInvalid,
    DiskFull,
    HearthError,
    HomeUnwritable,
    ModelFileInvalid,
    ModelsBusy,
    ModelsFolderTaken,
    ModelsFolderUnusable,
)
from hearth.model_folder.held_folder import held_folder
from hearth.models.relocation import Relocation
from hearth.services.hearth import Hearth
from moved_models import check_models, files
from onnx_bytes import write_model_folder


def refuse(opened: Hearth, target: Path, error: type[HearthError], match: str | None = None) -> None:
    """The move is refused, and nothing has changed."""
    source, before = opened.models.root, files(opened.models.root)
    with pytest.raises(error, match=match):
        opened.move_models(target)
    assert files(source) == before
    assert load_config().folders.models == ""
    check_models(opened, source)


@pytest.mark.parametrize("kind", [".downloads", ".installs", ".quantizing"])
def test_what_another_process_works_in_is_not_moved_away(opened: Hearth, tmp_path: Path, kind: str) -> None:
    with held_folder(opened.models.root / kind / "something"):
        refuse(opened, tmp_path / "elsewhere", ModelsBusy)
    opened.move_models(tmp_path / "elsewhere")
    check_models(opened, tmp_path / "elsewhere")


def test_a_target_inside_the_old_folder(opened: Hearth) -> None:
    for target in (opened.models.root / "new", opened.models.root / "one" / "x"):
        refuse(opened, target, ModelsFolderUnusable, "it lies in the folder that the models are in now")
        assert not target.exists()


def test_a_target_around_the_old_folder(opened: Hearth, hearth_home: Path) -> None:
    opened.move_models(hearth_home)
    check_models(opened, hearth_home)


def test_a_target_that_is_a_file(opened: Hearth, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    refuse(opened, file, ModelsFolderUnusable, "it is a file")
    refuse(opened, file / "models", ModelsFolderUnusable)
    assert file.read_text() == "mine"


def test_a_model_of_that_name_in_the_target(opened: Hearth, target: Path) -> None:
    taken = write_model_folder(target / "two")
    before = files(taken)
    refuse(opened, target, ModelsFolderTaken, "two")
    assert files(target) == {f"two/{name}": data for name, data in before.items()}


def test_a_target_that_can_only_be_read(opened: Hearth, tmp_path: Path) -> None:
    with small_disk(tmp_path / "locked", 1 << 20) as disk:
        make_read_only(disk)
        refuse(opened, disk, ModelsFolderUnusable, "read-only")
        refuse(opened, disk / "models", ModelsFolderUnusable, "read-only")


def test_a_target_without_space_is_noticed_before_anything_is_copied(opened: Hearth, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 1 << 20) as disk:
        told: list[int] = []
        with pytest.raises(DiskFull, match="small"):
            opened.move_models(disk / "models", progress=lambda done, _: told.append(done))
        assert told == []
        assert files(disk) == {}
        check_models(opened, opened.models.root)


def test_a_target_that_fills_up_under_way(
    opened: Hearth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hearth.models.relocation.SPARE_BYTES", 0)
    with small_disk(tmp_path / "small", 1 << 20) as disk:

        def progress(done: int, total: int) -> None:
            (disk / "another program's").write_bytes(bytes(shutil.disk_usage(disk).free))

        source = opened.models.root
        with pytest.raises(DiskFull, match="small"):
            opened.move_models(disk, progress=progress)
        assert [path.name for path in disk.iterdir()] == ["another program's"]
        check_models(opened, source)


def test_a_model_that_cannot_be_read(opened: Hearth, far: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_open = Path.open

    def fail(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path == opened.models.root / "two" / "model.onnx.data":
            raise OSError(5, "Input/output error")
        return real_open(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", fail)
        with pytest.raises(ModelFileInvalid, match="cannot be read"):
            opened.move_models(far)
    check_models(opened, opened.models.root)
    assert list(far.iterdir()) == []


def test_a_folder_in_a_model_that_cannot_be_read(
    opened: Hearth, far: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = opened.models.root / "two" / "inside"
    inside.mkdir()
    (inside / "notes.txt").write_text("mine")
    real_scandir = os.scandir

    def fail(path: Any = ".") -> Any:
        if not isinstance(path, int) and Path(path) == inside:  # descriptors come from the standard library
            raise OSError(5, "Input/output error", str(path))
        return real_scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", fail)
        with pytest.raises(ModelFileInvalid, match="inside"):
            opened.move_models(far)
    check_models(opened, opened.models.root)
    assert (inside / "notes.txt").read_text() == "mine"
    assert list(far.iterdir()) == []


def test_a_disk_that_does_not_keep_what_is_written(
    opened: Hearth, far: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, real_open = opened.models.root, Path.open

    def forget(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if mode == "rb" and path.is_relative_to(far) and path.name == "model.onnx":
            path.write_bytes(b"noise")
        return real_open(path, mode, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", forget)
        with pytest.raises(ModelsFolderUnusable, match="read back"):
            opened.move_models(far)
    check_models(opened, source)
    assert list(far.iterdir()) == []


def test_settings_that_cannot_be_changed_are_told_before_anything_is_copied(
    opened: Hearth, far: Path, hearth_home: Path
) -> None:
    (hearth_home / "config.toml").write_text("theme = dark\n")
    with pytest.raises(ConfigInvalid):
        opened.move_models(far)
    assert not far.exists()
    check_models(opened, hearth_home / "models")


def test_settings_that_cannot_be_written_leave_the_models_where_they_are(
    opened: Hearth, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise HomeUnwritable(path="home", reason="locked")

    with monkeypatch.context() as patch:
        patch.setattr("hearth.config_file.change_config", fail)
        refuse(opened, target, HomeUnwritable)
    assert list(target.iterdir()) == []
    opened.move_models(target)
    check_models(opened, target)


def test_a_name_that_is_taken_in_the_last_moment(
    opened: Hearth, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Relocation.place

    def place(self: Relocation) -> None:
        (target / "two").mkdir()
        (target / "two" / "theirs").write_text("mine")
        real(self)

    with monkeypatch.context() as patch:
        patch.setattr(Relocation, "place", place)
        refuse(opened, target, HomeUnwritable)
    assert files(target) == {"two/theirs": b"mine"}


def test_models_are_not_moved_while_one_is_imported(opened: Hearth, target: Path, tmp_path: Path) -> None:
    refused: list[HearthError] = []

    def progress(done: int, total: int) -> None:
        try:
            opened.move_models(target)
        except HearthError as error:
            refused.append(error)

    opened.models.import_folder(tmp_path / "disk" / "tiny", name="three", progress=progress)
    assert {type(error) for error in refused} == {ModelsBusy}
    assert not target.exists()


def test_nothing_is_imported_while_the_models_are_moved(opened: Hearth, far: Path, tmp_path: Path) -> None:
    refused: list[HearthError] = []

    def in_another_thread() -> None:
        try:
            opened.models.import_folder(tmp_path / "disk" / "tiny", name="three")
        except HearthError as error:
            refused.append(error)

    opened.move_models(far, progress=lambda done, total: in_another_thread())
    assert {type(error) for error in refused} == {ModelsBusy}
    check_models(opened, far)
