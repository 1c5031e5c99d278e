"""The arithmetic of the quality report, against the same computed directly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hearth.model_folder.quality import Way
from hearth.quantize.quality.agreement import Agreement, Mean, NotFinite

VOCABULARY = 7
LOGITS = arrays.arrays(
    np.float32, (9, VOCABULARY), elements=st.floats(-50, 50, width=32, allow_subnormal=False)
)
TARGETS = arrays.arrays(np.int64, 9, elements=st.integers(0, VOCABULARY - 1))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.longdouble) - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@given(LOGITS, LOGITS, TARGETS, st.integers(0, 9))
def test_the_figures_are_those_of_the_definitions_however_the_rows_come(
    logits: np.ndarray, reference: np.ndarray, targets: np.ndarray, cut: int
) -> None:
    agreement = Agreement()
    agreement.add(targets[:cut], logits[:cut], reference[:cut])
    agreement.add(targets[cut:], logits[cut:], reference[cut:])
    measured = agreement.measured(Way.PREFILL, 1)
    ours, theirs = softmax(logits), softmax(reference)
    rows = np.arange(9)
    nats = -np.log(ours[rows, targets])
    assert measured.positions == 9
    assert measured.perplexity.value == pytest.approx(float(np.exp(nats.mean())), rel=1e-9)
    assert measured.perplexity.error == pytest.approx(
        float(np.exp(nats.mean()) * nats.std(ddof=1) / 3), rel=1e-6, abs=1e-9
    )
    assert measured.reference_perplexity
    assert measured.reference_perplexity.value == pytest.approx(
        float(np.exp(-np.log(theirs[rows, targets]).mean())), rel=1e-9
    )
    divergences = (theirs * (np.log(theirs) - np.log(ours))).sum(axis=1)
    assert measured.kl_divergence
    assert measured.kl_divergence.value == pytest.approx(float(divergences.mean()), rel=1e-9, abs=1e-12)
    assert measured.kl_divergence.error == pytest.approx(
        float(divergences.std(ddof=1) / 3), rel=1e-6, abs=1e-9
    )
    assert measured.top1_agreement
    same = logits.argmax(axis=1) == reference.argmax(axis=1)
    assert measured.top1_agreement.value == pytest.approx(float(same.mean()))


@given(LOGITS, TARGETS)
def test_a_model_agrees_with_itself(logits: np.ndarray, targets: np.ndarray) -> None:
    agreement = Agreement()
    agreement.add(targets, logits, logits)
    measured = agreement.measured(Way.PREFILL, 1)
    assert measured.kl_divergence
    assert (measured.kl_divergence.value, measured.kl_divergence.error) == (0, 0)
    assert measured.top1_agreement
    assert measured.top1_agreement.value == 1
    assert measured.perplexity == measured.reference_perplexity


def test_logits_that_are_far_apart_overflow_nothing() -> None:
    logits = np.array([[1e30, -1e30, 0], [3e4, 0, -3e4]], np.float32)
    agreement = Agreement()
    agreement.add(np.array([1, 0]), logits, logits[:, ::-1])
    measured = agreement.measured(Way.PREFILL, 1)
    assert math.isfinite(measured.perplexity.value)
    assert measured.kl_divergence
    assert math.isfinite(measured.kl_divergence.value)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_refused(wrong: float) -> None:
    logits = np.zeros((2, 3), np.float32)
    broken = logits.copy()
    broken[1, 2] = wrong
    with pytest.raises(NotFinite):
        Agreement().add(np.array([0, 1]), broken)
    with pytest.raises(NotFinite):
        Agreement().add(np.array([0, 1]), logits, broken)


def test_without_a_reference_there_is_the_perplexity_alone() -> None:
    agreement = Agreement()
    agreement.add(np.array([0, 1]), np.zeros((2, 4), np.float32))
    measured = agreement.measured(Way.SINGLE, 1)
    assert measured.perplexity.value == pytest.approx(4)
    assert measured.perplexity.error == 0
    assert (measured.reference_perplexity, measured.kl_divergence, measured.top1_agreement) == (None,) * 3


def test_one_value_has_no_error() -> None:
    mean = Mean()
    mean.add(np.array([5.0]))
    assert (mean.mean, mean.error) == (5.0, 0.0)
