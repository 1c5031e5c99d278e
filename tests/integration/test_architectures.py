"""Each architecture, built from a tiny checkpoint with all its odd features: the logits of transformers."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest

from golden_checkpoint import FOLDER, NAMES, golden_checkpoint
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.relative_error import relative_error
from hearth.errors import ModelUnsupported
from hearth.model_folder.folder import ModelFolder
from hearth.quantize.architectures.registry import describe
from hearth.quantize.builder import Steps, build, plan, write
from hearth.quantize.calibration.calibrator import Calibrator
from hearth.quantize.calibration.findings import Findings
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.recipe import Override, Recipe, choice_name
from hearth.quantize.rounding.scheme import Scheme

REFERENCE = Recipe(name="reference", bits=32)
# Scaled as for integers, and kept as floats all the same, so that what is left is the scaling alone.
SCALED = Recipe(name="scaled", bits=8, rounding="awq", overrides=(Override(pattern="*", bits=32),))
CLOSE = 1e-3
# Its golden text is longer than the model was first trained for.
LONG = {"phi3_beyond"}
GREEDY_TOKENS = 32
ALL_FOLDS = {"input_layernorm", "v_proj", "pre_feedforward_layernorm", "up_proj"}
# Norms that come after what they norm make no inputs.
FOLDS = {"olmo2": {"v_proj", "up_proj"}}
EXPERTS = ("qwen3_moe", "qwen3_moe_not_normalized")


@dataclass(frozen=True, slots=True)
class Golden:
    """What transformers makes of some tokens: logits [tokens, vocabulary]."""

    ids: list[int]
    logits: np.ndarray


def golden(name: str) -> Golden:
    with np.load(FOLDER / name / "golden.npz") as arrays:
        return Golden(arrays["ids"].tolist(), arrays["logits"])


def built(name: str, parent: Path, recipe: Recipe) -> Path:
    """The model's folder."""
    folder = parent / "built"
    folder.mkdir()
    build(
        Checkpoint.open(golden_checkpoint(name, parent)),
        for_golden(name, recipe),
        folder,
        1,
        lambda done, whole: None,
    )
    return folder


