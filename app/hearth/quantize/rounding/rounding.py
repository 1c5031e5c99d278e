"""The seam between the builder and the ways to round; a recipe names one of them."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from hearth.quantize.rounding.blocks import RoundedRows
from hearth.quantize.rounding.gptq import round_gptq
from hearth.quantize.rounding.hqq import round_hqq
from hearth.quantize.rounding.inputs import Inputs
from hearth.quantize.rounding.nearest import round_nearest
from hearth.quantize.rounding.scale_search import round_scale_search
from hearth.quantize.rounding.scheme import Scheme


class Rounding(Protocol):
    """One way to round rows; it may be called for any rows of a matrix, on any thread."""

    def __call__(self, values: np.ndarray, scheme: Scheme, inputs: Inputs | None) -> RoundedRows:
        """Round rows to integers.

        Args:
            values: float32 [rows, K], finite.
            inputs: what the matrix meets; None where that is not known.
        """
        ...


ROUNDINGS: dict[str, Rounding] = {
    "nearest": round_nearest,
    "scale-search": round_scale_search,
    "hqq": round_hqq,
    "gptq": round_gptq,
    "awq": round_scale_search,  # of matrices that were scaled before; see `awq.py`
}
