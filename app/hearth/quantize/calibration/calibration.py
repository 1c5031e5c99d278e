"""What the unquantized model shows on a calibration text, layer by layer, with one layer in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from hearth.quantize.calibration.head import Head
from hearth.quantize.calibration.layer_session import OUTPUT, LayerSession
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder, Rows
from hearth.quantize.graph.decoder_graph import layer_prefix
from hearth.quantize.recipe import EMBEDDING, HEAD
from hearth.quantize.repacked_weight import packed_scheme
from hearth.quantize.rounding.gptq import feedback
from hearth.quantize.rounding.inputs import Inputs
from hearth.quantize.rounding.rounding import Rounding
from hearth.quantize.rounding.scheme import Scheme
from hearth.quantize.weights import Matrix

# Of how many sequences, and how many tokens of each, the sum after a layer is compared with that after a rounded one.
_SAMPLE = (4, 64)
_PIECE_NUMBERS = 1 << 18


@dataclass(slots=True)
class Calibration:
    """What was found, by the module's name.

    Attributes:
        losses: what rounding this matrix alone does to the answers: the mean KL divergence, in nats.
    """

    matrices: dict[str, Matrix] = field(default_factory=dict)
    inputs: dict[str, Inputs] = field(default_factory=dict)
    losses: dict[str, dict[Scheme, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Calibrator:
    """The model on these tokens.

    Attributes:
        tokens: int64 [sequences, length].
        schemes: those to be measured for the matrix of a module; none where there is nothing to choose.
        has_feedback: whether inputs have it, while their layer is the latest.
        advance: told of each matrix that is done, in numbers of the checkpoint.
    """

    checkpoint: Checkpoint
    decoder: Decoder
    tokens: np.ndarray
    rounding: Rounding
    schemes: Callable[[str], Sequence[Scheme]]
    has_feedback: bool
    threads: int
    advance: Callable[[int], None]

    def run(self, found: Calibration, after_layer: Callable[[int], None]) -> None:
        """From the embedding through all layers to the head; `found` grows on the way.

        Args:
            after_layer: told of each layer, when its matrices can be rounded.

        Raises:
            ModelFileInvalid, ModelFileTruncated: the checkpoint fails a check.
        """
        with ThreadPoolExecutor(self.threads) as pool:
            hidden = self._embed(found)
            for number in range(len(self.decoder.layers)):
                hidden = self._layer(number, hidden, found, pool)
                after_layer(number)
                for name, inputs in found.inputs.items():
                    if name.startswith(layer_prefix(number)):
                        found.inputs[name] = Inputs(inputs.importance)
            self._head(hidden, found, pool)

    def _embed(self, found: Calibration) -> np.ndarray:
        """What is looked up, float32 [sequences, length, hidden_size]."""
        matrix = Matrix(self.checkpoint, (Rows(self.decoder.embedding),))
        found.matrices[EMBEDDING] = matrix
        ids, places = np.unique(self.tokens, return_inverse=True)
        rows = np.concatenate([matrix.floats(row, row + 1) for row in ids.tolist()])
        found.losses[EMBEDDING] = {
            scheme: _noise(_rounded(self.rounding, rows, scheme, None)[places], rows[places])
            for scheme in self.schemes(EMBEDDING)
        }
        self.advance(matrix.rows * matrix.columns)
        hidden: np.ndarray = (rows * np.float32(self.decoder.embedding_times))[places]
        return hidden.reshape(*self.tokens.shape, -1)

    def _layer(self, number: int, hidden: np.ndarray, found: Calibration, pool: Executor) -> np.ndarray:
        """The sum after the layer, with what was found on the way."""
        session = LayerSession.open(self.checkpoint, self.decoder, number, self.threads)
        sources = dict.fromkeys(product.source for product in session.products.values())
        moments: dict[str, _Moments] = {}
        after = np.empty_like(hidden)
        for place, sequence in enumerate(hidden):
            after[place], *seen = session.run(sequence, [OUTPUT, *sources])
            for source, values in zip(sources, seen, strict=True):
                moments.setdefault(source, _Moments(self.has_feedback, values.shape[1])).add(values)
        inputs = {source: moment.inputs() for source, moment in moments.items()}
        for name, product in session.products.items():
            found.inputs[name] = inputs[product.source]
            found.matrices[name] = product.matrix
            # What is integers in the checkpoint stays as it is.
            schemes = () if packed_scheme(product.matrix) else self.schemes(name)
            found.losses[name] = {
                scheme: self._layer_noise(session, name, scheme, found, hidden, after, pool)
                for scheme in schemes
            }
            self.advance(product.matrix.rows * product.matrix.columns)
        return after

    def _layer_noise(
        self,
        session: LayerSession,
        name: str,
        scheme: Scheme,
        found: Calibration,
        before: np.ndarray,
        after: np.ndarray,
        pool: Executor,
    ) -> float:
        """Of the sum after the layer, when this matrix alone is rounded."""
        matrix = session.products[name].matrix
        pieces = pool.map(
            lambda bounds: _rounded(self.rounding, matrix.floats(*bounds), scheme, found.inputs[name]),
            _pieces(matrix),
        )
        replaced = {name: np.concatenate(list(pieces))}
        sequences, tokens = _SAMPLE
        rounded = [session.run(sequence[:tokens], [OUTPUT], replaced)[0] for sequence in before[:sequences]]
        # The first token's sum is often huge and says little of the others.
        return _noise(np.stack(rounded)[:, 1:], after[:sequences, 1:tokens])

    def _head(self, hidden: np.ndarray, found: Calibration, pool: Executor) -> None:
        """The head's own losses, and what the noise of all others comes to in its unit."""
        head = Head.open(self.checkpoint, self.decoder, hidden)
        moments = _Moments(self.has_feedback, hidden.shape[2])
        for sequence in hidden:
            moments.add(head.normed(sequence))
        found.inputs[HEAD] = moments.inputs()
        found.matrices[HEAD] = head.matrix
        schemes = list(self.schemes(HEAD))
        rounded = [
            partial(_rounded, self.rounding, scheme=scheme, inputs=found.inputs[HEAD]) for scheme in schemes
        ]
        if rounded:
            losses, loss_of_noise = head.losses(_pieces(head.matrix), rounded, pool)
            for known in found.losses.values():
                known.update({scheme: noise * loss_of_noise for scheme, noise in known.items()})
            found.losses[HEAD] = dict(zip(schemes, losses, strict=True))
        self.advance(head.matrix.rows * head.matrix.columns)


