"""Ways to round: none is worse than the nearest in what it minds, and odd rows break none."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from hearth.quantize.calibration import moments
from hearth.quantize.rounding import gptq
from hearth.quantize.rounding.awq import search_factors
from hearth.quantize.rounding.gptq import feedback, round_gptq
from hearth.quantize.rounding.inputs import Inputs
from hearth.quantize.rounding.nearest import round_nearest
from hearth.quantize.rounding.rounding import ROUNDINGS
from hearth.quantize.rounding.scale_search import round_scale_search
from hearth.quantize.rounding.scheme import BLOCK_SIZES, INTEGER_BITS, Scheme

SCHEMES = [
    Scheme(bits, block_size, is_symmetric)
    for bits in INTEGER_BITS
    for block_size in (16, 32, 128)
    for is_symmetric in (True, False)
]
# For what holds whatever the scheme.
FEW_SCHEMES = [
    Scheme(2, 16),
    Scheme(4, 32, is_symmetric=False),
    Scheme(4, 128),
    Scheme(8, 128, is_symmetric=False),
]
ROWS, COLUMNS = 12, 160  # no multiple of 128: the last block is filled up


def random_rows(kind: str) -> np.ndarray:
    random = np.random.default_rng(7)
    shape = (ROWS, COLUMNS)
    values = random.standard_normal(shape) if kind == "normal" else random.standard_t(2, shape)
    return (values * 0.02).astype(np.float32)


@functools.cache
def correlated_inputs() -> tuple[np.ndarray, Inputs]:
    """Vectors as layers meet them, [vectors, columns], some channels far larger; and what is known of them."""
    random = np.random.default_rng(3)
    mixing = random.standard_normal((COLUMNS, COLUMNS)) * random.gamma(0.5, 1, COLUMNS)
    vectors = (random.standard_normal((400, COLUMNS)) @ mixing).astype(np.float32)
    moment = vectors.T @ vectors / np.float32(len(vectors))
    return vectors, Inputs(moment.diagonal().copy(), feedback(moment))


def error(rounded: np.ndarray, values: np.ndarray, weights: np.ndarray | float = 1.0) -> float:
    return float((weights * np.square(rounded[:, : values.shape[1]] - values, dtype=np.float64)).mean())


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("kind", ["normal", "heavy tails"])
def test_scale_search_errs_less_than_the_nearest(scheme: Scheme, kind: str) -> None:
    values = random_rows(kind)
    nearest = round_nearest(values, scheme).values()
    assert error(round_scale_search(values, scheme).values(), values) < error(nearest, values)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_scale_search_errs_less_where_it_matters(scheme: Scheme) -> None:
    values, (_, inputs) = random_rows("normal"), correlated_inputs()
    plain = round_scale_search(values, scheme).values()
    weighted = round_scale_search(values, scheme, inputs).values()
    assert error(weighted, values, inputs.importance) < error(plain, values, inputs.importance)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("kind", ["normal", "heavy tails"])
def test_hqq_makes_the_p_norm_of_the_error_less(scheme: Scheme, kind: str) -> None:
    values = random_rows(kind)

    def norm(rounded: np.ndarray) -> float:
        return float(np.sqrt(np.abs(rounded[:, :COLUMNS] - values)).mean())

    assert norm(ROUNDINGS["hqq"](values, scheme, None).values()) < norm(
        round_nearest(values, scheme).values()
    )


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_gptq_errs_less_in_the_products(scheme: Scheme) -> None:
    values, (vectors, inputs) = random_rows("normal"), correlated_inputs()
    right = vectors @ values.T

    def product_error(rounded: np.ndarray) -> float:
        return error(vectors @ rounded[:, :COLUMNS].T, right)

    search = round_scale_search(values, scheme, inputs).values()
    assert product_error(round_gptq(values, scheme, inputs).values()) < product_error(search)


def test_gptq_is_the_greedy_rounding_column_by_column() -> None:
    values, (vectors, _) = random_rows("normal")[:3, :32], correlated_inputs()
    moment = (vectors[:, :32].T @ vectors[:, :32] / len(vectors)).astype(np.float32)
    known = feedback(moment.copy())
    scheme = Scheme(4, 32)
    rounded = round_gptq(values, scheme, Inputs(moment.diagonal().copy(), known))
    scales = rounded.scales[:, 0].astype(np.float64)
    codes = rounded.codes[:, 0].astype(np.float64)
    errors = np.zeros_like(values, np.float64)
    for place, column in enumerate(known.order):
        wanted = values[:, column] + errors[:, :place] @ known.upper[:place, place]
        expected = np.clip(np.rint(wanted / scales + 8), 0, 15)
        near_half = np.abs(wanted / scales - np.floor(wanted / scales) - 0.5) < 1e-3
        assert np.all((codes[:, column] == expected) | near_half)
        errors[:, place] = values[:, column] - (codes[:, column] - 8) * scales


def test_the_feedback_is_a_factor_of_the_moment_with_a_little_on_its_diagonal() -> None:
    vectors, _ = correlated_inputs()
    moment = vectors.T @ vectors / np.float32(len(vectors))
    known = feedback(moment.copy())
    upper = known.upper.astype(np.float64)
    damped = moment + 0.01 * moment.diagonal().mean() * np.eye(COLUMNS)
    inner = np.linalg.solve(upper, damped[np.ix_(known.order, known.order)])
    diagonal = np.linalg.solve(upper, inner.T)
    np.testing.assert_allclose(diagonal, np.diag(np.diag(diagonal)), atol=2e-3 * float(diagonal.max()))
    np.testing.assert_array_equal(np.tril(upper, -1), 0)


def test_the_feedback_of_many_columns_is_found_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, known = correlated_inputs()
    monkeypatch.setattr(gptq, "_BLOCK", 7)
    found = feedback(vectors.T @ vectors / np.float32(len(vectors)))
    assert known.feedback
    np.testing.assert_array_equal(found.order, known.feedback.order)
    np.testing.assert_allclose(found.upper, known.feedback.upper, atol=2e-3)


def test_a_moment_that_rounding_has_spoilt_gets_more_on_its_diagonal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gptq, "_BLOCK", 7)
    random = np.random.default_rng(5)
    turned, _ = np.linalg.qr(random.standard_normal((COLUMNS, COLUMNS)))
    sizes = np.ones(COLUMNS)
    sizes[0] = -0.05  # more than the damping makes up for
    moment = ((turned * sizes) @ turned.T).astype(np.float32)
    moment = (moment + moment.T) / 2
    known = feedback(moment.copy())
    upper, mean = known.upper.astype(np.float64), moment.diagonal().mean()

    def is_factor_with(damping: float) -> bool:
        damped = (moment + damping * mean * np.eye(COLUMNS))[np.ix_(known.order, known.order)]
        diagonal = np.linalg.solve(upper, np.linalg.solve(upper, damped).T)
        return np.allclose(diagonal, np.diag(np.diag(diagonal)), atol=1e-3)

    assert not is_factor_with(0.01)
    assert is_factor_with(0.1)


def test_moments_count_each_pair_of_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "_STRIP", 7)
    vectors, known = correlated_inputs()
    sums = moments.Moments(is_whole=True, columns=COLUMNS)
    for part in np.array_split(vectors, 3):
        sums.add(part)
    found = sums.inputs()
    np.testing.assert_allclose(found.importance, known.importance, rtol=1e-4)
    assert found.feedback
    assert known.feedback
    np.testing.assert_allclose(found.feedback.upper, known.feedback.upper, atol=2e-3)


@pytest.mark.parametrize("is_whole", [True, False])
def test_moments_of_other_vectors_count_as_much_as_is_said(is_whole: bool) -> None:
    vectors, _ = correlated_inputs()
    ours, others = vectors[:100], 50 * vectors[100:]
    sums, more, alone = (moments.Moments(is_whole, COLUMNS) for _ in range(3))
    sums.add(ours)
    alone.add(ours)
    more.add(others)
    sums.mix(more, 3)
    expected = alone.inputs().importance
    met = np.square(others).mean(axis=0)
    np.testing.assert_allclose(
        sums.inputs().importance, expected + 3 * met * expected.mean() / met.mean(), rtol=1e-3
    )


def test_inputs_that_never_come_do_not_stop_gptq() -> None:
    moment = np.zeros((COLUMNS, COLUMNS), np.float32)
    inputs = Inputs(moment.diagonal().copy(), feedback(moment))
    values = random_rows("normal")
    rounded = round_gptq(values, Scheme(4, 32), inputs).values()
    assert error(rounded, values) <= error(round_nearest(values, Scheme(4, 32)).values(), values)


@pytest.mark.parametrize("name", ROUNDINGS)
@pytest.mark.parametrize("scheme", FEW_SCHEMES, ids=str)
def test_what_can_be_represented_stays_as_it_is(name: str, scheme: Scheme) -> None:
    random = np.random.default_rng(1)
    most = (1 << scheme.bits) - 1
    zero = 1 << (scheme.bits - 1) if scheme.is_symmetric else 1
    codes = random.integers(0, most + 1, (ROWS, COLUMNS))
    codes[:, ::16], codes[:, 1::16] = 0, most  # each block spans the whole range
    values = ((codes - zero) * np.float32(0.25)).astype(np.float32)
    rounded = ROUNDINGS[name](values, scheme, None).values()
    np.testing.assert_allclose(rounded[:, :COLUMNS], values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ROUNDINGS)
@pytest.mark.parametrize("scheme", FEW_SCHEMES, ids=str)
def test_blocks_of_zeros_stay_zero(name: str, scheme: Scheme) -> None:
    values = random_rows("normal")
    values[:, :128] = 0
    values[3] = 0
    _, inputs = correlated_inputs()
    rounded = ROUNDINGS[name](values, scheme, inputs)
    assert not rounded.values()[:, :128].any()
    assert not rounded.values()[3].any()
    assert np.isfinite(rounded.scales).all()


@pytest.mark.parametrize("name", ROUNDINGS)
@pytest.mark.parametrize("huge", [1e30, -1e30, 1e-42])
@pytest.mark.parametrize("scheme", FEW_SCHEMES, ids=str)
def test_one_number_far_from_all_others_spoils_its_own_block_alone(
    name: str, huge: float, scheme: Scheme
) -> None:
    values = random_rows("normal")
    if abs(huge) < 1:  # so small that there is no step for it
        values[2, :128] = 0
    expected = ROUNDINGS[name](values, scheme, None).values()
    values[2, 5] = huge
    rounded = ROUNDINGS[name](values, scheme, None)
    found = rounded.values()
    assert np.isfinite(found).all()
    if abs(huge) > 1:
        assert abs(found[2, 5] / huge - 1) < 0.6
    others = np.ones(found.shape, bool)
    others[2, : scheme.block_size] = False
    np.testing.assert_array_equal(found[others], expected[others])


@pytest.mark.parametrize("name", ROUNDINGS)
def test_rows_are_rounded_alike_in_any_company(name: str) -> None:
    values, (_, inputs) = random_rows("heavy tails"), correlated_inputs()
    scheme = Scheme(4, 32, is_symmetric=False)
    whole = ROUNDINGS[name](values, scheme, inputs)
    part = ROUNDINGS[name](values[5:9], scheme, inputs)
    assert np.mean(whole.codes[5:9] == part.codes) > 0.99  # sums may differ in their last bit
    np.testing.assert_allclose(whole.values()[5:9], part.values(), atol=0.1 * float(whole.scales.max()))


def test_a_scheme_says_what_it_takes() -> None:
    for scheme in SCHEMES:
        rounded = round_nearest(random_rows("normal"), scheme)
        zero_points = rounded.packed_zero_points()
        taken = rounded.packed().nbytes + rounded.scales.nbytes
        taken += 0 if zero_points is None else zero_points.nbytes
        assert scheme.bytes(ROWS, COLUMNS) == taken
    assert Scheme(16).bytes(ROWS, COLUMNS) == 2 * ROWS * COLUMNS
    assert 128 in BLOCK_SIZES


@pytest.mark.parametrize("is_symmetric", [True, False])
def test_awq_errs_less_where_few_inputs_are_large(is_symmetric: bool) -> None:
    scheme = Scheme(4, 128, is_symmetric)
    values, importance = random_rows("normal"), np.ones(COLUMNS, np.float32)
    importance[::40] = 2500
    every = np.arange(COLUMNS)
    factors = search_factors(importance, [(values, scheme)], every)
    assert factors[0] > 1.5 * factors[1]
    assert factors[1] == factors[2]
    plain = round_nearest(values, scheme).values()
    scaled = round_nearest(values * factors, scheme).values()[:, :COLUMNS] / factors
    assert error(scaled, values, importance) < 0.9 * error(plain, values, importance)
    np.testing.assert_allclose(factors.max() * factors.min(), 1, rtol=1e-5)


def test_awq_has_one_factor_for_channels_that_several_heads_share() -> None:
    values = random_rows("normal")
    spread = np.tile(np.arange(COLUMNS // 2), 2)
    importance = np.linspace(1, 100, COLUMNS // 2, dtype=np.float32)
    assert search_factors(importance, [(values, Scheme(4, 32))], spread).shape == (COLUMNS // 2,)


@pytest.mark.parametrize("importance", [np.zeros(COLUMNS, np.float32), np.ones(COLUMNS, np.float32)])
def test_awq_leaves_alone_what_calibration_says_nothing_of(importance: np.ndarray) -> None:
    factors = search_factors(importance, [(random_rows("normal"), Scheme(4, 32))], np.arange(COLUMNS))
    np.testing.assert_array_equal(factors, np.ones(COLUMNS))
