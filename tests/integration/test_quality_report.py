"""The quality report on real weights: the reference layer by layer, and what it finds in models that were built."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from golden_checkpoint import NAMES, golden_checkpoint
from hearth.cli.quality_tables import write_quality
from hearth.config import EngineSection
from hearth.engine.ort_runner import OrtRunner
from hearth.errors import InputInvalid, MeasuringCancelled, ModelFolderMissing, ModelNotFinite
from hearth.hardware.machine import read_machine
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.manifest import Manifest, read_manifest, write_manifest
from hearth.model_folder.quality import Measured, QualityReport, Way
from hearth.paths import resource
from hearth.quantize.architectures.registry import describe
from hearth.quantize.builder import build
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.quality.built_model import BuiltModel
from hearth.quantize.quality.layered_reference import FLOAT32, LayeredReference
from hearth.quantize.recipe import Recipe
from hearth.services.engine_options import engine_options, with_threads
from hearth.services.quality import REPORT_TOKENS, built_in_text, report_quality
from hearth.services.quality_job import QualityJob, QualityProgress
from hearth.services.quality_process import measure_quality

TEXT = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. " * 44


@pytest.fixture(scope="module")
def stories(shared_data: Path) -> Checkpoint:
    return Checkpoint.open(shared_data / "models" / "stories260k")


@pytest.fixture
def qwen(tmp_path: Path) -> Checkpoint:
    """A tiny Qwen2 with random weights."""
    return Checkpoint.open(golden_checkpoint("qwen2", tmp_path))


def made(checkpoint: Checkpoint, recipe: Recipe, folder: Path) -> Path:
    folder.mkdir()
    build(checkpoint, recipe, folder, 1, lambda _done, _whole: None)
    return folder


def report(
    checkpoint: Checkpoint,
    recipe: Recipe,
    folder: Path,
    text: str = TEXT,
    told: list[tuple[int, int]] | None = None,
) -> QualityReport:
    return report_quality(
        checkpoint,
        folder,
        recipe,
        with_threads(engine_options(EngineSection(), read_machine()), 1),
        text=text,
        build_seconds=1.5,
        advance=lambda done, whole: None if told is None else told.append((done, whole)),
    )


def compared(measured: Sequence[Measured]) -> list[tuple[float, float]]:
    """KL divergence and agreement of each way."""
    figures = []
    for one in measured:
        assert one.kl_divergence
        assert one.top1_agreement
        figures.append((one.kl_divergence.value, one.top1_agreement.value))
    return figures


def compare_with_whole(checkpoint: Checkpoint, windows: list[list[int]], folder: Path) -> None:
    """The reference has the logits of the float32 graph, which has all layers in one."""
    reference = LayeredReference(checkpoint, describe(checkpoint), windows, 1)
    told: list[tuple[int, int]] = []
    reference.run_layers(lambda done, whole: told.append((done, whole)))
    assert told[-1][0] == told[-1][1] == len(describe(checkpoint).layers)
    model = ModelFolder.open(made(checkpoint, FLOAT32, folder))
    runner = OrtRunner(model, "whole", threads=1, max_slots=1, kv_cache_bytes=1 << 27)
    runner.reserve(1, 64)
    for window in windows:
        runner.truncate(0, 0)
        logits = np.concatenate(list(reference.read(window[:-1])))
        np.testing.assert_allclose(logits, runner.score(0, window[:-1]), rtol=0, atol=1e-4)


def test_layer_by_layer_has_the_logits_of_the_whole_graph(stories: Checkpoint, tmp_path: Path) -> None:
    windows = np.random.default_rng(2).integers(3, 500, (3, 60)).tolist()
    compare_with_whole(stories, windows, tmp_path / "whole")


@pytest.mark.parametrize("name", NAMES)
def test_every_architecture_can_be_run_layer_by_layer(name: str, tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(golden_checkpoint(name, tmp_path))
    size = describe(checkpoint).vocab_size
    compare_with_whole(
        checkpoint, np.random.default_rng(2).integers(3, size, (2, 30)).tolist(), tmp_path / "whole"
    )


@pytest.mark.parametrize("name", ["gemma2", "qwen2", "qwen3_moe"])
def test_other_architectures_have_a_report(name: str, tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(golden_checkpoint(name, tmp_path))
    recipe = Recipe(name="int8", bits=8, block_size=16)
    found = report(checkpoint, recipe, made(checkpoint, recipe, tmp_path / "int8"))
    assert len(found.layers) == len(describe(checkpoint).layers)
    assert all(0 < error < 0.1 for error in found.layers)
    # The experts of the golden checkpoints are the same in few bits.
    assert all((matrix.error > 0) != ("experts" in matrix.name) for matrix in found.matrices)
    assert max(matrix.error for matrix in found.matrices) < 0.02
    assert found.bits_per_weight > 8
    for divergence, _ in compared(found.evaluation.measured):
        assert 0 < divergence < 0.1


def test_the_head_comes_in_slices_of_the_vocabulary(
    qwen: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = [[5, 9, 3, 7, 11, 4, 8]]
    rows = []
    for numbers in (1 << 24, 7 * describe(qwen).hidden_size):
        monkeypatch.setattr("hearth.quantize.quality.layered_reference._SLICE_NUMBERS", numbers)
        reference = LayeredReference(qwen, describe(qwen), windows, 1)
        reference.run_layers(lambda _done, _whole: None)
        rows.append(np.concatenate(list(reference.read(windows[0][:-1]))))
    np.testing.assert_allclose(rows[0], rows[1], rtol=0, atol=1e-5)


def test_float32_is_the_reference(stories: Checkpoint, tmp_path: Path) -> None:
    found = report(stories, FLOAT32, made(stories, FLOAT32, tmp_path / "float32"))
    assert [one.way for one in found.evaluation.measured] == [Way.PREFILL, Way.SINGLE, Way.BATCH]
    for divergence, same in compared(found.evaluation.measured):
        assert divergence < 1e-9
        assert same == 1
    assert found.matrices == ()
    assert max(found.layers) < 1e-6
    assert 32 <= found.bits_per_weight < 40  # tables and norms are not matrices


def test_more_bits_are_closer_and_each_layer_tells(stories: Checkpoint, tmp_path: Path) -> None:
    by_bits: dict[int, QualityReport] = {}
    for bits in (8, 4):
        recipe = Recipe(name=str(bits), bits=bits)
        by_bits[bits] = report(stories, recipe, made(stories, recipe, tmp_path / str(bits)))
    fine, coarse = by_bits[8], by_bits[4]
    for (divergence, same), (worse, fewer) in zip(
        compared(fine.evaluation.measured), compared(coarse.evaluation.measured), strict=True
    ):
        assert 0 < divergence < 0.01
        assert worse > 0.01
        assert same > 0.95
        assert same > fewer
    assert len(fine.layers) == len(coarse.layers) == 5
    for error, more in zip(fine.layers, coarse.layers, strict=True):
        assert 0 < error < 0.05
        assert 0.05 < more < 0.5
    names = [matrix.name for matrix in coarse.matrices]
    assert names[:3] == ["lm_head", "model.layers.0.attn.qkv_proj", "model.layers.0.attn.o_proj"]
    assert len(names) == 1 + 5 * 5
    for matrix, finer in zip(coarse.matrices, fine.matrices, strict=True):
        assert (matrix.bits, matrix.block_size, matrix.name) == (4, 32, finer.name)
        assert 0 < finer.error < 0.01
        assert 0.04 < matrix.error < 0.15
    assert fine.bytes > coarse.bytes
    assert fine.bits_per_weight > coarse.bits_per_weight


def test_zero_points_and_other_blocks_are_read_back(stories: Checkpoint, tmp_path: Path) -> None:
    plain = Recipe(name="plain")
    other = Recipe(name="other", block_size=16, symmetric=False)
    errors = []
    for recipe in (plain, other):
        built = BuiltModel(
            made(stories, recipe, tmp_path / recipe.name), stories, describe(stories), recipe, 1
        )
        matrices = built.matrix_errors(lambda _done, _whole: None)
        errors.append(np.mean([matrix.error for matrix in matrices]))
    assert 0 < errors[1] < errors[0]


def test_a_report_tells_what_awq_does_not_reach_and_how_keys_and_values_are_kept(
    stories: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = Recipe(name="mine", bits=8, rounding="awq", kv_cache="int8", calibration_tokens=512)
    found = report(stories, recipe, made(stories, recipe, tmp_path / "built"))
    assert (found.kv_cache, found.unscaled) == ("int8", ("lm_head",))
    assert all(divergence < 0.02 for divergence, _ in compared(found.evaluation.measured))
    write_quality(found)
    said = capsys.readouterr().out
    assert "AWQ's factors do not apply to lm_head:" in said
    assert said.count("8-bit integers") == 2  # activations, and keys and values


def test_a_model_for_the_gpu_is_measured_here_too(stories: Checkpoint, tmp_path: Path) -> None:
    recipe = Recipe(name="mine", bits=8, target="gpu")
    found = report(stories, recipe, made(stories, recipe, tmp_path / "built"))
    assert all(0 < divergence < 0.02 for divergence, _ in compared(found.evaluation.measured))


def test_a_report_lies_in_the_manifest(stories: Checkpoint, tmp_path: Path) -> None:
    recipe = Recipe(name="int8", bits=8)
    folder = made(stories, recipe, tmp_path / "int8")
    told: list[tuple[int, int]] = []
    found = report(stories, recipe, folder, told=told)
    assert told == sorted(told)
    assert told[-1] == (1000, 1000)
    assert (found.evaluation.reference, found.build_seconds) == ("float32", 1.5)
    write_manifest(folder, Manifest(version=1, name="int8", quality=found))
    assert read_manifest(folder).quality == found


def quality_job(checkpoint: Checkpoint, folder: Path, recipe: Recipe) -> QualityJob:
    return QualityJob(
        name="m",
        source=str(checkpoint.folder),
        folder=str(folder),
        recipe=recipe,
        options=with_threads(engine_options(EngineSection(), read_machine()), 1),
        build_seconds=2.0,
        language="en",
        text=TEXT,
    )


def test_a_process_of_its_own_gives_the_same_report(stories: Checkpoint, tmp_path: Path) -> None:
    recipe = Recipe(name="int8", bits=8)
    folder = made(stories, recipe, tmp_path / "int8")
    told: list[QualityProgress] = []
    found = measure_quality(quality_job(stories, folder, recipe), told.append, lambda: False)
    here = report(stories, recipe, folder)
    assert found.evaluation.measured == here.evaluation.measured
    assert (found.layers, found.matrices) == (here.layers, here.matrices)
    assert told


def test_a_process_of_its_own_tells_what_is_wrong_and_can_be_stopped(
    stories: Checkpoint, tmp_path: Path
) -> None:
    recipe = Recipe(name="int8", bits=8)
    with pytest.raises(ModelFolderMissing):
        measure_quality(quality_job(stories, tmp_path / "none", recipe), lambda _at: None, lambda: False)
    job = quality_job(stories, made(stories, recipe, tmp_path / "int8"), recipe)
    with pytest.raises(MeasuringCancelled):
        measure_quality(job, lambda _at: None, lambda: True)


def test_a_report_reads_no_more_than_so_many_tokens(stories: Checkpoint, tmp_path: Path) -> None:
    recipe = Recipe(name="int8", bits=8)
    found = report(stories, recipe, made(stories, recipe, tmp_path / "int8"), built_in_text())
    assert found.evaluation.window == 512
    assert REPORT_TOKENS <= found.evaluation.tokens <= REPORT_TOKENS + 16  # with the BOS of each window
    assert found.evaluation.measured[-1].rows == 4


def test_no_text_is_no_report(stories: Checkpoint, tmp_path: Path) -> None:
    recipe = Recipe(name="int8", bits=8)
    with pytest.raises(InputInvalid):
        report(stories, recipe, made(stories, recipe, tmp_path / "int8"), "")


def test_a_damaged_model_is_told_and_not_scored(qwen: Checkpoint, tmp_path: Path) -> None:
    folder = made(qwen, FLOAT32, tmp_path / "damaged")
    data = folder / "model.onnx.data"
    data.write_bytes(b"\xff" * data.stat().st_size)  # not a number, all of it
    with pytest.raises(ModelNotFinite):
        report(qwen, FLOAT32, folder)


def test_the_built_in_text_is_utf8_in_several_languages() -> None:
    text = built_in_text()
    assert "def " in text
    assert "的" in text
    assert text == resource("quality", "evaluation.txt").read_bytes().decode().replace("\r\n", "\n")


def test_a_report_of_a_newer_hearth_is_read() -> None:
    raw = {
        "version": 1,
        "name": "m",
        "quality": {
            "evaluation": {"text": "0", "tokens": 1, "window": 1, "new": 1},
            "bytes": 1,
            "bits_per_weight": 4.5,
            "build_seconds": 1.0,
            "accuracy_level": 4,
            "new": {},
        },
    }
    manifest = msgspec.json.decode(msgspec.json.encode(raw), type=Manifest)
    assert manifest.quality
    assert manifest.quality.bits_per_weight == 4.5
