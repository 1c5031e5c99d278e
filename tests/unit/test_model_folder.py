"""A model folder is taken whole or refused with one plain sentence."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path

import pytest

from hearth.errors import (
    HearthError,
    ModelFileInvalid,
    ModelFileMissing,
    ModelFolderMissing,
    ModelUnsupported,
)
from hearth.model_folder.folder import ModelFolder
from onnx_bytes import config, graph, model, write_model_folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_model_folder(tmp_path / "model")


def test_a_sound_folder_is_read(path: Path) -> None:
    folder = ModelFolder.open(path)
    assert folder.graph_file == path / "model.onnx"
    assert folder.tokenizer_file == path / "tokenizer.json"
    assert folder.special_tokens == {"bos_token": "<s>", "eos_token": "</s>"}
    assert folder.chat_template is None
    assert folder.bytes == sum(file.stat().st_size for file in path.iterdir())


def test_only_what_belongs_to_the_model_is_counted(path: Path) -> None:
    for name in ("LICENSE", "README.md", "holiday.jpg", "run.py", "other.onnx"):
        (path / name).write_text("x")
    (path / "tokenizer_extra").mkdir()
    names = {file.name for file in ModelFolder.open(path).files()}
    assert names >= {
        "LICENSE",
        "README.md",
        "model.onnx",
        "model.onnx.data",
        "genai_config.json",
        "tokenizer.json",
    }
    assert not names & {"holiday.jpg", "run.py", "other.onnx", "tokenizer_extra"}


def test_the_template_file_wins_over_the_tokenizer_configuration(path: Path) -> None:
    (path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "in the configuration"}))
    assert ModelFolder.open(path).chat_template == "in the configuration"
    (path / "chat_template.jinja").write_text("in the file")
    assert ModelFolder.open(path).chat_template == "in the file"


def test_among_several_templates_the_default_is_taken(path: Path) -> None:
    templates = [{"name": "tools", "template": "T"}, {"name": "default", "template": "D"}]
    (path / "tokenizer_config.json").write_text(json.dumps({"chat_template": templates}))
    assert ModelFolder.open(path).chat_template == "D"


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderMissing, match="nowhere"):
        ModelFolder.open(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["genai_config.json", "model.onnx", "model.onnx.data", "tokenizer.json"])
def test_a_missing_file_is_named(path: Path, name: str) -> None:
    (path / name).unlink()
    with pytest.raises(ModelFileMissing, match=name):
        ModelFolder.open(path)


@pytest.mark.parametrize(
    "content", [b"", b"not json", b"{", b"[1]", b"\xff\xfe", b'{"model": ' + b"[" * 200_000]
)
def test_a_tokenizer_that_is_not_one(path: Path, content: bytes) -> None:
    (path / "tokenizer.json").write_bytes(content)
    with pytest.raises(ModelFileInvalid, match=r"tokenizer\.json"):
        ModelFolder.open(path)


@pytest.mark.parametrize("seed", range(20))
def test_a_graph_that_is_noise(path: Path, seed: int) -> None:
    (path / "model.onnx").write_bytes(random.Random(seed).randbytes(5000))
    with pytest.raises(ModelFileInvalid, match=r"model\.onnx cannot be used"):
        ModelFolder.open(path)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"PK\x03\x04", b"version https://git-lfs.github.com/spec/v1\noid"]
)
def test_a_graph_that_is_another_file(path: Path, content: bytes) -> None:
    (path / "model.onnx").write_bytes(content)
    with pytest.raises(ModelFileInvalid):
        ModelFolder.open(path)


def test_a_graph_cut_anywhere_is_refused(path: Path) -> None:
    whole = (path / "model.onnx").read_bytes()
    for length in range(len(whole)):
        (path / "model.onnx").write_bytes(whole[:length])
        with pytest.raises(HearthError):
            ModelFolder.open(path)


def test_a_graph_without_the_promised_inputs(path: Path) -> None:
    (path / "model.onnx").write_bytes(model(graph(layers=2)))
    (path / "genai_config.json").write_text(json.dumps(config(num_hidden_layers=3)))
    with pytest.raises(ModelUnsupported, match=r"past_key_values\.2\.key"):
        ModelFolder.open(path)


def test_a_real_model(stories_float32: Path) -> None:
    folder = ModelFolder.open(stories_float32)
    assert folder.config.model.decoder.num_hidden_layers == 5
    assert [file.name for file in folder.data_files] == ["model.onnx.data"]


def test_a_real_graph_with_one_byte_changed_is_read_or_refused(stories_float32: Path, tmp_path: Path) -> None:
    whole = bytearray((stories_float32 / "model.onnx").read_bytes())
    path = write_model_folder(tmp_path / "copy")
    chance = random.Random(7)
    for _ in range(200):
        at, old = (position := chance.randrange(len(whole))), whole[position]
        whole[at] = chance.randrange(256)
        (path / "model.onnx").write_bytes(whole)
        whole[at] = old
        with contextlib.suppress(HearthError):
            ModelFolder.open(path)
