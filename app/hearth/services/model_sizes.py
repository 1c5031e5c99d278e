"""Which sizes of models this machine can run: the estimate of `model_fit.py` for models of the usual sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hearth.config import Config
from hearth.hardware.machine import Machine
from hearth.models.catalogue import find_in_catalogue
from hearth.models.fit import Disk, Fit, MachineSpec, ModelFit
from hearth.models.weights import Precision, Weights
from hearth.services.model_fit import Fits

CONTEXT_TOKENS: Final = 4096
EXAMPLES: Final = {
    0.6: "qwen3-0.6b",
    1.7: "qwen3-1.7b",
    4.0: "qwen3-4b",
    8.0: "qwen3-8b",
    14.0: "qwen3-14b",
    32.0: "qwen3-32b",
    70.0: "llama-3.3-70b",
}
"""The sizes that are looked at, in billions of parameters, and the model of the catalogue that stands for each."""

_SMALL = Precision(bits=4, block_size=128, symmetric=False)


@dataclass(frozen=True, slots=True)
class ModelSizes:
    """What this machine can run.

    Attributes:
        bandwidth: bytes that its memory reads in a second; 0 where it could not be measured.
        fits: by billions of parameters, ascending.
    """

    machine: Machine
    bandwidth: float
    fits: dict[float, Fit]

    def those_that(self, fit: Fit) -> list[float]:
        """The sizes that fit so, ascending."""
        return [billions for billions, found in self.fits.items() if found is fit]


def measure_model_sizes(cancelled: Callable[[], bool] = lambda: False) -> ModelSizes:
    """Look at this machine; the first times that takes some seconds and up to 512 MB, so not for a main thread.

    Args:
        cancelled: asked ten times a second; True leaves it at what is known.
    """
    fits = Fits.open(Config(), cancelled=cancelled)
    return ModelSizes(fits.machine, fits.spec.speeds.bandwidth, estimate(fits.spec))


def estimate(machine: MachineSpec) -> dict[float, Fit]:
    """How each size in EXAMPLES fits a machine, with 4 bits a weight and a conversation of CONTEXT_TOKENS."""
    found = {}
    for billions, name in EXAMPLES.items():
        shape = find_in_catalogue(name).shape
        weights = Weights.of_shape(shape, _SMALL)
        fit = ModelFit(shape, weights, machine, Disk(download=0, model=weights.disk))
        found[billions] = fit.at(CONTEXT_TOKENS).fit
    return found