def runner(folder: Path) -> OrtRunner:
    loaded = OrtRunner(ModelFolder.open(folder), folder.name, threads=1, max_slots=1, kv_cache_bytes=1 << 24)
    loaded.reserve(1, min(128, loaded.context_length))
    return loaded


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each model in float32."""
    return {name: built(name, tmp_path_factory.mktemp(name), REFERENCE) for name in NAMES}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(name: str, folders: dict[str, Path]) -> OrtRunner:
    return runner(folders[name])


def test_a_prompt_at_once_has_the_logits_of_transformers(name: str, model: OrtRunner) -> None:
    expected = golden(name)
    np.testing.assert_allclose(model.score(0, expected.ids), expected.logits, rtol=0, atol=CLOSE)


def test_a_prompt_in_chunks_has_the_logits_of_transformers(name: str, model: OrtRunner) -> None:
    expected = golden(name)
    ends = [*range(0, len(expected.ids), 13), len(expected.ids)]
    logits = [model.score(0, expected.ids[start:end]) for start, end in pairwise(ends)]
    np.testing.assert_allclose(np.concatenate(logits), expected.logits, rtol=0, atol=CLOSE)


def test_decoding_token_by_token_has_the_logits_of_transformers(name: str, model: OrtRunner) -> None:
    expected = golden(name)
    prompt = model.score(0, expected.ids[:8])
    answer = [model.decode(0, [token]).copy() for token in expected.ids[8:]]
    np.testing.assert_allclose(np.concatenate([prompt, *answer]), expected.logits, rtol=0, atol=CLOSE)


@pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime_genai") is None, reason="onnxruntime-genai is not installed"
)
def test_onnxruntime_genai_gives_the_same_greedy_tokens(folders: dict[str, Path]) -> None:
    prompts = {name: golden(name).ids[:16] for name in NAMES}
    jobs = [[str(folders[name]), prompts[name], GREEDY_TOKENS] for name in NAMES]
    result = subprocess.run(
        [sys.executable, Path(__file__).parents[1] / "genai_greedy.py"],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    ours = [greedy(runner(folders[name]), prompts[name]) for name in NAMES]
    assert dict(zip(NAMES, json.loads(result.stdout), strict=True)) == dict(zip(NAMES, ours, strict=True))


def greedy(model: OrtRunner, prompt: list[int]) -> list[int]:
    answer = [int(model.prefill(0, prompt).argmax())]
    while len(answer) < GREEDY_TOKENS:
        answer.append(int(model.decode(0, answer[-1:])[0].argmax()))
    return answer


@pytest.mark.parametrize(("context", "length"), [("original", 64), ("long", 256)])
def test_a_model_that_was_stretched_is_built_for_one_of_its_lengths(
    context: str, length: int, tmp_path: Path
) -> None:
    checkpoint = Checkpoint.open(golden_checkpoint("phi3_beyond", tmp_path))
    folder = tmp_path / "built"
    folder.mkdir()
    recipe = msgspec.structs.replace(REFERENCE, context=context)
    build(checkpoint, recipe, folder, 1, lambda done, whole: None)
    config = json.loads((folder / "genai_config.json").read_text("utf-8"))
    assert config["model"]["context_length"] == config["search"]["max_length"] == length
    assert ModelFolder.open(folder).config.model.context_length == length


def test_each_architecture_rounded_to_8_bits_stays_near(name: str, tmp_path: Path) -> None:
    expected = golden(name)
    recipe = Recipe(name="rounded", bits=8, block_size=16, accuracy_level=1)
    logits = runner(built(name, tmp_path, recipe)).score(0, expected.ids)
    assert 1e-6 < relative_error(logits, expected.logits) < 0.1


@pytest.mark.parametrize("name", EXPERTS)
@pytest.mark.parametrize("is_symmetric", [True, False])
def test_experts_that_fit_4_bits_are_the_same_in_them(name: str, is_symmetric: bool, tmp_path: Path) -> None:
    expected = golden(name)
    override = Override(pattern="*.experts.*", bits=4, block_size=16, symmetric=is_symmetric)
    recipe = msgspec.structs.replace(REFERENCE, overrides=(override,), accuracy_level=1)
    logits = runner(built(name, tmp_path, recipe)).score(0, expected.ids)
    np.testing.assert_allclose(logits, expected.logits, rtol=0, atol=CLOSE)


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ((Override(pattern="*.experts.*", bits=4, block_size=32),), "several blocks of 32"),
        ((Override(pattern="*.experts.down_proj", bits=4, block_size=16),), "rounded alike"),
        (
            (
                Override(pattern="*.experts.*", bits=4, block_size=16),
                Override(pattern="*.experts.down_proj", bits=8),
            ),
            "rounded alike",
        ),
    ],
)
def test_experts_that_the_operator_cannot_run_are_refused(
    overrides: tuple[Override, ...], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelUnsupported, match=reason):
        built("qwen3_moe", tmp_path, msgspec.structs.replace(REFERENCE, overrides=overrides))


def test_heads_of_a_size_that_the_operator_does_not_take_are_refused(tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(golden_checkpoint("llama2", tmp_path))
    config = checkpoint.config
    heads = {name: 2 * config[name] for name in ("num_attention_heads", "num_key_value_heads")}
    odd = replace(checkpoint, config={**config, **heads, "head_dim": config["head_dim"] // 2})
    with pytest.raises(ModelUnsupported, match="multiples of 16"):
        build(odd, REFERENCE, tmp_path, 1, lambda done, whole: None)


def for_golden(name: str, recipe: Recipe) -> Recipe:
    """The recipe for the length of text that the golden logits are of."""
    return msgspec.structs.replace(recipe, context="long") if name in LONG else recipe


def calibrated(name: str, parent: Path, recipe: Recipe, schemes: tuple[Scheme, ...] = ()) -> Findings:
    """What calibration finds on the golden tokens."""
    checkpoint = Checkpoint.open(golden_checkpoint(name, parent))
    tokens = np.array([golden(name).ids[:32]])
    found = Findings()
    decoder = describe(checkpoint, for_golden(name, recipe).context)
    calibrator = Calibrator(checkpoint, decoder, recipe, tokens, lambda _: schemes, 1, lambda _: None)
    calibrator.run(found, lambda _: None)
    return found


def test_every_architecture_runs_on_calibration_text(name: str, tmp_path: Path) -> None:
    schemes = (Scheme(4, 16), Scheme(8, 16))
    found = calibrated(name, tmp_path, Recipe(name="nearest"), schemes)
    names = dict.fromkeys(map(choice_name, found.shapes))
    losses = [[found.losses[name][scheme] for scheme in schemes] for name in names]
    assert np.isfinite(losses).all()
    assert np.sum(losses, axis=0)[1] < np.sum(losses, axis=0)[0]  # more bits spoil less


def written(name: str, parent: Path, recipe: Recipe, found: Findings) -> Path:
    """The model's folder, with what calibration is said to have found."""
    checkpoint = Checkpoint.open(parent / name)
    planned = plan(checkpoint, for_golden(name, recipe))
    folder = parent / "written"
    folder.mkdir()
    planned.found.take(found)
    write(planned, folder, 1, Steps.of(planned, lambda _done, _whole: None))
    return folder


def test_factors_between_modules_change_nothing(name: str, tmp_path: Path) -> None:
    """Whatever AWQ's factors are: what makes the columns larger makes what they meet smaller."""
    found = calibrated(name, tmp_path, SCALED)
    random = np.random.default_rng(5)
    for fold, factors in found.folds.items():
        found.folds[fold] = random.uniform(0.5, 2, factors.shape).astype(np.float32)
    assert {fold.rpartition(".")[2] for fold in found.folds} == FOLDS.get(name, ALL_FOLDS)
    logits = runner(written(name, tmp_path, SCALED, found)).score(0, golden(name).ids)
    np.testing.assert_allclose(logits, golden(name).logits, rtol=0, atol=CLOSE)


def test_int8_keys_and_values_stay_near(name: str, tmp_path: Path) -> None:
    recipe = msgspec.structs.replace(REFERENCE, kv_cache="int8")
    found = calibrated(name, tmp_path, recipe)
    loaded = runner(written(name, tmp_path, recipe, found))
    assert loaded.cache.shape.dtype == np.int8
    expected = golden(name)
    assert 1e-6 < relative_error(loaded.score(0, expected.ids), expected.logits) < 0.15


def test_factors_make_smaller_values_for_an_int8_cache(tmp_path: Path) -> None:
    recipe = msgspec.structs.replace(SCALED, kv_cache="int8")
    found = calibrated("llama2", tmp_path, recipe)
    assert found.folds
    for fold, factors in found.folds.items():
        found.folds[fold] = np.full_like(factors, 4)
    expected = golden("llama2")
    logits = runner(written("llama2", tmp_path, recipe, found)).score(0, expected.ids)
    assert 1e-6 < relative_error(logits, expected.logits) < 0.15