class _Moments:
    """Sums over the vectors that a matrix meets."""

    def __init__(self, is_whole: bool, columns: int) -> None:
        self.is_whole = is_whole
        self.sums = np.zeros((columns, columns) if is_whole else columns, np.float32)
        self.vectors = 0

    def add(self, values: np.ndarray) -> None:
        """Some vectors, float32 [tokens, K]."""
        self.sums += values.T @ values if self.is_whole else np.einsum("tk,tk->k", values, values)
        self.vectors += len(values)

    def inputs(self) -> Inputs:
        """What they come to."""
        means = self.sums / np.float32(self.vectors)
        return Inputs(means.diagonal().copy(), feedback(means)) if self.is_whole else Inputs(means)


def _pieces(matrix: Matrix) -> list[tuple[int, int]]:
    """Rows that fit a processor's cache together."""
    step = max(1, _PIECE_NUMBERS // matrix.columns)
    return [(start, min(matrix.rows, start + step)) for start in range(0, matrix.rows, step)]


def _rounded(rounding: Rounding, rows: np.ndarray, scheme: Scheme, inputs: Inputs | None) -> np.ndarray:
    """What the rows become, float32 of the same shape."""
    if scheme.is_float:
        return rows.astype(np.float16 if scheme.bits == 16 else np.float32).astype(np.float32)
    values: np.ndarray = rounding(rows, scheme, inputs).values()[:, : rows.shape[1]]
    return values


def _noise(changed: np.ndarray, right: np.ndarray) -> float:
    """The mean, over vectors [..., n], of the error's square in the vector's."""
    error = np.square(changed - right, dtype=np.float64).sum(axis=-1)
    size = np.square(right, dtype=np.float64).sum(axis=-1)
    return float(np.mean(error / np.maximum(size, np.finfo(np.float32).tiny)))
