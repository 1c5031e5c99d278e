"""Moving the models folder: whatever stops it, each model is whole in one of the two folders, and Hearth uses it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from queue import Queue
from textwrap import dedent
from typing import Any

import pytest

import hearth
from disks import make_read_only, make_writable, small_disk
from golden_checkpoint import golden_checkpoint
from hearth.config import load_config
from hearth.errors import (
    ConfigInvalid,
    DiskFull,
    HearthError,
    HomeUnwritable,
    ModelFileInvalid,
    ModelNotFound,
    ModelsBusy,
    ModelsFolderTaken,
    ModelsFolderUnusable,
    MoveCancelled,
)
from hearth.model_folder.held_folder import held_folder
from hearth.model_folder.manifest import Manifest
from hearth.models.hub.checkpoints import Checkpoints
from hearth.models.relocation import Relocation
from hearth.quantize.builder import plan
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.recipe_file import load_built_in_recipe
from hearth.services.events import ModelState
from hearth.services.hearth import Hearth
from hearth.services.install_events import InstallDone, InstallEvent, InstallState, InstallStatus, InstallStep
from onnx_bytes import write_model_folder

MODELS = ("one", "two")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Hearth]:
    """Hearth with two models of its own; the second has an alias."""
    source = write_model_folder(tmp_path / "disk" / "tiny")
    (source / "LICENSE").write_text("MIT" * 1000)
    with closing(Hearth.open()) as opened:
        for name in MODELS:
            opened.models.import_folder(source, name=name)
        opened.models.alias("two", "zwei")
        yield opened


@pytest.fixture(params=["same disk", "another disk"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder that is not there yet: where models come by renaming, and where they must be copied."""
    if request.param == "same disk":
        yield tmp_path / "big" / "models"
        return
    with another_disk(tmp_path) as disk:
        yield disk / "models"


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Path]:
    """A folder that is not there yet, on another disk."""
    with another_disk(tmp_path) as disk:
        yield disk / "models"


class another_disk:  # noqa: N801 (a context manager)
    """A folder to which nothing can be renamed: truly on another disk where there is one."""

    def __init__(self, tmp_path: Path) -> None:
        self._tmp_path = tmp_path
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> Path:
        memory = Path("/dev/shm")
        if (
            memory.is_dir()
            and os.access(memory, os.W_OK)
            and memory.stat().st_dev != self._tmp_path.stat().st_dev
        ):
            self._folder = memory / f"hearth-test-{os.getpid()}-{self._tmp_path.name}"
        else:
            self._folder = self._tmp_path / "another disk"
            self._patch.setattr(Relocation, "_is_one_disk", lambda self: False)
        self._folder.mkdir()
        return self._folder

    def __exit__(self, *_: object) -> None:
        self._patch.undo()
        shutil.rmtree(self._folder)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != ".changing"
    }


def check_models(opened: Hearth, root: Path) -> None:
    """All models are whole in `root`, and nothing half-made lies beside them."""
    assert opened.models.root == root
    assert [(entry.name, entry.path) for entry in opened.models.list()] == [(n, root / n) for n in MODELS]
    assert opened.models.get("zwei").name == "two"
    for name in MODELS:
        opened.models.verify(name)
    assert not (root / ".moving").exists()


def refuse(opened: Hearth, target: Path, error: type[HearthError], match: str | None = None) -> None:
    """The move is refused, and nothing has changed."""
    source, before = opened.models.root, files(opened.models.root)
    with pytest.raises(error, match=match):
        opened.move_models(target)
    assert files(source) == before
    assert load_config().folders.models == ""
    check_models(opened, source)


def test_the_models_are_in_the_new_folder_and_used_there(opened: Hearth, target: Path) -> None:
    old = opened.models.root
    (old / "notes.txt").write_text("mine")
    before = files(old)
    told = []
    opened.settings_changed.subscribe(told.append)
    opened.move_models(target)
    check_models(opened, target)
    assert files(old) == {"notes.txt": b"mine"}
    assert {**files(target), "notes.txt": b"mine"} == before
    assert load_config().folders.models == str(target)
    assert [config.folders.models for config in told] == [str(target)]
    assert opened.models.import_folder(target / "one", name="three").path == target / "three"
    opened.models.remove("three")
    with closing(Hearth.open()) as again:
        check_models(again, target)


def test_back_to_the_default_folder(opened: Hearth, target: Path, hearth_home: Path) -> None:
    opened.move_models(target)
    opened.move_models(hearth_home / "models")
    check_models(opened, hearth_home / "models")
    assert files(target) == {}
    assert "\n#models = " in (hearth_home / "config.toml").read_text("utf-8")


