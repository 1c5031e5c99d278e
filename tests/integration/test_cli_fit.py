"""`hearth models fit` and `hearth models catalogue`: in words and in JSON, for everything that a model may be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import hearth
from hearth.hardware.machine import read_machine
from hearth.models.catalogue import catalogue
from hearth.models.experience import Experience, write_experience
from hearth.services.device_options import machine_text
from hearth.services.model_fit import experience_file
from machine_speeds import speeds

# The key in a GGUF header, its type, and before the number itself.
BLOCK_COUNT = b"llama.block_count" + (4).to_bytes(4, "little")


@pytest.fixture(autouse=True)
def measured() -> None:
    """A machine that was measured before, so that no test waits for it."""
    write_experience(
        experience_file(),
        Experience(machine=machine_text(read_machine()), measured=3 * (speeds(4e10, 3e11),)),
    )


def test_the_catalogue_in_words_and_in_json() -> None:
    lines = hearth("models", "catalogue").out.splitlines()
    assert len(lines) == len(catalogue()) + 1
    assert any("qwen3-4b " in line and "Apache-2.0" in line for line in lines)
    assert any("llama-3.2-1b" in line and "(to be agreed to)" in line for line in lines)
    listed = hearth("models", "catalogue", "--json").json
    assert [entry["id"] for entry in listed] == [entry.id for entry in catalogue()]
    assert listed[0]["shape"]["layers"] > 0


def test_a_model_of_the_catalogue_before_it_is_fetched() -> None:
    found = hearth("models", "fit", "qwen3-4b", "--context", "512,100000", "--json").json
    assert found["recipe"] == "balanced"
    assert found["download_bytes"] > 2.5 * found["disk_bytes"] > 2.5e9
    assert found["disk_bytes_meanwhile"] == found["download_bytes"] + found["disk_bytes"]
    short, long = found["estimates"]
    assert (short["context"], long["context"]) == (512, 40960), "no longer than the model holds"
    assert long["kv_cache"] == 40960 * 36 * 2 * 8 * 128 * 4
    assert short["write_speed"] > long["write_speed"] > 0
    assert long["fit"] in ("well", "slowly", "not")
    assert long["reason"]


def test_in_words_with_the_reason_and_what_would_fit_better() -> None:
    text = hearth("models", "fit", "llama-3.3-70b", "--recipe", "int8", "--context", "8192").out
    assert "does not fit" in text
    assert "8192 tokens: " in text
    text = hearth("models", "fit", "qwen3-0.6b", "--context", "512").out
    assert "512 tokens: it needs " in text


def test_a_model_here_a_folder_and_a_checkpoint(stories_float32: Path, tmp_path: Path) -> None:
    by_path = hearth("models", "fit", str(stories_float32), "--context", "512", "--json").json
    hearth("models", "import", str(stories_float32), "--name", "stories", "--in-place")
    by_name = hearth("models", "fit", "stories", "--context", "512", "--json").json
    assert by_name["estimates"] == by_path["estimates"]
    assert by_name["recipe"] is None
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    config = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 5, "num_attention_heads": 8}
    config |= {"num_key_value_heads": 4, "intermediate_size": 172, "vocab_size": 512, "head_dim": 16}
    (checkpoint / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 512}), "utf-8")
    made = hearth("models", "fit", str(checkpoint), "--recipe", "int8", "--context", "512", "--json").json
    assert made["recipe"] == "int8"
    assert made["estimates"][0]["kv_cache"] == by_path["estimates"][0]["kv_cache"]
    (checkpoint / "config.json").write_text("{}", "utf-8")
    assert "num_attention_heads" in hearth("models", "fit", str(checkpoint)).error_line()


def test_a_gguf_file_and_the_model_that_it_became(stories_gguf: Path, tmp_path: Path) -> None:
    by_path = hearth("models", "fit", str(stories_gguf), "--context", "512", "--json").json
    hearth("models", "import", str(stories_gguf), "--name", "stories", "--in-place")
    by_name = hearth("models", "fit", "stories", "--context", "512", "--json").json
    assert by_name["estimates"] == by_path["estimates"]
    (estimate,) = by_path["estimates"]
    assert estimate["weights"] == by_path["disk_bytes"] == stories_gguf.stat().st_size
    assert estimate["kv_cache"] == 512 * 5 * 2 * 4 * 8 * 2
    assert by_path["gguf"] is by_path["format"] is None
    liar = tmp_path / "liar.gguf"
    liar.write_bytes(stories_gguf.read_bytes().replace(BLOCK_COUNT + b"\5", BLOCK_COUNT + b"\xff"))
    assert "its header says what cannot be" in hearth("models", "fit", str(liar)).error_line()
    liar.write_bytes(stories_gguf.read_bytes()[:1000])
    assert "liar.gguf" in hearth("models", "fit", str(liar)).error_line()


def test_a_model_of_the_catalogue_that_comes_in_gguf_too() -> None:
    found = hearth("models", "fit", "qwen3-4b", "--context", "512", "--json").json
    assert found["gguf"]["download_bytes"] == 2_500_000_000
    assert found["gguf"]["estimates"][0]["write_speed"] > 0
    assert found["format"]["advised"] == "onnxruntime-genai"
    text = hearth("models", "fit", "qwen3-4b", "--context", "512").out
    assert "In GGUF (2.5 GB), 512 tokens: it needs " in text
    assert found["format"]["reason"] in text


def test_what_is_nowhere_is_said() -> None:
    assert "nowhere" in hearth("models", "fit", "nowhere").error_line()
    result = hearth("models", "fit", "qwen3-4b", "--context", "0")
    assert result.code == 2
    assert "--context must be whole numbers of at least 1" in result.err
