"""Moving the models folder: what comes along, and what is as before."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from queue import Queue

import pytest

from golden_checkpoint import golden_checkpoint
from hearth.config import load_config
from hearth.errors import (
    HomeUnwritable,
    ModelNotFound,
)
from hearth.model_folder.manifest import Manifest
from hearth.models.hub.checkpoints import Checkpoints
from hearth.models.relocation import Relocation
from hearth.quantize.builder import plan
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.recipe_file import load_built_in_recipe
from hearth.services.events import ModelState
from hearth.services.hearth import Hearth
from hearth.services.install_events import InstallDone, InstallEvent, InstallState, InstallStatus, InstallStep
from moved_models import MODELS, check_models, files
from onnx_bytes import write_model_folder


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