def test_without_models_the_folder_is_made_and_used(target: Path) -> None:
    with closing(Hearth.open()) as opened:
        opened.move_models(target)
        assert opened.models.root == target
        assert target.is_dir()
        assert opened.models.list() == []


def test_copying_tells_its_progress(opened: Hearth, far: Path) -> None:
    told: list[tuple[int, int]] = []
    total = sum(len(data) for data in files(opened.models.root).values())
    opened.move_models(far, progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert {total for _, total in told} == {total}
    assert told[-1] == (total, total)


def test_a_folder_that_is_there_may_hold_other_things(opened: Hearth, target: Path) -> None:
    target.mkdir(parents=True)
    (target / "photo.jpg").write_bytes(b"x")
    write_model_folder(target / "another")
    opened.move_models(target)
    assert [entry.name for entry in opened.models.list()] == ["another", "one", "two"]
    assert (target / "photo.jpg").read_bytes() == b"x"


def test_damaged_models_and_links_come_along(opened: Hearth, target: Path, tmp_path: Path) -> None:
    root = opened.models.root
    (root / "bad").mkdir()
    (root / "bad" / "manifest.json").write_bytes(b"\x00noise")
    by_hand = write_model_folder(root / "by-hand")
    (by_hand / "empty" / "deep").mkdir(parents=True)
    links = sys.platform != "win32"  # where they need a privilege
    if links:
        elsewhere = write_model_folder(tmp_path / "elsewhere")
        (root / "linked").symlink_to(os.path.relpath(elsewhere, root))
        (by_hand / "weights").symlink_to("model.onnx.data")
        (by_hand / "far").symlink_to(tmp_path / "elsewhere")
    opened.move_models(target)
    names = ["bad", "by-hand", *["linked"] * links, *MODELS]
    assert [entry.name for entry in opened.models.list()] == names
    assert (target / "bad" / "manifest.json").read_bytes() == b"\x00noise"
    assert (target / "by-hand" / "empty" / "deep").is_dir()
    opened.models.verify("by-hand")
    if links:
        assert (target / "linked").resolve() == elsewhere
        assert not (target / "by-hand" / "weights").readlink().is_absolute()
        assert (target / "by-hand" / "far").resolve() == elsewhere
        assert (elsewhere / "model.onnx").is_file()
    assert [path.name for path in root.iterdir()] == []


def test_the_same_folder_is_no_move(opened: Hearth) -> None:
    old = opened.models.root
    before = files(old)
    opened.move_models(old)
    assert load_config().folders.models == ""
    check_models(opened, old)
    assert files(old) == before


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_link_to_the_same_folder_is_no_move(opened: Hearth, tmp_path: Path) -> None:
    old = opened.models.root
    before = files(old)
    (tmp_path / "link").symlink_to(old)
    opened.move_models(tmp_path / "link")
    check_models(opened, tmp_path / "link")
    assert files(old) == before


def test_a_model_in_use_is_unloaded_and_can_be_loaded_again(target: Path, stories_int8: Path) -> None:
    with closing(Hearth.open()) as opened:
        opened.models.import_folder(stories_int8, name="stories")
        opened.models.import_folder(stories_int8, name="theirs", in_place=True)
        for name in ("stories", "theirs"):
            opened.pool.load(name).wait_ready()
        opened.move_models(target)
        assert opened.pool.status("stories").state is ModelState.UNLOADED
        assert opened.pool.status("theirs").state is ModelState.READY, "its files have not moved"
        assert opened.models.get("theirs").path == stories_int8
        opened.pool.load("stories").wait_ready()
        assert opened.models.get("stories").path == target / "stories"


def test_what_was_removed_is_gone_with_the_old_folder(opened: Hearth, target: Path) -> None:
    source = opened.models.get("one").path
    opened.models.import_folder(source, name="three")
    removed = opened.models.remove("three")
    opened.move_models(target)
    with pytest.raises(ModelNotFound):
        opened.models.restore(removed)


@pytest.mark.timeout(300)
def test_what_is_on_its_way_comes_along_and_goes_on_where_it_was(target: Path, tmp_path: Path) -> None:
    """Also half a quantized model, which still belongs to its checkpoint: it is not begun anew."""
    with closing(Hearth.open()) as opened:
        old, installs, news = opened.models.root, opened.installs, Queue[InstallEvent]()
        recipe = load_built_in_recipe("int8")
        source = Checkpoints(old).add(
            golden_checkpoint("llama3", tmp_path),
            Manifest(version=1, name="org/Tiny", source="https://hub.test/org/Tiny"),
        )
        install = installs.add_checkpoint("org/Tiny", "tiny", recipe.name).id

        def hear(event: InstallEvent) -> None:
            if isinstance(event, InstallStatus) and event.step is InstallStep.REPORT and event.done:
                installs.pause(event.id)
            news.put(event)

        unsubscribe = installs.changes.subscribe(hear)
        installs.start()
        wait_for(news, lambda event: isinstance(event, InstallStatus) and event.state is InstallState.PAUSED)
        unsubscribe()
        work, key = files(old / ".quantizing"), plan(Checkpoint.open(source.path), recipe).key()
        assert "tiny/model/model.onnx.data" in work
        opened.move_models(target)
        assert not source.path.exists()
        assert list(old.iterdir()) == []
        assert files(target / ".quantizing") == work
        moved = Checkpoints(target).get("org/Tiny")
        assert moved is not None
        assert plan(Checkpoint.open(moved.path), recipe).key() == key
        (paused,) = installs.list()
        assert (paused.id, paused.step, paused.state) == (install, InstallStep.QUANTIZE, InstallState.PAUSED)
        installs.changes.subscribe(news.put)
        installs.resume(install)
        installs.start()
        wait_for(news, lambda event: isinstance(event, InstallDone))
        assert opened.models.get("tiny").path == target / "tiny"


def wait_for(news: Queue[InstallEvent], fits: Callable[[InstallEvent], bool]) -> None:
    while not fits(news.get(timeout=120)):
        pass


@pytest.mark.parametrize("ends_well", [True, False])
def test_what_another_process_begins_meanwhile_is_not_lost_and_takes_nothing_along(
    opened: Hearth, target: Path, monkeypatch: pytest.MonkeyPatch, ends_well: bool
) -> None:
    source, real_place = opened.models.root, Relocation.place
    fetched = source / ".downloads" / "mine" / "files" / "a"
    fetched.parent.mkdir(parents=True)
    fetched.write_bytes(b"mine")

    def place(relocation: Relocation) -> None:
        real_place(relocation)
        (source / ".downloads" / "other").mkdir(parents=True, exist_ok=True)
        (source / ".downloads" / "other" / "a").write_bytes(b"other")
        if not ends_well:
            raise HomeUnwritable(path="x", reason="y")

    monkeypatch.setattr(Relocation, "place", place)
    if ends_well:
        opened.move_models(target)
        assert files(source) == {".downloads/other/a": b"other"}
        assert files(target / ".downloads") == {"mine/files/a": b"mine"}
    else:
        with pytest.raises(HomeUnwritable):
            opened.move_models(target)
        assert files(source / ".downloads") == {"mine/files/a": b"mine", "other/a": b"other"}
        assert list(target.iterdir()) == []


# What cannot be


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


# Stopped on the way


@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_cancelled_move_changes_nothing(opened: Hearth, far: Path, after: int) -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > after

    source = opened.models.root
    with pytest.raises(MoveCancelled, match="where they were"):
        opened.move_models(far, cancelled=cancelled)
    check_models(opened, source)
    assert load_config().folders.models == ""
    assert list(far.iterdir()) == []


def test_a_move_may_be_cancelled_before_it_renames(opened: Hearth, tmp_path: Path) -> None:
    with pytest.raises(MoveCancelled):
        opened.move_models(tmp_path / "new", cancelled=lambda: True)
    check_models(opened, opened.models.root)


def test_a_move_killed_while_it_copies_is_taken_up_again(opened: Hearth, far: Path) -> None:
    opened.close()
    source = opened.models.root
    copied = sum(file.stat().st_size for file in (source / "one").iterdir())
    run_killed(
        f"""
        def progress(done, total):
            if done > {copied + 100}:
                die()
        hearth.move_models(target, progress=progress)
        """,
        far,
    )
    with closing(Hearth.open()) as again:
        check_models(again, source)
        staged = {file.name: file.stat().st_ino for file in (far / ".moving" / "one").iterdir()}
        assert len(staged) == 7
        (far / ".moving" / "one" / "tokenizer.json").write_bytes(b"{}")
        (far / ".moving" / "two" / "stray").write_bytes(b"noise")
        again.move_models(far)
        check_models(again, far)
        assert not (far / "two" / "stray").exists()
        moved = {file.name: file.stat().st_ino for file in (far / "one").iterdir()}
        assert moved["model.onnx"] == staged["model.onnx"], "what was copied is not copied again"


@pytest.mark.parametrize("step", ["place", "change_config"])
def test_a_move_killed_before_the_setting_is_taken_back(opened: Hearth, target: Path, step: str) -> None:
    opened.close()
    source = opened.models.root
    run_killed(
        {
            "place": """
            from hearth.models.relocation import Relocation
            real, paths = Path.rename, []
            def rename(path, to):
                if to.parent == target and paths:
                    die()
                paths.append(to) if to.parent == target else None
                return real(path, to)
            Path.rename = rename
            hearth.move_models(target)
            """,
            "change_config": """
            from hearth import config_file
            config_file.change_config = lambda *_: die()
            hearth.move_models(target)
            """,
        }[step],
        target,
    )
    assert (target / "one" / "manifest.json").is_file()
    with closing(Hearth.open()) as again:
        assert again.models.root == source
        assert [entry.name for entry in again.models.list()] == list(MODELS)
        for name in MODELS:
            again.models.verify(name)
            assert not (target / name).exists()
        again.move_models(target)
        check_models(again, target)


def test_what_could_not_be_taken_back_is_taken_back_at_the_next_start(opened: Hearth, target: Path) -> None:
    opened.close()
    source = opened.models.root
    run_killed(
        """
        from hearth import config_file
        from hearth.errors import HomeUnwritable
        def locked(*_):
            raise HomeUnwritable(path="home", reason="locked")
        config_file.change_config = locked
        real = Path.rename
        def rename(path, to):
            if path == target / "two":
                raise PermissionError(13, "a virus scanner has it open")
            return real(path, to)
        Path.rename = rename
        try:
            hearth.move_models(target)
        except HomeUnwritable:
            die()
        """,
        target,
    )
    assert (target / "two" / "manifest.json").is_file()
    assert not (target / "one").exists()
    with closing(Hearth.open()) as again:
        check_models(again, source)
        assert not (target / "two").exists()


def test_a_move_killed_after_the_setting_is_finished_at_the_next_start(opened: Hearth, target: Path) -> None:
    opened.close()
    source = opened.models.root
    run_killed(
        """
        from hearth.models.relocation import Relocation
        Relocation.remove_old = lambda _: die()
        hearth.move_models(target)
        """,
        target,
    )
    with closing(Hearth.open()) as again:
        check_models(again, target)
        assert [path.name for path in source.iterdir()] == []
        shutil.copytree(target / "one", source / "one")
    Hearth.open().close()
    assert (source / "one").is_dir(), "what came later is nobody's leftover"


def test_another_hearth_does_not_meddle_with_a_move(
    opened: Hearth, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, seen = Relocation.remove_old, []

    def look(self: Relocation) -> None:
        Hearth.open().close()
        seen.extend(path.name for path in self.target.iterdir() if path.name in MODELS)
        real(self)

    monkeypatch.setattr(Relocation, "remove_old", look)
    opened.move_models(target)
    assert sorted(seen) == list(MODELS)
    check_models(opened, target)


def test_old_files_that_cannot_be_deleted_are_told_and_tried_again(tmp_path: Path) -> None:
    source = write_model_folder(tmp_path / "source")
    with small_disk(tmp_path / "old", 1 << 20) as disk:
        with closing(Hearth.open()) as opened:
            opened.change_settings({"folders.models": str(disk)})
            # Registered where it lies: a copy would not leave the spare space.
            opened.models.import_folder(source, name="one", in_place=True)
        make_read_only(disk)
        run_killed(
            """
            from hearth.errors import OldModelsStay
            try:
                hearth.move_models(target)
            except OldModelsStay:
                die()
            """,
            tmp_path / "new",
        )
        with closing(Hearth.open()) as opened:
            assert [entry.name for entry in opened.models.list()] == ["one"]
            assert opened.models.root == tmp_path / "new"
            assert (disk / "one").is_dir()
        make_writable(disk)
        Hearth.open().close()
        assert not (disk / "one").exists()
        assert (tmp_path / "new" / "one" / "manifest.json").is_file()


def run_killed(program: str, target: Path) -> None:
    """Run a program that must end by its own `die()`, which is as sudden as a kill."""
    start = f"""
        import os
        from pathlib import Path
        from hearth.services.hearth import Hearth
        target = Path({str(target)!r})
        hearth = Hearth.open()
        def die():
            os._exit(77)
        """
    result = subprocess.run(
        [sys.executable, "-c", dedent(start) + dedent(program)],
        env={**os.environ, "PYTHONPATH": str(Path(hearth.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 77, result.stderr
