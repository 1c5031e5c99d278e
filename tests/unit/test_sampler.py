"""The sampler against definitions written out in the plainest way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.engine.sampler import TokenChooser, candidates
from hearth.engine.sampling_params import SamplingParams

VOCAB = 1500


def logits_of(seed: int, spread: float = 3.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, spread, VOCAB).astype(np.float32)


def reference(logits: np.ndarray, params: SamplingParams) -> np.ndarray:
    """The distribution over the vocabulary, by sorting everything."""
    scaled = (logits - logits.max()) / np.float32(params.temperature)
    probabilities = np.exp(scaled.astype(np.float64))
    probabilities /= probabilities.sum()
    order = np.argsort(-probabilities, kind="stable")
    if params.top_k:
        probabilities[order[params.top_k :]] = 0
        probabilities /= probabilities.sum()
    if params.top_p < 1:
        before = np.cumsum(probabilities[order]) - probabilities[order]
        nucleus = before < params.top_p
        nucleus[0] = True
        kept = probabilities.copy()
        kept[order[~nucleus]] = 0
    else:
        kept = probabilities.copy()
    kept[probabilities < params.min_p * probabilities.max()] = 0
    return kept / kept.sum()


@given(
    seed=st.integers(0, 1000),
    spread=st.sampled_from([0.01, 1.0, 5.0]),
    temperature=st.sampled_from([0.2, 1.0, 3.0]),
    top_k=st.sampled_from([0, 1, 7, 300, VOCAB, 10 * VOCAB]),
    top_p=st.sampled_from([0.0, 0.1, 0.5, 0.95, 1.0]),
    min_p=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
)
def test_filters_keep_what_their_definitions_keep(
    seed: int, spread: float, temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    logits = logits_of(seed, spread)
    params = SamplingParams(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    token_ids, probabilities = candidates(logits, params)
    got = np.zeros(VOCAB)
    got[token_ids] = probabilities
    np.testing.assert_allclose(got, reference(logits, params), atol=2e-6)


def test_draws_follow_the_distribution() -> None:
    logits = logits_of(1, 2.0)
    params = SamplingParams(temperature=1.0, top_k=8, top_p=1.0, seed=1)
    chooser = TokenChooser(params, [], VOCAB)
    draws = 40_000
    counts = np.bincount([chooser.choose(logits) for _ in range(draws)], minlength=VOCAB)
    expected = reference(logits, params) * draws
    kept = expected > 0
    assert counts[~kept].sum() == 0
    chi_square = float(((counts[kept] - expected[kept]) ** 2 / expected[kept]).sum())
    assert chi_square < 24.3  # 7 degrees of freedom: exceeded by chance once in a thousand seeds


@pytest.mark.parametrize("top_p", [0.0, 0.02, 0.3, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("min_p", [0.0, 0.2])
@pytest.mark.parametrize("spread", [0.0, 0.3, 2.0, 30.0])
def test_draws_without_sorting_follow_the_same_distribution(
    top_p: float, min_p: float, spread: float
) -> None:
    logits = logits_of(5, spread)[:300]
    params = SamplingParams(temperature=0.9, top_p=top_p, min_p=min_p, seed=4)
    chooser = TokenChooser(params, [], logits.size)
    draws = 4_000
    counts = np.bincount([chooser.choose(logits) for _ in range(draws)], minlength=logits.size)
    expected = reference(logits, params) * draws
    assert counts[expected == 0].sum() == 0
    # Tokens that hardly come are counted as one.
    rare = expected < 5
    got = np.append(counts[~rare], counts[rare].sum())
    wanted = np.append(expected[~rare], expected[rare].sum())
    likely = wanted > 0
    chi_square = float(((got - wanted)[likely] ** 2 / wanted[likely]).sum())
    freedom = int(likely.sum()) - 1
    # Wilson and Hilferty's bound, exceeded by chance once in ten thousand seeds.
    assert (
        chi_square
        <= max(1, freedom) * (1 - 2 / (9 * max(1, freedom)) + 3.72 * (2 / (9 * max(1, freedom))) ** 0.5) ** 3
    )


def test_a_million_draws_lie_within_their_bounds() -> None:
    logits = logits_of(6, 1.5)[:64]
    params = SamplingParams(temperature=1.0, top_p=0.97, seed=2)
    chooser = TokenChooser(params, [], logits.size)
    draws = 1_000_000
    counts = np.bincount([chooser.choose(logits) for _ in range(draws)], minlength=logits.size)
    chances = reference(logits, params)
    deviations = (counts - draws * chances) / np.sqrt(np.maximum(draws * chances * (1 - chances), 1e-9))
    assert counts[chances == 0].sum() == 0
    assert np.abs(deviations[chances > 0]).max() < 4.5


def test_temperature_zero_takes_the_most_likely() -> None:
    logits = logits_of(2)
    assert TokenChooser(SamplingParams(temperature=0), [], VOCAB).choose(logits) == logits.argmax()


def test_the_same_seed_gives_the_same_tokens_and_another_does_not() -> None:
    logits = logits_of(3, 0.5)

    def draw(seed: int) -> list[int]:
        chooser = TokenChooser(SamplingParams(temperature=1, top_p=1, seed=seed), [], VOCAB)
        return [chooser.choose(logits) for _ in range(20)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_penalties_by_their_definitions() -> None:
    logits = np.array([2.0, -2.0, 1.0, 1.5, 0.0], np.float32)
    params = SamplingParams(
        temperature=0, repetition_penalty=2.0, presence_penalty=0.5, frequency_penalty=0.25
    )
    chooser = TokenChooser(params, [0, 1], 5)
    chooser.record(3)
    chooser.record(3)
    penalized = chooser._penalize(logits)
    # 0 and 1 are in the prompt, 3 twice in the answer.
    np.testing.assert_allclose(penalized, [1.0, -4.0, 1.0, 1.5 / 2 - 0.5 - 2 * 0.25, 0.0])
    assert chooser.choose(logits) == 0
    np.testing.assert_array_equal(logits, [2.0, -2.0, 1.0, 1.5, 0.0])


def test_logit_bias_forces_and_forbids() -> None:
    logits = np.array([1.0, 5.0, 2.0], np.float32)
    params = SamplingParams(temperature=0, logit_bias={1: -100, 0: 3, 99: 100})
    assert TokenChooser(params, [], 3).choose(logits) == 0


def test_logprobs_are_the_models_own() -> None:
    logits = logits_of(4)
    chooser = TokenChooser(SamplingParams(temperature=0.5, logprobs=3, logit_bias={0: 50}), [], VOCAB)
    report = chooser.logprobs(logits, 7)
    assert report is not None
    exact = logits.astype(np.float64) - np.log(np.exp(logits.astype(np.float64)).sum())
    assert report.logprob == pytest.approx(exact[7], abs=1e-4)
    assert [token for token, _ in report.top] == list(np.argsort(-logits)[:3])


def test_logprobs_of_zero_report_the_token_alone() -> None:
    chooser = TokenChooser(SamplingParams(logprobs=0), [], VOCAB)
    report = chooser.logprobs(logits_of(5), 1)
    assert report is not None
    assert report.top == []


def test_extreme_logits_are_no_trouble() -> None:
    logits = np.full(VOCAB, -1e30, np.float32)
    logits[42] = 1e30
    for params in (SamplingParams(temperature=1), SamplingParams(temperature=0.01, top_k=5, min_p=0.1)):
        assert TokenChooser(params, [], VOCAB).choose(logits) == 42
