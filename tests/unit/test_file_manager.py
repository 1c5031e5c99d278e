"""A folder is shown by the system's own programs, without a shell."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hearth.errors import FileManagerMissing, ModelFolderMissing
from hearth.services.file_manager import commands, reveal

HOSTILE = Path("/models/a, b;$(touch x)'`")


def test_each_system_is_asked_in_its_own_way() -> None:
    assert commands(Path("C:/my models/a"), "win32") == [f'explorer.exe /select,"{Path("C:/my models/a")}"']
    assert commands(HOSTILE, "darwin") == [["open", "-R", str(HOSTILE)]]
    show, folder = commands(HOSTILE, "linux")
    assert show[-2] == "array:string:file:///models/a%2C%20b%3B%24%28touch%20x%29%27%60"
    assert folder == ["xdg-open", str(HOSTILE.parent)]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are found."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(file: Path, line: str) -> None:
    file.write_text(f"#!/bin/sh\n{line}\n")
    file.chmod(0o755)


@pytest.mark.skipif(sys.platform != "linux", reason="the programs are those of Linux")
def test_the_next_program_is_asked_where_the_first_fails(programs: Path, tmp_path: Path) -> None:
    program(programs / "dbus-send", "exit 1")
    program(programs / "xdg-open", f'echo "$1" > "{tmp_path}/asked"')
    model = tmp_path / "a model"
    model.mkdir()
    reveal(model)
    assert (tmp_path / "asked").read_text() == f"{model}\n"


@pytest.mark.skipif(sys.platform != "linux", reason="the programs are those of Linux")
def test_it_is_said_where_none_answers_or_nothing_is_there(programs: Path, tmp_path: Path) -> None:
    with pytest.raises(FileManagerMissing, match="cannot be shown"):
        reveal(tmp_path)
    with pytest.raises(ModelFolderMissing):
        reveal(tmp_path / "gone")
    assert list(programs.iterdir()) == []
