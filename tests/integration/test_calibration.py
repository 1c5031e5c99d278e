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
from hearth.quantize.builder import plan
from hearth.quantize.calibration.calibrator import Calibrator
from hearth.quantize.calibration.expert_inputs import expert_moments
from hearth.quantize.calibration.findings import Findings
from hearth.quantize.calibration.kept_calibration import KeptCalibration
from hearth.quantize.calibration.layer_session import OUTPUT, LayerSession
from hearth.quantize.calibration.text import calibration_tokens
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder, Experts
from hearth.quantize.quality.layered_reference import LayeredReference
from hearth.quantize.recipe import BUILT_IN_TEXT, EMBEDDING, HEAD, Recipe
from hearth.quantize.rounding.inputs import Inputs
from hearth.quantize.rounding.scheme import Scheme
from hearth.quantize.weights import RoundedWeight

TOKENS = np.arange(32)[None]


@pytest.mark.parametrize("rounding", ["nearest", "gptq"])
@pytest.mark.parametrize("name", ["qwen3_moe", "qwen3_moe_not_normalized"])
def test_an_expert_meets_the_tokens_that_are_sent_to_it(name: str, rounding: str, tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(golden_checkpoint(name, tmp_path))
    decoder = describe(checkpoint)
    found = Findings()
    met: dict[str, Inputs] = {}

    def after_layer(number: int) -> None:
        assert f"model.layers.{number}.mlp.gate" not in found.shapes  # a router stays as it is
        met.update({name: inputs for name, inputs in found.inputs.items() if name not in met})

    recipe = Recipe(name="x", rounding=rounding)
    Calibrator(checkpoint, decoder, recipe, TOKENS, lambda _: (), 1, lambda _: None).run(found, after_layer)
    number = next(n for n, layer in enumerate(decoder.layers) if isinstance(layer.mlp, Experts))
    prefix = f"model.layers.{number}.mlp."
    shared = met[f"{prefix}experts.gate_up_proj"]
    assert (shared.importance > 0).all()
    expected = down_inputs(checkpoint, decoder, number)
    names = [f"{prefix}experts.down_proj.{expert}" for expert in range(len(expected))]
    for part, importance in zip(names, expected, strict=True):
        np.testing.assert_allclose(met[part].importance, importance, rtol=1e-3)
    assert all((met[part].feedback is not None) == (rounding == "gptq") for part in names)
    assert not any(inputs.feedback for part, inputs in found.inputs.items() if prefix in part)


def down_inputs(checkpoint: Checkpoint, decoder: Decoder, number: int) -> list[np.ndarray]:
    """What the second matrix of each expert meets, by the book: token by token, expert by expert."""
    session = LayerSession.open(checkpoint, decoder, number, 1)
    (mixture,) = session.mixtures.values()
    part = mixture.part
    hidden = hidden_before(checkpoint, decoder, number)
    source, scores = session.run(hidden, [mixture.source, mixture.scores])

    def matrix(kind: str, expert: int) -> np.ndarray:
        name = f"model.layers.{number}.mlp.experts.{expert}.{kind}_proj.weight"
        return checkpoint.tensor(name).floats()

    sums = [np.zeros(mixture.down.columns) for _ in range(part.count)]
    seen = [0] * part.count
    for vector, score in zip(source.astype(np.float64), scores.astype(np.float64), strict=True):
        shares = np.exp(score) / np.exp(score).sum()
        order = np.argsort(-shares)
        if part.is_normalized:
            shares /= shares[order[: part.used]].sum()
        for expert in order[: 2 * part.used]:
            gate, up = (matrix(kind, expert) @ vector for kind in ("gate", "up"))
            sums[expert] += np.square(shares[expert] * gate / (1 + np.exp(-gate)) * up)
            seen[expert] += 1
    return [total / count for total, count in zip(sums, seen, strict=True)]


def hidden_before(checkpoint: Checkpoint, decoder: Decoder, number: int) -> np.ndarray:
    """The sums before a layer, float32 [tokens, hidden_size]."""
    hidden = np.concatenate([checkpoint.tensor(decoder.embedding).floats(t, t + 1) for t in TOKENS[0]])
    for before in range(number):
        (hidden,) = LayerSession.open(checkpoint, decoder, before, 1).run(hidden, [OUTPUT])
    return hidden


def test_an_expert_that_no_token_comes_near_to_is_rounded_by_its_weights_alone(tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(golden_checkpoint("qwen3_moe", tmp_path))
    decoder = describe(checkpoint)
    number = next(n for n, layer in enumerate(decoder.layers) if isinstance(layer.mlp, Experts))
    session = LayerSession.open(checkpoint, decoder, number, 1)
    (mixture,) = session.mixtures.values()
    mixture = replace(mixture, part=replace(mixture.part, used=1))
    source = np.random.default_rng(0).standard_normal((8, decoder.hidden_size), np.float32)
    scores = np.tile(np.float32([3, 1, 2, 0]), (8, 1))
    gate_up = session.weights[f"{mixture.gate_up_name}.weight"]
    sums = expert_moments(mixture, gate_up, source, scores, is_whole=True)
    found = Findings(inputs={name: moments.inputs() for name, moments in sums})
    assert found.met(mixture.down_name, 0) is not None
    assert found.met(mixture.down_name, 2) is not None  # it came next
    assert found.met(mixture.down_name, 1) is found.met(mixture.down_name, 3) is None


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


def test_the_experts_of_a_layer_are_tried_together_in_what_their_operator_takes(tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(golden_checkpoint("qwen3_moe", tmp_path))
    decoder, found, schemes = describe(checkpoint), Findings(), [Scheme(4, 16), Scheme(8, 16), Scheme(4, 32)]
    recipe = Recipe(name="x", block_size=16)
    Calibrator(checkpoint, decoder, recipe, TOKENS, lambda _: schemes, 1, lambda _: None).run(
        found, lambda _: None
    )
    tried = {name: list(losses) for name, losses in found.losses.items() if "experts" in name}
    numbers = [n for n, layer in enumerate(decoder.layers) if isinstance(layer.mlp, Experts)]
    # Their rows have 32 numbers, and a single block is not taken.
    assert tried == {f"model.layers.{number}.mlp.experts.*": schemes[:2] for number in numbers}
    for number in numbers:
        for part in ("gate_up_proj", "down_proj"):
            assert f"model.layers.{number}.mlp.experts.{part}" in found.shapes


@pytest.mark.parametrize("name", ["granite", "llama2", "qwen3_moe"])
def test_each_matrix_counts_once_in_what_is_done(name: str, tmp_path: Path) -> None:
    """Also one that is head and embedding, and those of experts; and what was done before a kill is told apart."""
    checkpoint = Checkpoint.open(golden_checkpoint(name, tmp_path))
    recipe = Recipe(name="x", block_size=16, calibration="built-in")
    planned = plan(checkpoint, recipe)
    matrices = [weight for weight in planned.graph.weights if isinstance(weight, RoundedWeight)]
    whole = sum(weight.matrix.rows * weight.matrix.columns for weight in matrices)
    for expected in ((whole, 0), (0, whole)):
        told: list[int] = []
        skipped: list[int] = []
        kept = KeptCalibration(tmp_path / "kept", "key", 1e-9)
        calibrator = Calibrator(
            checkpoint, planned.decoder, recipe, TOKENS, lambda _: (), 1, told.append, skipped.append
        )
        calibrator.run(Findings(), lambda _: None, kept)
        assert (sum(told), sum(skipped)) == expected


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
