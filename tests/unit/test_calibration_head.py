"""What rounding does to the probabilities of the next token, found without all logits in memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from checkpoints import write_llama
from hearth.quantize.architectures.registry import describe
from hearth.quantize.calibration.head import Head
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Head as HeadPart

VOCABULARY, HIDDEN = 128, 64


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("softcap", [0.0, 3.0])
@pytest.mark.parametrize("step", [5, VOCABULARY])
def test_the_divergence_is_that_of_the_definition_however_the_vocabulary_is_cut(
    tmp_path: Path, softcap: float, step: int
) -> None:
    write_llama(tmp_path, hidden=HIDDEN, vocabulary=VOCABULARY)
    checkpoint = Checkpoint.open(tmp_path)
    decoder = replace(describe(checkpoint), head=HeadPart(None, softcap))
    random = np.random.default_rng(3)
    sums = 40 * random.standard_normal((2, 5, HIDDEN), np.float32)
    trials = [sums, sums + random.standard_normal(sums.shape, np.float32)]
    head = Head.open(checkpoint, decoder, sums)

    def logits(sums: np.ndarray, times: float = 1.0) -> np.ndarray:
        plain = head.normed(sums[:, 1:].reshape(-1, HIDDEN)) @ head.matrix.floats(0, VOCABULARY).T * times
        return softcap * np.tanh(plain / softcap) if softcap else plain

    right = log_probabilities(logits(sums).astype(np.float64))

    def divergence(other: np.ndarray) -> float:
        ours = log_probabilities(other.astype(np.float64))
        return float((np.exp(right) * (right - ours)).sum(axis=1).mean())

    pieces = [(start, min(VOCABULARY, start + step)) for start in range(0, VOCABULARY, step)]
    with ThreadPoolExecutor(2) as pool:
        of_rounding, of_trials = head.losses(pieces, [lambda rows: rows * np.float32(1.5)], trials, pool)
    assert of_rounding == pytest.approx([divergence(logits(sums, 1.5))], rel=1e-4)
    assert of_trials == pytest.approx([0, divergence(logits(trials[1]))], rel=1e-4, abs=1e-12)
