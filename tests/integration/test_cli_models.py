"""`hearth models`: every command, in words and in JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import hearth
from hearth.config_file import change_config
from hearth.model_folder.manifest import Manifest, write_manifest
from hearth.models.registry import ModelRegistry
from onnx_bytes import write_model_folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_model_folder(tmp_path / "disk" / "tiny")


def test_an_empty_list_says_how_to_go_on_and_its_json_is_empty() -> None:
    result = hearth("models", "list")
    assert (result.code, result.out) == (0, "")
    assert "hearth models import" in result.err
    assert hearth("models", "list", "--json").json == []


def test_import_list_and_show(source: Path, hearth_home: Path) -> None:
    imported = hearth("models", "import", str(source), "--name", "one", "--json").json
    listed = hearth("models", "list", "--json").json
    assert listed == [imported]
    folder = hearth_home / "models" / "one"
    assert (imported["name"], imported["format"]) == ("one", "onnxruntime-genai")
    assert Path(imported["path"]) == folder
    assert imported["bytes"] == sum(file.stat().st_size for file in source.iterdir())
    shown = hearth("models", "show", "ONE", "--json").json
    assert {key: shown[key] for key in imported} == imported
    assert (shown["architecture"], shown["context_length"], shown["has_chat_template"]) == (
        "llama",
        512,
        False,
    )
    assert shown["files"]["model.onnx.data"] == 16
    assert "one" in hearth("models", "list").out
    assert "512 tokens" in hearth("models", "show", "one").out


def test_import_in_place(source: Path) -> None:
    entry = hearth("models", "import", str(source), "--in-place", "--json").json
    assert (entry["name"], entry["path"], entry["in_place"]) == ("tiny", str(source), True)
    hearth("models", "remove", "tiny", "--yes")
    assert (source / "model.onnx").is_file()


def test_aliases_come_and_go(source: Path) -> None:
    hearth("models", "import", str(source), "--name", "one")
    assert hearth("models", "alias", "one", "uno", "--json").json["aliases"] == ["uno"]
    assert hearth("models", "show", "uno", "--json").json["name"] == "one"
    assert hearth("models", "alias", "one", "uno", "--remove", "--json").json["aliases"] == []
    assert "uno" in hearth("models", "show", "uno").error_line()


def test_verify(source: Path, hearth_home: Path) -> None:
    hearth("models", "import", str(source), "--name", "one")
    assert hearth("models", "verify", "one", "--json").json == {
        "name": "one",
        "files": 5,
        "ok": True,
        "packed": {"checked": 0, "damaged": 0},
    }
    (hearth_home / "models" / "one" / "model.onnx.data").write_bytes(bytes(16))
    assert "model.onnx.data is not the file" in hearth("models", "verify", "one").error_line()


def test_remove_deletes_at_once(source: Path, hearth_home: Path) -> None:
    hearth("models", "import", str(source), "--name", "one")
    assert hearth("models", "remove", "one").code == 0
    assert hearth("models", "list", "--json").json == []
    assert list((hearth_home / "models" / ".trash").iterdir()) == []


def test_ctrl_c_while_importing_leaves_nothing(
    source: Path, hearth_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: object, source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("hearth.models.copying.Transfer.copy", interrupted)
    assert hearth("models", "import", str(source)).code == 130
    assert ModelRegistry().list() == []
    assert list((hearth_home / "models" / ".incoming").iterdir()) == []


@pytest.fixture
def starter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model as Hearth itself brings one."""
    folder = write_model_folder(tmp_path / "resources" / "model")
    write_manifest(folder, Manifest(version=1, name="hearth-starter", licence="Apache-2.0"))
    monkeypatch.setattr("hearth.models.registry.built_in_folders", lambda: (folder,))
    return folder


def test_a_model_of_hearth_is_marked(starter: Path, source: Path) -> None:
    hearth("models", "import", str(source), "--name", "a-model")
    listed = hearth("models", "list", "--json").json
    assert [(entry["name"], entry["built_in"]) for entry in listed] == [
        ("hearth-starter", True),
        ("a-model", False),
    ]
    lines = hearth("models", "list").out.splitlines()
    assert lines[1].startswith("hearth-starter ")
    assert lines[1].endswith("(part of Hearth)")
    assert "part of Hearth" not in lines[2]
    shown = hearth("models", "show", "hearth-starter")
    assert f"{starter} (part of Hearth)" in shown.out
    assert "Apache-2.0" in shown.out
    assert hearth("models", "verify", "hearth-starter", "--json").json["ok"]


def test_a_model_of_hearth_cannot_be_removed_or_renamed(
    starter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "hearth-starter is part of Hearth" in hearth("models", "remove", "hearth-starter").error_line()
    assert "hearth-starter is part of Hearth" in hearth("models", "alias", "hearth-starter", "x").error_line()
    assert (starter / "model.onnx").is_file()


def test_models_lie_where_the_settings_say(source: Path, hearth_home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "big disk"
    change_config(hearth_home / "config.toml", {"folders.models": str(folder)})
    for command in (["list"], ["import", str(source)], ["show", "tiny"]):
        assert "big disk does not exist" in hearth("models", *command).error_line()
    assert not folder.exists()
    folder.mkdir()
    assert Path(hearth("models", "import", str(source), "--json").json["path"]) == folder / "tiny"
    assert hearth("models", "list", "--json").json[0]["name"] == "tiny"
    assert not (hearth_home / "models").exists()


@pytest.mark.parametrize("name", ["Has Spaces", "../up", "CAPS", "nul", ""])
def test_a_bad_name_comes_back_with_a_good_one(source: Path, name: str) -> None:
    assert "for example" in hearth("models", "import", str(source), "--name", name).error_line()


def test_a_taken_name(source: Path) -> None:
    hearth("models", "import", str(source), "--name", "one")
    assert (
        "already a model named “one”" in hearth("models", "import", str(source), "--name", "one").error_line()
    )
