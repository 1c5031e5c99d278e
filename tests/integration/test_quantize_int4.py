"""An int4 checkpoint becomes a model whose numbers, in ONNX Runtime's hands, are those of the checkpoint."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from checkpoints import write_llama, write_safetensors
from golden_checkpoint import FOLDER
from hearth.quantize.builder import build
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.checkpoint.packed_tensor import PackedTensor
from hearth.quantize.recipe import EMBEDDING, HEAD, Mixed, Recipe

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
GROUP = 32


def pack(codes: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """[rows, columns] as int32 [rows, columns / 8]."""
    words = np.zeros((codes.shape[0], codes.shape[1] // 8), np.uint32)
    for place, which in enumerate(order):
        words |= codes[:, which::8].astype(np.uint32) << np.uint32(4 * place)
    return words.view(np.int32)


def quantized(
    matrix: np.ndarray, method: str, random: np.random.Generator
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The parts of a matrix [out, in] as the method stores them, and the numbers that they stand for."""
    rows, columns = matrix.shape
    codes = random.integers(0, 16, (columns, rows), np.uint8)
    zeros = random.integers(4, 12, (columns // GROUP, rows), np.uint8)
    scales = (random.random((columns // GROUP, rows)) / 50).astype(np.float16)
    wide = [np.repeat(part, GROUP, axis=0) for part in (zeros, scales.astype(np.float32))]
    numbers = ((codes.astype(np.float32) - wide[0]) * wide[1]).T
    if method == "awq":
        words, stored = pack(codes, AWQ_ORDER), pack(zeros, AWQ_ORDER)
    else:
        straight = tuple(range(8))
        words, stored = pack(codes.T, straight).T, pack(zeros - np.uint8(1), straight)
    return {"qweight": np.ascontiguousarray(words), "qzeros": stored, "scales": scales}, numbers


def logits(source: Path, out: Path) -> np.ndarray:
    """Of a few tokens; weights and activations that no recipe quantizes stay float32."""
    out.mkdir()
    recipe = Recipe(name="exact", bits=32, accuracy_level=1)
    build(Checkpoint.open(source), recipe, out, 2, lambda _done, _total: None)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(out / "model.onnx", options, providers=["CPUExecutionProvider"])
    feeds: dict[str, np.ndarray] = {
        "input_ids": np.array([[1, 5, 9, 2]], np.int64),
        "attention_mask": np.ones((1, 4), np.int64),
    }
    for wanted in session.get_inputs():
        if wanted.name.startswith("past_key_values"):
            feeds[wanted.name] = np.zeros((1, wanted.shape[1], 0, wanted.shape[3]), np.float32)
    result: np.ndarray = session.run(["logits"], feeds)[0]
    return result


def write_packed_llama(folder: Path, method: str) -> dict[str, np.ndarray]:
    """A checkpoint whose layers are int4; the numbers that its tensors stand for."""
    random = np.random.default_rng(3)
    settings = {"quant_method": method, "bits": 4, "group_size": GROUP}
    tensors = write_llama(folder, quantization_config=settings)
    stored: dict[str, np.ndarray] = {}
    for name, matrix in tensors.items():
        if "_proj" not in name:
            stored[name] = matrix
            continue
        parts, tensors[name] = quantized(matrix, method, random)
        module = name.removesuffix(".weight")
        stored |= {f"{module}.{part}": values for part, values in parts.items()}
    write_safetensors(folder / "model.safetensors", stored)
    return tensors


@pytest.mark.parametrize("method", ["awq", "gptq"])
def test_the_answers_are_those_of_the_numbers_in_the_checkpoint(tmp_path: Path, method: str) -> None:
    packed, plain = tmp_path / "packed", tmp_path / "plain"
    tensors = write_packed_llama(packed, method)
    write_llama(plain)
    write_safetensors(plain / "model.safetensors", tensors)
    exact = logits(packed, tmp_path / "int4")
    floats = logits(plain, tmp_path / "float32")
    assert np.abs(floats).max() > 0.1
    np.testing.assert_allclose(exact, floats, rtol=1e-4, atol=1e-5)
    assert (tmp_path / "int4" / "model.onnx.data").stat().st_size < (
        tmp_path / "float32" / "model.onnx.data"
    ).stat().st_size / 2


@pytest.mark.parametrize("rounding", ["scale-search", "gptq"])
def test_what_is_integers_already_stays_so_where_the_rest_is_measured(tmp_path: Path, rounding: str) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    write_packed_llama(source, "awq")
    shutil.copyfile(FOLDER / "tokenizer.json", source / "tokenizer.json")
    text = tmp_path / "text.txt"
    text.write_text(" ".join(f"w{3 + 7 * number % 125}" for number in range(600)))
    out.mkdir()
    recipe = Recipe(
        name="mine",
        rounding=rounding,
        calibration=str(text),
        calibration_tokens=256,
        mixed=Mixed(bits_per_weight=6),
    )
    built = build(Checkpoint.open(source), recipe, out, 2, lambda _done, _total: None)
    assert {override.pattern for override in built.recipe.overrides} <= {HEAD, EMBEDDING}
    weights = {tensor.name: tensor for tensor in onnx.load(out / "model.onnx").graph.initializer}
    kept = numpy_helper.to_array(weights["model.layers.0.mlp.down_proj.weight_Q4"])
    packed = Checkpoint.open(source).tensor("model.layers.0.mlp.down_proj.weight")
    assert isinstance(packed, PackedTensor)
    assert np.array_equal(kept, packed.codes(0, packed.rows).packed())
