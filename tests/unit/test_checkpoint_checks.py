"""A checkpoint that is damaged, or lies, gives one error that names what is wrong."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from checkpoints import write_llama, write_safetensors
from golden_checkpoint import FOLDER
from hearth.errors import (
    CheckpointUnsupported,
    FloatsTooLarge,
    HearthError,
    ModelFileInvalid,
    ModelFileMissing,
    ModelFileTruncated,
    TokenizerMissing,
)
from hearth.quantize.builder import build, plan
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.checkpoint.safetensors_file import read_safetensors
from hearth.quantize.checkpoint.stored_tensor import StoredTensor
from hearth.quantize.recipe import Recipe

RECIPE = Recipe(name="x")


def shard(header: Any, numbers: int = 4, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + bytes(4 * numbers)


def entry(shape: list[Any], offsets: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"w": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


DAMAGED = {
    "nothing": b"",
    "a few bytes": b"\x10\x00",
    "a header that ends too early": shard(entry([4], [0, 16]))[:30],
    "a header longer than the file": shard(b"{}", length=1 << 20),
    "a header of a terabyte": shard(b"{}", length=1 << 40),
    "a header that is no JSON": shard(b"\x80abc"),
    "a header nested too deeply": shard(b'{"a":' * 100_000),
    "numbers that are missing": shard(entry([5], [0, 20])),
    "a shape that needs more": shard(entry([8], [0, 16])),
    "a negative length": shard(entry([-4], [0, -16])),
    "a place before the file": shard(entry([4], [-16, 0])),
    "lengths beyond all numbers": shard(entry([1 << 62, 1 << 62], [0, 16])),
    "an unknown type": shard(entry([4], [0, 16], "F13")),
    "two tensors in one place": shard({**entry([2], [0, 8]), "v": entry([2], [4, 12])["w"]}),
    "a header of more tensors than there are": shard(b" " * (17 << 20)),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_shard_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    with pytest.raises((ModelFileInvalid, ModelFileTruncated)) as caught:
        read_safetensors(file)
    assert str(file) in str(caught.value)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    tensors = write_llama(tmp_path)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    write_safetensors(tmp_path / "model.safetensors", tensors)
    with pytest.raises(ModelFileInvalid, match=r"model\.layers\.1\.mlp\.up_proj\.weight"):
        plan(Checkpoint.open(tmp_path), RECIPE)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("model.layers.0.self_attn.q_proj.weight", (48, 64)),
        ("model.layers.0.self_attn.k_proj.weight", (64, 48)),
        ("model.layers.0.self_attn.o_proj.weight", (64, 64, 1)),
        ("model.layers.1.mlp.down_proj.weight", (64, 127)),
        ("model.layers.1.mlp.up_proj.weight", (64, 64)),
        ("model.norm.weight", (63,)),
        ("model.embed_tokens.weight", (128, 32)),
    ],
)
def test_a_tensor_of_the_wrong_shape_is_named(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    tensors = write_llama(tmp_path)
    tensors[name] = np.ones(shape, np.float32)
    write_safetensors(tmp_path / "model.safetensors", tensors)
    with pytest.raises(ModelFileInvalid) as caught:
        plan(Checkpoint.open(tmp_path), RECIPE)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("model.layers.0.mlp.experts.3.gate_proj.weight", (15, 32)),
        ("model.layers.0.mlp.experts.1.up_proj.weight", (32, 16)),
        ("model.layers.0.mlp.experts.2.down_proj.weight", (32, 15)),
        ("model.layers.0.mlp.gate.weight", (3, 32)),
        ("model.layers.0.self_attn.q_norm.weight", (32,)),
    ],
)
def test_an_expert_of_another_shape_than_the_first_is_named(name: str, shape: tuple[int, ...]) -> None:
    checkpoint = Checkpoint.open(FOLDER / "qwen3_moe")
    tensor = checkpoint.tensors[name]
    assert isinstance(tensor, StoredTensor)
    assert tensor.shape != shape
    odd = replace(checkpoint, tensors={**checkpoint.tensors, name: replace(tensor, shape=shape)})
    with pytest.raises(ModelFileInvalid, match=re.escape(name)):
        plan(odd, RECIPE)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "pytorch_model.bin", "tokenizer.json"])
def test_what_git_lfs_has_not_fetched_is_told_as_that(tmp_path: Path, name: str) -> None:
    write_llama(tmp_path)
    if name.endswith(".bin"):
        (tmp_path / "model.safetensors").unlink()
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n")
    with pytest.raises(ModelFileInvalid, match="git lfs pull"):
        plan(Checkpoint.open(tmp_path), RECIPE)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.gguf", "can be imported"),
        ("genai_config.json", "can be imported"),
        ("adapter_config.json", "adapter"),
    ],
)
def test_a_folder_that_holds_something_else_is_told_as_that(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(CheckpointUnsupported, match=said):
        Checkpoint.open(tmp_path)


def test_a_kind_that_is_not_said_is_told(tmp_path: Path) -> None:
    write_llama(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**settings, "model_type": ""}))
    with pytest.raises(ModelFileInvalid, match="it has no model_type"):
        plan(Checkpoint.open(tmp_path), RECIPE)


def test_a_checkpoint_without_tensors_says_so(tmp_path: Path) -> None:
    write_llama(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    with pytest.raises(ModelFileInvalid, match="no tensors"):
        Checkpoint.open(tmp_path)


def test_an_embedding_that_is_one_number_is_named(tmp_path: Path) -> None:
    tensors = write_llama(tmp_path)
    tensors["model.embed_tokens.weight"] = np.zeros((), np.float32)
    write_safetensors(tmp_path / "model.safetensors", tensors)
    with pytest.raises(ModelFileInvalid, match="embed_tokens"):
        plan(Checkpoint.open(tmp_path), RECIPE)


@pytest.mark.parametrize(
    "part",
    [
        {"model": {"type": "Unheard"}},
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "/////w=="}},  # the library panics
    ],
)
def test_a_tokenizer_that_does_not_work_is_told_before_the_work(tmp_path: Path, part: dict[str, Any]) -> None:
    write_llama(tmp_path)
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **part}))
    with pytest.raises(ModelFileInvalid, match=r"tokenizer\.json"):
        plan(Checkpoint.open(tmp_path), RECIPE)


def test_a_huge_file_beside_the_tokenizer_is_not_copied(tmp_path: Path) -> None:
    write_llama(tmp_path)
    with (tmp_path / "tokenizer.model").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(ModelFileInvalid, match=r"tokenizer\.model"):
        plan(Checkpoint.open(tmp_path), RECIPE)


def test_a_missing_tokenizer_is_told_before_the_work(tmp_path: Path) -> None:
    write_llama(tmp_path)
    (tmp_path / "tokenizer.json").rename(tmp_path / "tokenizer.model")
    with pytest.raises(TokenizerMissing, match=re.escape(str(tmp_path))):
        plan(Checkpoint.open(tmp_path), RECIPE)


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("generation_config.json", "{", "not JSON"),
        ("generation_config.json", '{"eos_token_id": "</s>"}', "eos_token_id"),
        ("generation_config.json", '{"bos_token_id": 128}', "not in the vocabulary"),
        ("tokenizer.json", "{}", "model"),
        ("tokenizer_config.json", '{"chat_template": 3}', "chat_template"),
    ],
)
def test_what_travels_with_the_model_is_checked_before_the_work(
    tmp_path: Path, file: str, content: str, reason: str
) -> None:
    write_llama(tmp_path)
    (tmp_path / file).write_text(content)
    with pytest.raises(ModelFileInvalid, match=reason) as caught:
        plan(Checkpoint.open(tmp_path), RECIPE)
    assert file in str(caught.value)


@pytest.mark.parametrize("name", ["model.norm.weight", "model.layers.1.mlp.up_proj.weight"])
def test_integers_where_floats_should_be_are_told_before_the_work(tmp_path: Path, name: str) -> None:
    tensors = write_llama(tmp_path)
    tensors[name] = tensors[name].astype(np.int32)
    write_safetensors(tmp_path / "model.safetensors", tensors)
    with pytest.raises(ModelFileInvalid, match="I32") as caught:
        plan(Checkpoint.open(tmp_path), RECIPE)
    assert name in str(caught.value)


def test_a_row_beyond_a_tensor_is_not_read_from_the_next_one(tmp_path: Path) -> None:
    write_llama(tmp_path, vocabulary=128)
    embedding = Checkpoint.open(tmp_path).tensor("model.embed_tokens.weight")
    with pytest.raises(ModelFileInvalid, match="128 rows"):
        embedding.floats(128, 129)


@pytest.mark.parametrize("bits", [4, 16, 32])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["model.layers.1.mlp.up_proj.weight", "model.norm.weight"])
def test_numbers_that_are_not_finite_name_their_tensor(
    tmp_path: Path, name: str, number: float, bits: int
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    tensors = write_llama(source)
    tensors[name].flat[17] = number
    write_safetensors(source / "model.safetensors", tensors)
    out.mkdir()
    with pytest.raises(ModelFileInvalid, match="not finite") as caught:
        build(Checkpoint.open(source), Recipe(name="x", bits=bits), out, 2, lambda _done, _total: None)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("model.layers.1.mlp.up_proj.weight", Recipe(name="x", bits=16)),
        ("model.norm.weight", Recipe(name="x", target="gpu")),
    ],
)
def test_numbers_that_16_bits_cannot_hold_are_told_and_not_made_infinite(
    tmp_path: Path, name: str, recipe: Recipe
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    tensors = write_llama(source)
    tensors[name].flat[3] = 1e5
    write_safetensors(source / "model.safetensors", tensors)
    out.mkdir()
    with pytest.raises(FloatsTooLarge, match=re.escape(name)):
        build(Checkpoint.open(source), recipe, out, 2, lambda _done, _total: None)


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    write_llama(tmp_path)
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelFileMissing, match="model-2"):
        Checkpoint.open(tmp_path)


def test_a_shard_outside_is_refused(tmp_path: Path) -> None:
    write_llama(tmp_path / "a")
    index = {"weight_map": {"a": "../b/model.safetensors"}}
    (tmp_path / "a" / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(HearthError, match="leads out"):
        Checkpoint.open(tmp_path / "a")
