"""`hearth models find`, `add`, `rename` and `settings`, in words and in JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from app_layouts import cached_snapshot, ollama_model, write
from command_line import hearth
from onnx_bytes import write_model_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there that tests lack")


@pytest.fixture
def user_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder, where other apps keep theirs."""
    home = tmp_path / "user"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    variables = ("OLLAMA_MODELS", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "JAN_DATA_FOLDER")
    for variable in (*variables, "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return home


@pytest.fixture
def snapshot(user_home: Path, tmp_path: Path) -> Path:
    source = write_model_folder(tmp_path / "disk" / "tiny")
    return cached_snapshot(user_home / ".cache" / "huggingface" / "hub", "org/tiny", source)


def test_find_says_what_there_is(user_home: Path) -> None:
    nothing = hearth("models", "find")
    assert (nothing.code, nothing.out) == (0, "")
    assert "No other app" in nothing.err
    ollama_model(user_home / ".ollama" / "models", "registry.ollama.ai/library/phi3/mini")
    assert hearth("models", "find").out.splitlines()[1].split()[:2] == ["ollama/phi3:mini", "gguf"]


def test_add_and_remove_leave_the_other_apps_files_alone(snapshot: Path) -> None:
    (found,) = hearth("models", "find", "--json").json
    assert (found["reference"], found["added_as"]) == ("hugging-face/org/tiny", "")
    (added,) = hearth("models", "add", "hugging-face/org/tiny", "--json").json
    assert (added["name"], added["path"], added["in_place"]) == ("org-tiny", str(snapshot), True)
    assert hearth("models", "find", "--json").json[0]["added_as"] == "org-tiny"
    assert "512 tokens" in hearth("models", "show", "org-tiny").out
    assert hearth("models", "verify", "org-tiny", "--json").json["ok"]
    assert hearth("models", "remove", "org-tiny", "--yes").code == 0
    assert (snapshot / "model.onnx.data").read_bytes() == bytes(range(16))
    assert hearth("models", "add", "org/tiny", "--name", "mine").code == 0
    assert hearth("models", "list", "--json").json[0]["name"] == "mine"


def test_what_cannot_be_added_is_said(user_home: Path, tmp_path: Path) -> None:
    assert "hearth models find" in hearth("models", "add", "nothing").error_line()
    checkpoint = write(tmp_path / "c" / "model.safetensors", b"weights").parent
    write(checkpoint / "config.json", json.dumps({"model_type": "llama"}))
    cached_snapshot(user_home / ".cache" / "huggingface" / "hub", "org/base", checkpoint)
    assert "hearth quantize" in hearth("models", "add", "org/base").error_line()
    result = hearth("models", "add", "a", "b", "--name", "c")
    assert (result.code, "--name is for one model" in result.err) == (2, True)


def test_rename(tmp_path: Path) -> None:
    hearth("models", "import", str(write_model_folder(tmp_path / "tiny")), "--name", "one")
    assert hearth("models", "rename", "one", "two", "--json").json["aliases"] == ["one"]
    assert hearth("models", "show", "one", "--json").json["name"] == "two"
    assert "for example" in hearth("models", "rename", "two", "../up").error_line()


def test_settings(tmp_path: Path) -> None:
    hearth("models", "import", str(write_model_folder(tmp_path / "tiny")), "--name", "one")
    changed = hearth(
        "models", "settings", "one", "--set", "temperature=0.2", "--set", "max_context=64", "--json"
    ).json
    assert (changed["settings"]["temperature"], changed["applied"]["max_context"]) == (0.2, 64)
    assert (changed["settings"]["top_p"], changed["applied"]["top_p"]) == (None, 0.95)
    hearth("models", "settings", "one", "--set", "max_context=")
    lines = dict(line.split(maxsplit=1) for line in hearth("models", "settings", "one").out.splitlines())
    assert lines["temperature"] == "0.2"
    assert lines["max_context"] == "0 (not set for this model)"
    assert (
        "“top_k” must be a whole number from 0"
        in hearth("models", "settings", "one", "--set", "top_k=x").error_line()
    )
    assert "Did you mean “top_k”" in hearth("models", "settings", "one", "--set", "topk=1").error_line()
    wrong = hearth("models", "settings", "one", "--set", "nonsense")
    assert (wrong.code, "“=”" in wrong.err) == (2, True)
