"""Moves stopped on the way: each model is whole in one of the two folders, and Hearth uses it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import pytest

import hearth
from disks import make_read_only, make_writable, small_disk
from hearth.config import load_config
from hearth.errors import (
    MoveCancelled,
)
from hearth.models.relocation import Relocation
from hearth.services.hearth import Hearth
from moved_models import MODELS, check_models
from onnx_bytes import write_model_folder


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
