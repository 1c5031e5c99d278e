"""The estimate of what a machine can run: its arithmetic, and that it errs the right way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.services.model_sizes import (
    LAYERS,
    Fit,
    ModelSizes,
    estimate,
    measure_bandwidth,
    measure_model_sizes,
    needed_bytes,
    tokens_per_second,
    weight_bytes,
)

GB = 10**9
ORDER = [Fit.WELL, Fit.SLOWLY, Fit.NOT]

memories = st.integers(min_value=1 * GB, max_value=512 * GB)
bandwidths = st.floats(min_value=1e9, max_value=1e12)


def test_eight_billion_parameters_by_hand() -> None:
    assert weight_bytes(8.0) == 4.5 * GB
    keys_and_values = 4096 * 36 * 2 * 1024 * 4
    assert needed_bytes(8.0) == 4.5 * GB + keys_and_values + 0.4 * GB
    assert tokens_per_second(8.0, 50 * GB) == pytest.approx(0.7 * 50 * GB / (4.5 * GB + keys_and_values))


@pytest.mark.parametrize(
    ("memory", "bandwidth", "well", "slowly"),
    [
        (8, 35, [0.6, 1.7, 4.0], [8.0]),  # a laptop: 8 billion leave little memory
        (16, 50, [0.6, 1.7, 4.0, 8.0], [14.0]),  # a PC: 14 billion fit, and are slow
        (64, 400, [0.6, 1.7, 4.0, 8.0, 14.0, 32.0, 70.0], []),
        (2, 10, [], []),
    ],
)
def test_known_machines(memory: int, bandwidth: int, well: list[float], slowly: list[float]) -> None:
    fits = estimate(memory << 30, bandwidth * 1e9)
    assert [billions for billions, fit in fits.items() if fit is Fit.WELL] == well
    assert [billions for billions, fit in fits.items() if fit is Fit.SLOWLY] == slowly


@given(memories, bandwidths)
def test_a_bigger_model_never_fits_better(memory: int, bandwidth: float) -> None:
    ranks = [ORDER.index(fit) for fit in estimate(memory, bandwidth).values()]
    assert ranks == sorted(ranks)


@given(memories, memories, bandwidths, bandwidths)
def test_more_memory_and_faster_memory_never_make_it_worse(a: int, b: int, c: float, d: float) -> None:
    poor, rich = estimate(min(a, b), min(c, d)), estimate(max(a, b), max(c, d))
    assert all(ORDER.index(rich[size]) <= ORDER.index(poor[size]) for size in LAYERS)


@given(memories, bandwidths)
def test_what_does_not_fit_needs_more_than_there_is(memory: int, bandwidth: float) -> None:
    for billions, fit in estimate(memory, bandwidth).items():
        assert (fit is Fit.NOT) == (needed_bytes(billions) + 2 * GB > memory)


def test_this_machine_is_measured() -> None:
    sizes = measure_model_sizes()
    assert sizes.machine.memory_bytes > 0
    assert sizes.bandwidth > 0
    assert list(sizes.fits) == sorted(LAYERS)
    assert measure_bandwidth(1) > 0


def test_sizes_by_how_they_fit() -> None:
    sizes = ModelSizes(measure_model_sizes().machine, 1.0, {1.7: Fit.WELL, 4.0: Fit.SLOWLY, 8.0: Fit.SLOWLY})
    assert sizes.those_that(Fit.SLOWLY) == [4.0, 8.0]
    assert sizes.those_that(Fit.NOT) == []
