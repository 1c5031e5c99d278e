"""The unquantized model on a text, layer by layer: what is found there, and what cannot be run."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from checkpoints import llama_tensors, write_llama, write_safetensors
from golden_checkpoint import golden_checkpoint
from hearth.errors import ModelFileInvalid
from hearth.quantize.architectures.registry import describe
from hearth.quantize.calibration.calibrator import Calibrator
from hearth.quantize.calibration.findings import Findings
from hearth.quantize.calibration.text import calibration_tokens
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Experts
from hearth.quantize.quality.layered_reference import LayeredReference
from hearth.quantize.recipe import BUILT_IN_TEXT, EMBEDDING, HEAD, Recipe
from hearth.quantize.rounding.inputs import Inputs
from hearth.quantize.rounding.scheme import Scheme

TOKENS = np.arange(32)[None]


@pytest.mark.parametrize("rounding", ["nearest", "gptq"])
def test_what_experts_meet_is_known_where_it_can_be_seen(rounding: str, tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(golden_checkpoint("qwen3_moe", tmp_path))
    decoder = describe(checkpoint)
    met: list[Inputs] = []
    found = Findings()

    def after_layer(number: int) -> None:
        assert f"model.layers.{number}.mlp.gate" not in found.shapes  # a router stays as it is
        if isinstance(decoder.layers[number].mlp, Experts):
            met.append(found.inputs[f"model.layers.{number}.mlp.experts.gate_up_proj"])

    recipe, tokens = Recipe(name="x", rounding=rounding), TOKENS
    Calibrator(checkpoint, decoder, recipe, tokens, lambda _: (), 1, lambda _: None).run(found, after_layer)
    assert met
    assert all((inputs.importance > 0).all() for inputs in met)
    assert all((inputs.feedback is not None) == (rounding == "gptq") for inputs in met)


@pytest.mark.parametrize(
    ("name", "norm_of"),
    [
        ("llama2", lambda weight: weight),
        ("granite", lambda weight: weight),
        ("gemma2", lambda weight: weight + 1),
        ("olmo2", None),  # its norms come after what they norm
    ],
)
@pytest.mark.parametrize("rounding", ["nearest", "gptq"])
def test_an_embedding_is_rounded_for_what_the_first_layer_makes_of_its_rows(
    name: str, norm_of: Callable[[np.ndarray], np.ndarray] | None, rounding: str, tmp_path: Path
) -> None:
    checkpoint = Checkpoint.open(golden_checkpoint(name, tmp_path))
    decoder, found = describe(checkpoint), Findings()
    recipe = Recipe(name="x", rounding=rounding, embedding_bits=8)
    Calibrator(checkpoint, decoder, recipe, TOKENS, lambda _: (), 1, lambda _: None).run(
        found, lambda _: None
    )
    first = "model.layers.0."
    norm: np.ndarray | float = 1.0
    if norm_of is not None:
        norm = norm_of(checkpoint.tensor(f"{first}input_layernorm.weight").floats().reshape(-1))
    readers = [checkpoint.tensor(f"{first}self_attn.{part}_proj.weight").floats() for part in "qkv"]
    met = np.square(np.concatenate(readers) * norm).sum(axis=0)
    inputs = found.inputs[EMBEDDING]
    expected = (met + met.mean() / 4) / sum(map(len, readers))
    np.testing.assert_allclose(inputs.importance, expected, rtol=1e-4)
    assert (inputs.feedback is not None) == (rounding == "gptq")


def test_a_matrix_that_is_head_and_embedding_counts_both_by_what_their_rounding_spoils(
    tmp_path: Path,
) -> None:
    checkpoint = Checkpoint.open(golden_checkpoint("granite", tmp_path))
    decoder = describe(checkpoint)

    def importance(recipe: Recipe, **losses: float) -> np.ndarray:
        found = Findings(losses={name: {Scheme(4, 32): loss} for name, loss in losses.items()})
        calibrator = Calibrator(checkpoint, decoder, recipe, TOKENS, lambda _: (), 1, lambda _: None)
        calibrator.run(found, lambda _: None)
        return found.inputs[HEAD].importance

    apart, one = Recipe(name="x", embedding_bits=8), Recipe(name="x")
    head, alike = importance(apart), importance(one)
    lookups = alike - head
    np.testing.assert_allclose(lookups.mean(), head.mean(), rtol=1e-4)
    more = importance(one, **{HEAD: 0.5, EMBEDDING: 1.5})
    np.testing.assert_allclose(more, head + 3 * lookups, rtol=1e-4)


def test_a_long_context_takes_no_memory_while_the_model_runs_on_a_text(tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(golden_checkpoint("llama2", tmp_path))
    decoder = replace(describe(checkpoint), context_length=1 << 24)
    recipe, found = Recipe(name="x", calibration="built-in"), Findings()
    calibrator = Calibrator(checkpoint, decoder, recipe, TOKENS, lambda _: (), 1, lambda _: None)
    tracemalloc.start()
    try:
        calibrator.run(found, lambda _: None)
        LayeredReference(checkpoint, decoder, TOKENS.tolist(), 1).run_layers(lambda _done, _whole: None)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("times", [1e25, 1e38])
def test_weights_that_are_too_large_to_compute_with_are_told(times: float, tmp_path: Path) -> None:
    write_llama(tmp_path, vocabulary=512)
    tensors = llama_tensors(64, 128, 2, 512)
    tensors["model.layers.0.mlp.up_proj.weight"] *= np.float32(times) / 10
    write_safetensors(tmp_path / "model.safetensors", tensors)
    checkpoint = Checkpoint.open(tmp_path)
    decoder, recipe = describe(checkpoint), Recipe(name="x", rounding="gptq")
    calibrator = Calibrator(checkpoint, decoder, recipe, TOKENS, lambda _: (), 1, lambda _: None)
    with pytest.raises(ModelFileInvalid, match="so large"), np.errstate(all="ignore"):
        calibrator.run(Findings(), lambda _: None)


def test_a_tokenizer_that_makes_nothing_of_text_is_told(tmp_path: Path) -> None:
    write_llama(tmp_path)
    with pytest.raises(ModelFileInvalid, match=r"tokenizer\.json.*fewer than"):
        calibration_tokens(BUILT_IN_TEXT, Checkpoint.open(tmp_path), 2048, 2048)


@pytest.mark.parametrize("token", [-1, 512])
def test_a_token_that_the_model_does_not_know_is_told(token: int, tmp_path: Path) -> None:
    write_llama(tmp_path, vocabulary=512)
    checkpoint = Checkpoint.open(tmp_path)
    recipe, tokens = Recipe(name="x"), np.array([[1, 2, token]])
    calibrator = Calibrator(checkpoint, describe(checkpoint), recipe, tokens, lambda _: (), 1, lambda _: None)
    with pytest.raises(ModelFileInvalid, match=f"tokenizer.json.*the token {token}"):
        calibrator.run(Findings(), lambda _: None)
