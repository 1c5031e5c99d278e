"""Recipes on a real model, the starter's own checkpoint, run by ONNX Runtime as an engine would."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from hearth.engine.ort_runner import OrtRunner
from hearth.errors import BudgetTooSmall, CalibrationInvalid
from hearth.model_folder.folder import ModelFolder
from hearth.paths import resource
from hearth.quantize.architectures.registry import describe
from hearth.quantize.builder import Built, build
from hearth.quantize.calibration.calibrator import Calibrator
from hearth.quantize.calibration.findings import Findings
from hearth.quantize.calibration.text import calibration_tokens
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.quality.built_model import BuiltModel
from hearth.quantize.recipe import BUILT_IN_TEXT, Mixed, Override, Recipe
from hearth.quantize.recipe_file import load_recipe

# Asked as in the starter's chat, with the help's own words as the answer; none of it in this form is calibration text.
TEXT = (
    "<|im_start|>user\nHow do I copy an answer?<|im_end|>\n<|im_start|>assistant\n"
    "Open **File > Settings…** and choose a folder. Everything that you write stays on this machine, and the"
    " model answers without a connection.<|im_end|>\n<|im_start|>user\n怎么换模型？<|im_end|>\n"
)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return Checkpoint.open(resource("starter", "checkpoint"))


@pytest.fixture(scope="module")
def reference(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model without rounding."""
    folder = tmp_path_factory.mktemp("models") / "reference"
    made(checkpoint, load_recipe("reference"), folder)
    return folder


def made(checkpoint: Checkpoint, recipe: Recipe, out: Path) -> Built:
    out.mkdir()
    return build(checkpoint, recipe, out, 2, lambda done, whole: None)


def all_logits(folder: Path, ids: list[int]) -> np.ndarray:
    """float32 [tokens, vocab_size], by the graph as Hearth runs it."""
    runner = OrtRunner(ModelFolder.open(folder), "built", threads=1, max_slots=1, kv_cache_bytes=1 << 24)
    assert runner.reserve(1, len(ids))
    return runner.score(0, ids)


