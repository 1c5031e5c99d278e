"""What each way to round the matrices of a layer does to the sum after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np

from hearth.quantize.calibration.findings import Findings
from hearth.quantize.calibration.layer_session import LayerSession
from hearth.quantize.graph.decoder_graph import layer_prefix
from hearth.quantize.graph.experts import is_taken
from hearth.quantize.recipe import choice_name
from hearth.quantize.repacked_weight import packed_scheme
from hearth.quantize.rounding.inputs import Inputs
from hearth.quantize.rounding.rounding import Rounding
from hearth.quantize.rounding.scheme import Scheme
from hearth.quantize.weights import Folded, Source, alike_rows, no_factors

# How many sequences, and how many tokens of each, rounded layers are tried on.
_SAMPLE = (4, 32)
_PIECE_NUMBERS = 1 << 18


@dataclass(frozen=True, slots=True)
class _Choice:
    """Matrices that are rounded alike.

    Attributes:
        matrices: by the names of their modules.
        experts: whose matrices lie in each, one below the other; 1 where there are none.
        schemes: those to be measured.
    """

    matrices: Mapping[str, Source]
    experts: int
    schemes: Sequence[Scheme]

    @property
    def numbers(self) -> int:
        return sum(matrix.rows * matrix.columns for matrix in self.matrices.values())


@dataclass(frozen=True, slots=True)
class LayerTrials:
    """Those of one layer, as a share of what all its matrices do together.

    What that comes to is seen at the head: a trial, in which this layer alone is rounded, goes on through the others.

    Attributes:
        schemes, advance: as in `Calibrator`.
        found: its losses and trials grow.
    """

    session: LayerSession
    rounding: Rounding
    schemes: Callable[[str], Sequence[Scheme]]
    advance: Callable[[int], None]
    found: Findings
    pool: Executor

    def run(self, number: int, hidden: np.ndarray, factors: Mapping[str, np.ndarray]) -> None:
        """Measure the layer of this number.

        Args:
            hidden: the sum before it, float32 [sequences, length, hidden_size].
            factors: on the columns of some matrices, by the names of their modules.
        """
        session, found = self.session, self.found
        choices = self._choices(factors)
        if not found.trials and not any(choice.schemes for choice in choices.values()):
            self.advance(sum(choice.numbers for choice in choices.values()))
            return
        before = sample(hidden)
        after = session.run_all(before)
        found.trials.update({name: session.run_all(sums) for name, sums in found.trials.items()})
        roughest: dict[str, np.ndarray] = {}
        for name, choice in choices.items():
            most = np.inf
            found.losses[name] = {}
            for scheme in choice.schemes:
                values = {
                    module: self._whole(module, matrix, choice.experts, scheme)
                    for module, matrix in choice.matrices.items()
                }
                found.losses[name][scheme] = _noise_after_first(session.run_all(before, values), after)
                size = sum(scheme.bytes(matrix.rows, matrix.columns) for matrix in choice.matrices.values())
                if size < most:
                    most = size
                    roughest |= values
            self.advance(choice.numbers)
        if roughest:
            trial = session.run_all(before, roughest)
            whole = _noise_after_first(trial, after)
            found.trials[layer_prefix(number)] = trial
            for name in choices:
                losses = found.losses[name]
                found.losses[name] = {scheme: share(loss, whole) for scheme, loss in losses.items()}

    def _choices(self, factors: Mapping[str, np.ndarray]) -> dict[str, _Choice]:
        """What there is to choose in a layer, by the names that it is chosen for."""
        choices: dict[str, _Choice] = {}
        for name, product in self.session.products.items():
            matrix: Source = product.matrix
            if name in factors:
                matrix = Folded(product.matrix, partial(factors.get, name), no_factors)
            # What is integers in the checkpoint stays as it is.
            schemes = () if packed_scheme(product.matrix) else self.schemes(name)
            choices[name] = _Choice({name: matrix}, 1, schemes)
        for mixture in self.session.mixtures.values():
            first, second = map(self.schemes, mixture.matrices)
            columns = [matrix.columns for matrix in mixture.matrices.values()]
            alike = [one for one in first if one in second and all(is_taken(one, each) for each in columns)]
            choices[choice_name(mixture.gate_up_name)] = _Choice(mixture.matrices, mixture.part.count, alike)
        return choices

    def _whole(self, module: str, matrix: Source, experts: int, scheme: Scheme) -> np.ndarray:
        """What a matrix becomes, float32 [rows, columns], without the factors on its columns."""
        height = matrix.rows // experts

        def piece(bounds: tuple[int, int]) -> np.ndarray:
            inputs = self.found.met(module, bounds[0] // height)
            return rounded_values(self.rounding, matrix.floats(*bounds), scheme, inputs)

        values = np.concatenate(list(self.pool.map(piece, pieces(matrix, height))))
        factors = matrix.column_factors() if isinstance(matrix, Folded) else None
        return values if factors is None else values / factors


def pieces(matrix: Source, height: int = 0) -> list[tuple[int, int]]:
    """Rows that fit a processor's cache together; none reaches over a multiple of `height`."""
    step = max(1, _PIECE_NUMBERS // matrix.columns)
    starts = range(0, matrix.rows, step)
    bounds = [(start, min(matrix.rows, start + step)) for start in starts]
    return [piece for pair in bounds for piece in alike_rows(*pair, height or matrix.rows)]


def rounded_values(rounding: Rounding, rows: np.ndarray, scheme: Scheme, inputs: Inputs | None) -> np.ndarray:
    """What the rows become, float32 of the same shape."""
    if scheme.is_float:
        return rows.astype(np.float16 if scheme.bits == 16 else np.float32).astype(np.float32)
    values: np.ndarray = rounding(rows, scheme, inputs).values()[:, : rows.shape[1]]
    return values


def sample(hidden: np.ndarray) -> np.ndarray:
    """Beginnings of sequences from all over the text: of [sequences, length, hidden_size]."""
    sequences, tokens = _SAMPLE
    places = np.linspace(0, len(hidden) - 1, min(sequences, len(hidden))).astype(int)
    return hidden[places, :tokens]


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _noise_after_first(changed: np.ndarray, right: np.ndarray) -> float:
    """The first token's sum is often huge and says little of the others."""
    return noise(changed[:, 1:], right[:, 1:])


def noise(changed: np.ndarray, right: np.ndarray) -> float:
    """The mean, over vectors [..., n], of the error's square in the vector's."""
    error = np.square(changed - right, dtype=np.float64).sum(axis=-1)
    size = np.square(right, dtype=np.float64).sum(axis=-1)
    return float(np.mean(error / np.maximum(size, np.finfo(np.float32).tiny)))
