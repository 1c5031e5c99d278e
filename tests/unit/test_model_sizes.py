"""The sizes of models that the welcome tells of: by the same estimate as everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.hardware.machine import read_machine
from hearth.models.fit import Fit, MachineSpec
from hearth.services.model_sizes import ModelSizes, estimate
from machine_speeds import speeds

ORDER = [Fit.WELL, Fit.SLOWLY, Fit.NOT]


def fits(memory_bytes: int, bandwidth: float) -> dict[float, Fit]:
    return estimate(MachineSpec(memory_bytes=memory_bytes, cores=8, speeds=speeds(bandwidth, 10 * bandwidth)))


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
    found = fits(memory << 30, bandwidth * 1e9)
    assert [billions for billions, fit in found.items() if fit is Fit.WELL] == well
    assert [billions for billions, fit in found.items() if fit is Fit.SLOWLY] == slowly


@given(st.integers(min_value=10**9, max_value=512 * 10**9), st.floats(min_value=1e9, max_value=1e12))
def test_a_bigger_model_never_fits_better(memory: int, bandwidth: float) -> None:
    ranks = [ORDER.index(fit) for fit in fits(memory, bandwidth).values()]
    assert ranks == sorted(ranks)


def test_sizes_by_how_they_fit() -> None:
    sizes = ModelSizes(read_machine(), 1.0, {1.7: Fit.WELL, 4.0: Fit.SLOWLY, 8.0: Fit.SLOWLY})
    assert sizes.those_that(Fit.SLOWLY) == [4.0, 8.0]
    assert sizes.those_that(Fit.NOT) == []
