"""Whatever is wrong with models, home, settings or database: one clear line, and an exit code that is not 0."""

from __future__ import annotations

import random
import sqlite3
import sys
from pathlib import Path

import pytest

from command_line import hearth
from hearth.storage.database import Database
from onnx_bytes import block, graph, model, tensor, write_model_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_model_folder(tmp_path / "disk" / "tiny")


def refuse_import(folder: Path) -> str:
    line = hearth("models", "import", str(folder)).error_line()
    assert hearth("models", "list", "--json").json == []
    return line


def with_external(folder: Path, location: str) -> None:
    part = block(5, tensor(location=location, offset="0", length="16"))
    (folder / "model.onnx").write_bytes(model(graph(part)))


@pytest.mark.parametrize(
    "command", [["run", "nope", "hi"], ["chat", "nope"], ["bench", "nope"], ["models", "show", "nope"],
                ["models", "verify", "nope"], ["models", "remove", "nope", "--yes"], ["models", "alias", "nope", "a"]]
)  # fmt: skip
def test_a_missing_model(command: list[str]) -> None:
    assert "no model named “nope”" in hearth(*command).error_line()


def test_a_missing_folder(tmp_path: Path) -> None:
    assert "does not exist" in refuse_import(tmp_path / "nowhere")


def test_a_file_in_place_of_a_folder(folder: Path) -> None:
    assert "the folder that it lies in" in refuse_import(folder / "model.onnx")


def test_a_folder_without_its_configuration(folder: Path) -> None:
    (folder / "genai_config.json").unlink()
    assert "genai_config.json is missing" in refuse_import(folder)


def test_a_truncated_data_file(folder: Path) -> None:
    (folder / "model.onnx.data").write_bytes(bytes(7))
    assert "it has 7 bytes and the model needs 16" in refuse_import(folder)


def test_a_tokenizer_that_is_not_json(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("<html>404</html>")
    line = refuse_import(folder)
    assert "tokenizer.json" in line
    assert "not JSON" in line


def test_a_graph_that_is_noise(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(random.Random(1).randbytes(4000))
    assert "model.onnx cannot be used" in refuse_import(folder)


def test_external_data_outside_by_path(folder: Path) -> None:
    (folder.parent / "secret").write_bytes(bytes(16))
    with_external(folder, "../secret")
    assert "leads out of the model's folder" in refuse_import(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_external_data_outside_by_link(folder: Path) -> None:
    (folder / "model.onnx.data").rename(folder.parent / "secret")
    (folder / "model.onnx.data").symlink_to("../secret")
    assert "leads out of the model's folder" in refuse_import(folder)


@pytest.mark.parametrize("name", ["genai_config.json", "model.onnx", "model.onnx.data", "tokenizer.json"])
def test_a_model_that_broke_after_its_import_is_refused_when_it_is_run(
    folder: Path, hearth_home: Path, name: str
) -> None:
    assert hearth("models", "import", str(folder), "--name", "one").code == 0
    (hearth_home / "models" / "one" / name).write_bytes(b"\x00\x01noise")
    assert name in hearth("run", "one", "hi", "--raw").error_line()
    assert name in hearth("models", "verify", "one").error_line()


def test_a_model_whose_disk_was_taken_away(folder: Path) -> None:
    assert hearth("models", "import", str(folder), "--name", "one", "--in-place").code == 0
    folder.rename(folder.with_name("elsewhere"))
    assert "does not exist" in hearth("run", "one", "hi", "--raw").error_line()
    assert [entry["name"] for entry in hearth("models", "list", "--json").json] == ["one"]


def test_a_graph_that_passes_the_checks_and_not_the_runtime(folder: Path) -> None:
    """The graph has no node, so that only ONNX Runtime notices."""
    assert hearth("models", "import", str(folder), "--name", "one").code == 0
    assert "could not be loaded" in hearth("run", "one", "hi", "--raw").error_line()


def test_a_prompt_longer_than_the_context(stories_int8: Path) -> None:
    assert hearth("models", "import", str(stories_int8), "--name", "one").code == 0
    line = hearth("run", "one", "-", "--raw", stdin="the cat sat " * 300).error_line()
    assert "this model reads at most" in line


@pytest.mark.parametrize(
    "command",
    [["run", "one", "hi"], ["chat"], ["bench", "one"], ["models", "list"], ["models", "import", "x"]],
)
def test_a_home_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEARTH_HOME", str(tmp_path / "file" / "home"))
    line = hearth(*command).error_line()
    assert "cannot write to its folder" in line
    assert "HEARTH_HOME" in line


@pytest.mark.parametrize("command", [["run", "one", "hi"], ["chat"], ["bench", "one"], ["models", "list"]])
def test_an_unknown_setting(hearth_home: Path, command: list[str]) -> None:
    hearth_home.mkdir()
    (hearth_home / "config.toml").write_text("[defaults]\ntemprature = 1.0\n")
    line = hearth(*command).error_line()
    assert "temprature" in line
    assert "temperature" in line


@pytest.mark.parametrize("command", [["run", "one", "hi"], ["chat"], ["bench", "one"]])
def test_a_database_from_the_future(hearth_home: Path, command: list[str]) -> None:
    hearth_home.mkdir()
    Database.open(hearth_home / "hearth.db").close()
    connection = sqlite3.connect(hearth_home / "hearth.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    assert "newer version of Hearth" in hearth(*command).error_line()


def test_a_database_that_is_none(hearth_home: Path) -> None:
    hearth_home.mkdir()
    (hearth_home / "hearth.db").write_bytes(b"not a database" * 1000)
    assert "cannot be read" in hearth("chat").error_line()


def test_standard_input_that_is_not_text() -> None:
    assert "not text in UTF-8" in hearth("run", "one", "-", stdin=b"\xff\xfe\x00").error_line()
