"""genai_config.json: what Hearth reads of it, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hearth.errors import ModelFileInvalid, ModelUnsupported
from hearth.model_folder.genai_config import GenaiConfig, read_genai_config
from onnx_bytes import config


def read(tmp_path: Path, content: Any) -> GenaiConfig:
    file = tmp_path / "genai_config.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return read_genai_config(file)


def test_the_shape_and_the_defaults_of_names(tmp_path: Path) -> None:
    read_config = read(tmp_path, config())
    model, decoder = read_config.model, read_config.model.decoder
    assert (model.type, model.context_length, model.vocab_size) == ("llama", 512, 512)
    assert (model.bos_token_id, model.eos_token_ids) == (1, (2,))
    assert (decoder.head_size, decoder.num_hidden_layers, decoder.num_key_value_heads) == (16, 1, 2)
    assert decoder.inputs.past_key_names == "past_key_values.%d.key"
    assert decoder.outputs.present_value_names == "present.%d.value"


@pytest.mark.parametrize(("value", "ids"), [(7, (7,)), ([7, 8, 7], (7, 8)), (None, ()), (-1, ()), ([], ())])
def test_end_tokens_are_a_number_a_list_or_absent(tmp_path: Path, value: Any, ids: tuple[int, ...]) -> None:
    content = config()
    content["model"]["eos_token_id"] = value
    assert read(tmp_path, content).model.eos_token_ids == ids


def test_key_value_heads_default_to_attention_heads(tmp_path: Path) -> None:
    content = config()
    del content["model"]["decoder"]["num_key_value_heads"]
    assert read(tmp_path, content).model.decoder.num_key_value_heads == 4


def test_unknown_fields_and_session_options_are_ignored(tmp_path: Path) -> None:
    content = config(session_options={"custom_ops_library": "/tmp/evil.so"}, later={"x": [1]})
    content["model"]["later"] = 1
    content["later"] = True
    read(tmp_path, content)


def test_a_window_of_attention_inside_the_graph_is_read(tmp_path: Path) -> None:
    window = {"window_size": 128, "slide_key_value_cache": False, "slide_inputs": False, "layers": [0]}
    sliding = read(tmp_path, config(sliding_window=window)).model.decoder.sliding_window
    assert sliding is not None
    assert sliding.window_size == 128


@pytest.mark.parametrize(
    ("section", "value", "reason"),
    [
        ("vision", {"filename": "vision.onnx"}, "pictures"),
        ("speech", {"filename": "speech.onnx"}, "sound"),
        ("encoder", {"filename": "encoder.onnx"}, "encoder"),
        ("embedding", {"filename": "embedding.onnx"}, "embedding"),
    ],
)
def test_other_kinds_of_model_are_refused(tmp_path: Path, section: str, value: Any, reason: str) -> None:
    content = config()
    content["model"][section] = value
    with pytest.raises(ModelUnsupported, match=reason):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("decoder", "reason"),
    [
        ({"pipeline": [{"embeddings": {"filename": "a.onnx"}}]}, "pipeline"),
        ({"inputs": {"past_names": "past_%d"}}, "another form"),
        ({"inputs": {"rnn_prev_states": "rnn"}}, "another form"),
        ({"sliding_window": {"window_size": 64}}, "sliding"),
    ],
)
def test_other_kinds_of_decoder_are_refused(tmp_path: Path, decoder: Any, reason: str) -> None:
    with pytest.raises(ModelUnsupported, match=reason):
        read(tmp_path, config(**decoder))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "format"),
        ("{}", "model"),
        ('{"model": {"type": "llama"}}', "missing"),
        ("[" * 100_000, "format"),
        ('{"model": ' + '{"x":' * 100_000, "nested too deeply"),
        ('{"model": {"type": "llama", "later": ' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(ModelFileInvalid, match=reason):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("head_size", 0),
        ("num_hidden_layers", 10**9),
        ("num_key_value_heads", -1),
        ("head_size", "16"),
        ("inputs", {"past_key_names": "past_key"}),
        ("inputs", {"past_key_names": "%d%s"}),
    ],
)
def test_numbers_and_names_without_sense_are_refused(tmp_path: Path, name: str, value: Any) -> None:
    with pytest.raises(ModelFileInvalid):
        read(tmp_path, config(**{name: value}))


def test_a_first_token_outside_the_vocabulary_is_refused(tmp_path: Path) -> None:
    content = config()
    content["model"]["bos_token_id"] = 512
    with pytest.raises(ModelFileInvalid, match="bos_token_id"):
        read(tmp_path, content)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(ModelFileInvalid, match="more than 4 MB"):
        read(tmp_path, " " * (4 << 20) + json.dumps(config()))
