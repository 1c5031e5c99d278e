"""What is known of a model before its first weight is read: how much memory it takes to make it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from checkpoints import write_llama
from hearth.errors import RecipeOverrideUnmatched
from hearth.quantize.builder import Steps, plan, write
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.journal import Journal
from hearth.quantize.recipe import Override, Recipe
from hearth.quantize.weights import TableWeight

HIDDEN, WIDTH = 64, 2048
PLAIN = Recipe(name="plain")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    write_llama(tmp_path, hidden=HIDDEN, width=WIDTH)
    return Checkpoint.open(tmp_path)


def stretched(checkpoint: Checkpoint, length: int) -> Checkpoint:
    return replace(checkpoint, config={**checkpoint.config, "max_position_embeddings": length})


def test_a_long_context_takes_no_more_memory(checkpoint: Checkpoint) -> None:
    short, long = (plan(stretched(checkpoint, length), PLAIN) for length in (1 << 15, 1 << 20))
    assert long.bytes > short.bytes
    assert long.memory_bytes(8) == short.memory_bytes(8)


def test_cosines_and_sines_in_pieces_are_those_of_the_whole(checkpoint: Checkpoint) -> None:
    tables = [weight for weight in plan(checkpoint, PLAIN).graph.weights if isinstance(weight, TableWeight)]
    assert [table.tensor.name for table in tables] == ["cos_cache", "sin_cache"]
    for table in tables:
        (whole,) = table.make(0, table.rows)
        pieces = [table.make(start, start + 64)[0] for start in range(0, table.rows, 64)]
        assert np.array_equal(np.concatenate(pieces), whole)


def test_a_layer_in_floats_counts_where_the_model_is_run_on_a_text(checkpoint: Checkpoint) -> None:
    layer = 4 * (4 * HIDDEN * HIDDEN + 3 * HIDDEN * WIDTH)
    plain = plan(checkpoint, PLAIN).memory_bytes(1)
    calibrated = plan(checkpoint, Recipe(name="x", calibration="built-in")).memory_bytes(1)
    feedback = plan(checkpoint, Recipe(name="x", rounding="gptq")).memory_bytes(1)
    many = plan(
        checkpoint, Recipe(name="x", calibration="built-in", calibration_tokens=1 << 20)
    ).memory_bytes(1)
    assert plain + layer < calibrated < plain + 4 * layer
    assert feedback > calibrated + 4 * WIDTH * WIDTH
    assert many > calibrated + 4 * HIDDEN * (1 << 20)  # what goes into a layer and comes out of it


def test_what_an_earlier_process_did_does_not_make_this_one_seem_fast(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    planned, out = plan(checkpoint, PLAIN), tmp_path / "out"
    out.mkdir()
    for _ in range(2):
        journal, steps = Journal(tmp_path / "journal", "key"), Steps.of(planned, lambda _done, _whole: None)
        assert steps.seconds_left(10) is None
        write(planned, out, 1, steps, journal)
        assert steps.done == planned.numbers
    assert steps.skipped == planned.numbers
    steps = Steps(1000, lambda _done, _whole: None)
    steps.skip(800)
    steps.count(20)
    assert steps.seconds_left(2) == 18


def test_an_override_that_is_for_no_matrix_is_refused_with_the_nearest(checkpoint: Checkpoint) -> None:
    for pattern in ("*.down_proj", "model.embed_tokens", "lm_head", "model.layers.0.*"):
        plan(checkpoint, Recipe(name="mine", overrides=(Override(pattern=pattern, bits=8),)))
    wrong = Recipe(
        name="mine",
        overrides=(Override(pattern="*.o_proj", bits=8), Override(pattern="*.mlp.down_prj", bits=8)),
    )
    with pytest.raises(RecipeOverrideUnmatched, match=r"“mine” .* “\*\.mlp\.down_prj”.*mlp\.down_proj"):
        plan(checkpoint, wrong)