def log_probabilities(folder: Path, text: str = TEXT) -> np.ndarray:
    """float64 [tokens, vocab_size], of every next token of the text."""
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids
    logits = all_logits(folder, ids).astype(np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def some_help() -> str:
    return "".join(
        resource("help", "en", f"{page}.md").read_text("utf-8") for page in ("ask", "edit", "copy")
    )


def divergence(right: np.ndarray, other: np.ndarray) -> float:
    return float((np.exp(right) * (right - other)).sum(axis=1).mean())


def test_more_bytes_are_closer_to_the_original(
    checkpoint: Checkpoint, reference: Path, tmp_path: Path
) -> None:
    built = {
        name: made(checkpoint, load_recipe(name), tmp_path / name)
        for name in ("int8", "quality", "balanced", "small")
    }
    right = log_probabilities(reference)
    found = {name: divergence(right, log_probabilities(tmp_path / name)) for name in built}
    assert found["int8"] < found["quality"] < found["balanced"] < found["small"]
    assert built["small"].bytes < built["balanced"].bytes < built["quality"].bytes < built["int8"].bytes
    assert found["quality"] < 0.03


def test_bits_that_were_chosen_are_a_plain_recipe_that_builds_the_same(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    recipe = Recipe(
        name="mine", calibration=BUILT_IN_TEXT, mixed=Mixed(bits_per_weight=5.6), calibration_tokens=512
    )
    first = made(checkpoint, recipe, tmp_path / "first")
    assert first.recipe.mixed is None
    assert first.recipe.overrides
    again = made(checkpoint, first.recipe, tmp_path / "again")
    assert again.recipe == first.recipe
    assert (tmp_path / "first" / "model.onnx").read_bytes() == (
        tmp_path / "again" / "model.onnx"
    ).read_bytes()
    data = [(tmp_path / name / "model.onnx.data").read_bytes() for name in ("first", "again")]
    assert data[0] == data[1]


def test_the_budget_holds_for_all_matrices_with_their_scales(checkpoint: Checkpoint, tmp_path: Path) -> None:
    recipe = Recipe(name="mine", mixed=Mixed(bytes=3_200_000), calibration_tokens=512)
    built = made(checkpoint, recipe, tmp_path / "out")
    beside = 2 * 2048 * 16 * 4 + 9 * 256 * 4 + 100_000  # cosines, norms, and room between tensors
    assert built.bytes <= 3_200_000 + beside
    with pytest.raises(BudgetTooSmall):
        made(
            checkpoint, Recipe(name="mine", mixed=Mixed(bytes=9000), calibration_tokens=512), tmp_path / "no"
        )


def test_gptq_is_closer_than_the_search_for_scales_alone(
    checkpoint: Checkpoint, reference: Path, tmp_path: Path
) -> None:
    text = some_help()
    right = log_probabilities(reference, text)
    found = {}
    for rounding in ("scale-search", "gptq"):
        recipe = Recipe(name="mine", rounding=rounding, calibration=BUILT_IN_TEXT, calibration_tokens=8192)
        made(checkpoint, recipe, tmp_path / rounding)
        found[rounding] = divergence(right, log_probabilities(tmp_path / rounding, text))
    assert found["gptq"] < 0.95 * found["scale-search"]


def test_awq_is_closer_than_rounding_to_the_nearest_and_its_report_undoes_the_factors(
    checkpoint: Checkpoint, reference: Path, tmp_path: Path
) -> None:
    right = log_probabilities(reference, some_help())
    found, errors = {}, {}
    for rounding in ("nearest", "awq"):
        recipe = Recipe(name="mine", block_size=128, rounding=rounding, calibration=BUILT_IN_TEXT)
        folder = tmp_path / rounding
        decoder = made(checkpoint, recipe, folder).decoder
        found[rounding] = divergence(right, log_probabilities(folder, some_help()))
        matrices = BuiltModel(folder, checkpoint, decoder, recipe, 1).matrix_errors(lambda done, whole: None)
        errors[rounding] = {matrix.name: matrix.error for matrix in matrices}
    assert found["awq"] < found["nearest"]
    assert all(0.03 < error < 0.3 for known in errors.values() for error in known.values())


def test_an_int8_cache_is_measured_like_the_rest(
    checkpoint: Checkpoint, reference: Path, tmp_path: Path
) -> None:
    """The scales come from calibration, whichever pass of it there is; the engine takes them as they are."""
    right = log_probabilities(reference)
    for rounding in ("nearest", "gptq"):
        recipe = Recipe(name="mine", bits=8, rounding=rounding, kv_cache="int8", calibration_tokens=1024)
        made(checkpoint, recipe, tmp_path / rounding)
        runner = OrtRunner(
            ModelFolder.open(tmp_path / rounding), "m", threads=1, max_slots=1, kv_cache_bytes=1 << 24
        )
        assert runner.cache.shape.dtype == np.int8
        assert divergence(right, log_probabilities(tmp_path / rounding)) < 0.02


def test_a_block_that_is_no_divisor_of_the_width(
    checkpoint: Checkpoint, tmp_path: Path, shared_data: Path
) -> None:
    """The embedding's rows are looked up in whole blocks, and cut to the width."""
    stories = Checkpoint.open(shared_data / "models" / "stories260k")
    recipe = Recipe(
        name="mine", bits=8, block_size=128, overrides=(Override(pattern="*o_proj", block_size=16),)
    )
    built = made(stories, recipe, tmp_path / "out")
    assert built.decoder.hidden_size % 128
    assert all_logits(tmp_path / "out", [1, 403])[0].argmax() == 403  # " Once", as the golden text begins


def test_what_the_layers_are_given_is_what_the_model_computes(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Run layer by layer, the model says the same as whole: the loss of 32-bit floats is nothing."""
    decoder = describe(checkpoint)
    tokens = calibration_tokens(BUILT_IN_TEXT, checkpoint, decoder.context_length, 512)
    recipe = Recipe(name="mine")
    found = Findings()
    exact = Recipe(name="exact", bits=32).scheme_for("x")
    rough = recipe.scheme_for("x")
    calibrator = Calibrator(
        checkpoint, decoder, recipe, tokens, lambda name: [exact, rough], 2, lambda numbers: None
    )
    calibrator.run(found, lambda number: None)
    assert set(found.losses) == set(found.shapes) == {*found.inputs, "model.embed_tokens"}
    for name, losses in found.losses.items():
        assert losses[exact] < 1e-9, name
        assert losses[rough] > 1e-5, name


def test_a_text_that_is_no_use_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    short, binary = tmp_path / "short.txt", tmp_path / "binary.txt"
    short.write_text("Too short.")
    binary.write_bytes(b"\xff\xfe")
    for path, reason in ((short, "fewer than"), (binary, "UTF-8"), (tmp_path / "none.txt", "does not exist")):
        with pytest.raises(CalibrationInvalid, match=reason):
            calibration_tokens(str(path), checkpoint, 2048, 2048)


def test_float32_says_the_golden_tokens(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "models" / "stories260k"
    made(Checkpoint.open(source), load_recipe("reference"), tmp_path / "reference")
    golden = json.loads((source / "golden.json").read_text("utf-8"))
    answer = golden["greedy_ids"]
    logits = all_logits(tmp_path / "reference", [golden["bos"], *answer[:-1]])
    assert logits.argmax(axis=1).tolist() == answer
    np.testing.assert_allclose(logits[0], golden["logits_pos0"], atol=1e-3)
