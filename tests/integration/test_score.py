"""Logits of several tokens at once, as drafting needs them, on real weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hearth.engine.drafter import LookupDrafter
from hearth.engine.engine import Engine
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.request import Request
from hearth.engine.sampling_params import SamplingParams
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.positions import with_positions
from hearth.paths import resource

IDS = np.random.default_rng(0).integers(3, 500, 40).tolist()
# Prompts of ids that say themselves again, so that there is much to look up.
REPEATING = [[*IDS[start : start + 12]] * 4 for start in range(0, 28, 4)]


def opened(folder: Path) -> OrtRunner:
    return OrtRunner(ModelFolder.open(folder), "m", threads=1, max_slots=4, kv_cache_bytes=1 << 27)


@pytest.fixture(scope="module")
def starter() -> OrtRunner:
    return opened(resource("starter", "model"))


def test_scored_tokens_have_the_logits_that_reading_up_to_them_gives(starter: OrtRunner) -> None:
    assert starter.can_score
    starter.reserve(1, 64)
    starter.truncate(0, 0)
    starter.prefill(0, IDS[:20])
    rows = starter.score(0, IDS[20:]).copy()
    assert rows.shape == (20, starter.vocab_size)
    for end in range(21, 41):
        starter.truncate(0, 0)
        np.testing.assert_array_equal(starter.prefill(0, IDS[:end]), rows[end - 21])


def test_drafts_change_no_greedy_answer_and_are_taken(
    starter: OrtRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[int] = []
    score = starter.score

    def counted(slot: int, token_ids: Sequence[int]) -> np.ndarray:
        scored.append(len(token_ids))
        return score(slot, token_ids)

    monkeypatch.setattr(starter, "score", counted)
    said: dict[bool, list[list[int]]] = {}
    for drafts in (False, True):
        starter.release()
        engine = Engine(starter, drafter=LookupDrafter if drafts else None)
        said[drafts] = []
        for prompt in REPEATING:
            params = SamplingParams(temperature=0, max_tokens=60, ignore_eos=True)
            engine.submit(Request("a", tuple(prompt), params))
            tokens: list[int] = []
            while engine.has_work:
                for output in engine.step():
                    tokens += output.token_ids
            said[drafts].append(tokens)
    assert said[True] == said[False]
    assert scored


def test_a_graph_whose_head_is_not_pruned_that_way_is_left_as_it_is(shared_data: Path) -> None:
    folder = shared_data / "models" / "stories260k-onnx" / "float32"
    model = (folder / "model.onnx").read_bytes()
    assert (with_positions(model, "logits") is None) == (b"/lm_head/prune/Gather" not in model)
    assert with_positions((resource("starter", "model") / "model.onnx").read_bytes(), "nothing") is None
