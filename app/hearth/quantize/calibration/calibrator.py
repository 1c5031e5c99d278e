"""What the unquantized model shows on a calibration text, layer by layer, with one layer in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from hearth.errors import ModelFileInvalid
from hearth.i18n import tr
from hearth.model_folder.folder import TOKENIZER_FILE
from hearth.quantize.calibration.findings import Findings
from hearth.quantize.calibration.head import Head
from hearth.quantize.calibration.kept_calibration import KeptCalibration, Reached
from hearth.quantize.calibration.layer_session import OUTPUT, LayerSession
from hearth.quantize.calibration.moments import Moments
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder, Rows
from hearth.quantize.graph.decoder_graph import layer_prefix
from hearth.quantize.graph.folds import Fold, folds
from hearth.quantize.recipe import EMBEDDING, HEAD, Recipe
from hearth.quantize.repacked_weight import packed_scheme
from hearth.quantize.rounding.awq import search_factors
from hearth.quantize.rounding.inputs import Inputs
from hearth.quantize.rounding.rounding import ROUNDINGS, Rounding
from hearth.quantize.rounding.scheme import Scheme
from hearth.quantize.weights import Folded, Matrix, Source, no_factors, vector

# How many sequences, and how many tokens of each, rounded layers are tried on.
_SAMPLE = (4, 32)
_PIECE_NUMBERS = 1 << 18
# What an embedding's error does by other ways than the first queries, keys and values, as a share of what it does there.
_OTHER_LAYERS = 0.25
# A loss that is nearly nothing is noise, and says no more than that.
_MOST_TIMES = 1000.0
# Rows of a matrix that AWQ's factors are tried on: so many pieces of so many.
_TRIED_ROWS = (16, 16)


@dataclass(frozen=True, slots=True)
class Calibrator:
    """The model on these tokens.

    Attributes:
        tokens: int64 [sequences, length].
        schemes: those to be measured for the matrix of a module; none where there is nothing to choose.
        advance: told of each matrix that is done, in numbers of the checkpoint.
    """

    checkpoint: Checkpoint
    decoder: Decoder
    recipe: Recipe
    tokens: np.ndarray
    schemes: Callable[[str], Sequence[Scheme]]
    threads: int
    advance: Callable[[int], None]

    @property
    def rounding(self) -> Rounding:
        return ROUNDINGS[self.recipe.rounding]

    def run(
        self, found: Findings, after_layer: Callable[[int], None], kept: KeptCalibration | None = None
    ) -> None:
        """From the embedding through all layers to the head; `found` grows on the way.

        Args:
            after_layer: told of each layer, when its matrices can be rounded; not of those that `kept` had reached.
            kept: where this may have got to, and is kept.

        Raises:
            ModelFileInvalid, ModelFileTruncated: the checkpoint fails a check.
        """
        layers = len(self.decoder.layers)
        with ThreadPoolExecutor(self.threads) as pool:
            reached = kept.reached if kept else None
            if reached is None:
                first, hidden = 0, self._embed(found)
            else:
                first, hidden = reached.layers, reached.hidden
                found.take(reached.found)
                self.advance(sum(rows * columns for rows, columns in found.shapes.values()))
            for number in range(first, layers):
                hidden = self._layer(number, hidden, found, pool)
                after_layer(number)
                found.forget_feedback(layer_prefix(number))
                if kept:
                    kept.keep(Reached(number + 1, hidden, found))
            if first <= layers:
                self._head(hidden, found, pool)
                if kept:
                    kept.keep(Reached(layers + 1, hidden[:0], found), now=True)

    def _embed(self, found: Findings) -> np.ndarray:
        """What is looked up, float32 [sequences, length, hidden_size]."""
        matrix = Matrix(self.checkpoint, (Rows(self.decoder.embedding),))
        found.shapes[EMBEDDING] = (matrix.rows, matrix.columns)
        ids, places = np.unique(self.tokens, return_inverse=True)
        if not 0 <= ids[0] <= ids[-1] < matrix.rows:
            token = ids[0] if ids[0] < 0 else ids[-1]
            reason = tr(
                "it has the token {token}, and the model knows {count}", token=token, count=matrix.rows
            )
            raise ModelFileInvalid(file=str(self.checkpoint.folder / TOKENIZER_FILE), reason=reason)
        rows = np.concatenate([matrix.floats(row, row + 1) for row in ids.tolist()])
        rounded = {scheme: _rounded(self.rounding, rows, scheme, None) for scheme in self.schemes(EMBEDDING)}
        shape = (*self.tokens.shape, -1)
        times = np.float32(self.decoder.embedding_times)
        if rounded:
            roughest = min(rounded, key=lambda scheme: scheme.bytes(matrix.rows, matrix.columns))
            found.trials[EMBEDDING] = _sample((times * rounded[roughest])[places].reshape(shape))
            whole = _noise(rounded[roughest][places], rows[places])
            found.losses[EMBEDDING] = {
                scheme: _share(_noise(values[places], rows[places]), whole)
                for scheme, values in rounded.items()
            }
        self.advance(matrix.rows * matrix.columns)
        hidden: np.ndarray = (times * rows)[places].reshape(shape)
        return hidden

    def _layer(self, number: int, hidden: np.ndarray, found: Findings, pool: Executor) -> np.ndarray:
        """The sum after the layer, with what was found on the way."""
        # Cosines and sines for no more tokens than are read: for a million they would take gigabytes.
        decoder = replace(self.decoder, context_length=hidden.shape[1])
        session = LayerSession.open(self.checkpoint, decoder, number, self.threads)
        sources = session.sources
        cached = session.caches if self.recipe.has_int8_cache else {}
        moments: dict[str, Moments] = {}
        after = np.empty_like(hidden)
        for place, sequence in enumerate(hidden):
            after[place], *seen = session.run(sequence, [OUTPUT, *sources, *cached.values()])
            for source, values in zip(sources, seen, strict=False):
                moments.setdefault(source, Moments(self.recipe.has_feedback, values.shape[1])).add(values)
            for past, values in zip(cached, seen[len(sources) :], strict=True):
                peak = np.abs(values).max(axis=1)  # over tokens
                found.peaks[past] = np.maximum(peak, found.peaks.get(past, np.float32(0)))
        if not (np.isfinite(after).all() and all(moment.is_finite for moment in moments.values())):
            raise self._overflow()
        inputs = {source: moment.inputs() for source, moment in moments.items()}
        for name, product in session.products.items():
            found.inputs[name] = inputs[product.source]
            found.shapes[name] = (product.matrix.rows, product.matrix.columns)
        for name, expert in session.expert_matrices.items():
            if expert.source:  # those of all tokens, whichever experts they go to
                found.inputs[name] = inputs[expert.source]
            self.advance(expert.matrix.rows * expert.matrix.columns)
        factors: dict[str, np.ndarray] = {}
        is_packed = any(packed_scheme(product.matrix) for product in session.products.values())
        if self.recipe.is_scaled and not is_packed:  # integers of the checkpoint take no factors
            for fold in folds(self.checkpoint, self.decoder.layers[number], number):
                factors |= self._fold(fold, session, found)
        self._try(number, session, factors, found, hidden, pool)
        return after

    def _try(
        self,
        number: int,
        session: LayerSession,
        factors: Mapping[str, np.ndarray],
        found: Findings,
        hidden: np.ndarray,
        pool: Executor,
    ) -> None:
        """What each way to round each matrix does to the sum after the layer, as a share of what all do together.

        What that comes to is seen at the head: a trial, in which this layer alone is rounded, goes on through the others.
        """
        # What is integers in the checkpoint stays as it is.
        schemes = {
            name: () if packed_scheme(product.matrix) else self.schemes(name)
            for name, product in session.products.items()
        }
        if not found.trials and not any(schemes.values()):
            self.advance(
                sum(product.matrix.rows * product.matrix.columns for product in session.products.values())
            )
            return
        before = _sample(hidden)
        after = session.run_all(before)
        found.trials.update({name: session.run_all(sums) for name, sums in found.trials.items()})
        roughest: dict[str, np.ndarray] = {}
        for name, product in session.products.items():
            columns = factors.get(name)
            matrix: Source = product.matrix
            if columns is not None:
                matrix = Folded(product.matrix, partial(factors.get, name), no_factors)
            most = np.inf
            found.losses[name] = {}
            for scheme in schemes[name]:
                pieces = pool.map(
                    lambda bounds, scheme=scheme, matrix=matrix, name=name: _rounded(
                        self.rounding, matrix.floats(*bounds), scheme, found.inputs[name]
                    ),
                    _pieces(matrix),
                )
                values = np.concatenate(list(pieces))
                if columns is not None:
                    values /= columns
                found.losses[name][scheme] = _noise_after_first(
                    session.run_all(before, {name: values}), after
                )
                size = scheme.bytes(matrix.rows, matrix.columns)
                if size < most:
                    most, roughest[name] = size, values
            self.advance(matrix.rows * matrix.columns)
        if roughest:
            trial = session.run_all(before, roughest)
            whole = _noise_after_first(trial, after)
            found.trials[layer_prefix(number)] = trial
            for name in session.products:
                losses = found.losses[name]
                found.losses[name] = {scheme: _share(noise, whole) for scheme, noise in losses.items()}

    def _fold(self, fold: Fold, session: LayerSession, found: Findings) -> dict[str, np.ndarray]:
        """Find the fold's factors; by the names of the modules that read it, those of their columns."""
        met = found.inputs[fold.readers[0]].importance
        importance = np.bincount(fold.spread, met) / np.bincount(fold.spread)
        some = [(session.products[name].matrix, self.recipe.scheme_for(name)) for name in fold.readers]
        rows = [(_some_rows(matrix), scheme) for matrix, scheme in some]
        factors = search_factors(importance.astype(np.float32), rows, fold.spread)
        found.folds[fold.name] = factors
        columns = factors[fold.spread]
        for name in fold.readers:
            found.inputs[name] = Inputs(found.inputs[name].importance / np.square(columns))
        return dict.fromkeys(fold.readers, columns)

    def _head(self, hidden: np.ndarray, found: Findings, pool: Executor) -> None:
        """The head's own losses, and what comes of each trial there."""
        head = Head.open(self.checkpoint, self.decoder, _sample(hidden))
        moments = Moments(self.recipe.has_feedback, hidden.shape[2])
        for sequence in hidden:
            moments.add(head.normed(sequence))
        if not moments.is_finite:
            raise self._overflow()
        lookups = self._lookups()
        if self._is_looked_up:
            moments.mix(lookups, _times_as_bad(found.losses, EMBEDDING, HEAD))
        else:
            found.inputs[EMBEDDING] = lookups.inputs()
        found.inputs[HEAD] = inputs = moments.inputs()
        found.shapes[HEAD] = (head.matrix.rows, head.matrix.columns)
        schemes = list(self.schemes(HEAD))
        rounded = [partial(_rounded, self.rounding, scheme=scheme, inputs=inputs) for scheme in schemes]
        if rounded or found.trials:
            losses, of_trials = head.losses(_pieces(head.matrix), rounded, list(found.trials.values()), pool)
            for begin, loss in zip(found.trials, of_trials, strict=True):
                for name, shares in found.losses.items():
                    if name.startswith(begin):
                        found.losses[name] = {scheme: share * loss for scheme, share in shares.items()}
            found.losses[HEAD] = dict(zip(schemes, losses, strict=True))
            found.trials.clear()
        self.advance(head.matrix.rows * head.matrix.columns)

    def _lookups(self) -> Moments:
        """What the error e of an embedding's row does: e H e', as for a matrix that meets vectors with the moment H.

        What is looked up is no product, but goes into some: H is the moment of the rows of the first layer's queries, keys
        and values, as the norm before them scales it. A share on the diagonal stands for all other layers.
        """
        layer = self.decoder.layers[0]
        attention = layer.attention
        readers = Matrix(self.checkpoint, (*attention.query, *attention.key, *attention.value))
        norm = vector(self.checkpoint, layer.attention_norm.weight) if layer.attention_norm else np.float32(1)
        moments = Moments(self.recipe.has_feedback, readers.columns)
        for bounds in _pieces(readers):
            moments.add(readers.floats(*bounds) * norm)
        if not moments.is_finite:
            raise self._overflow()
        moments.level(_OTHER_LAYERS)
        return moments

    def _overflow(self) -> ModelFileInvalid:
        reason = tr("its weights are so large that what is computed with them is no number")
        return ModelFileInvalid(file=str(self.checkpoint.folder), reason=reason)

    @property
    def _is_looked_up(self) -> bool:
        """Whether the head's matrix is the embedding too, and kept once for both."""
        return self.decoder.head.weight is None and self.recipe.shares_embedding


def _pieces(matrix: Source) -> list[tuple[int, int]]:
    """Rows that fit a processor's cache together."""
    step = max(1, _PIECE_NUMBERS // matrix.columns)
    return [(start, min(matrix.rows, start + step)) for start in range(0, matrix.rows, step)]


def _times_as_bad(losses: Mapping[str, Mapping[Scheme, float]], one: str, other: str) -> float:
    """How much more rounding one module spoils than rounding the other, as measured; 1 where it was not."""
    known = [scheme for scheme in losses.get(one, ()) if scheme in losses.get(other, ())]
    ones, others = (sum(losses[name][scheme] for scheme in known) for name in (one, other))
    if not (ones > 0 and others > 0):
        return 1.0
    return min(max(ones / others, 1 / _MOST_TIMES), _MOST_TIMES)


def _some_rows(matrix: Source) -> np.ndarray:
    """Rows from all over the matrix, or all of them."""
    pieces, height = _TRIED_ROWS
    if matrix.rows <= pieces * height:
        return matrix.floats(0, matrix.rows)
    starts = np.linspace(0, matrix.rows - height, pieces).astype(int).tolist()
    return np.concatenate([matrix.floats(start, start + height) for start in starts])


def _rounded(rounding: Rounding, rows: np.ndarray, scheme: Scheme, inputs: Inputs | None) -> np.ndarray:
    """What the rows become, float32 of the same shape."""
    if scheme.is_float:
        return rows.astype(np.float16 if scheme.bits == 16 else np.float32).astype(np.float32)
    values: np.ndarray = rounding(rows, scheme, inputs).values()[:, : rows.shape[1]]
    return values


def _sample(hidden: np.ndarray) -> np.ndarray:
    """Beginnings of sequences from all over the text: of [sequences, length, hidden_size]."""
    sequences, tokens = _SAMPLE
    places = np.linspace(0, len(hidden) - 1, min(sequences, len(hidden))).astype(int)
    return hidden[places, :tokens]


def _share(noise: float, whole: float) -> float:
    return noise / whole if whole else 0.0


def _noise_after_first(changed: np.ndarray, right: np.ndarray) -> float:
    """The first token's sum is often huge and says little of the others."""
    return _noise(changed[:, 1:], right[:, 1:])


def _noise(changed: np.ndarray, right: np.ndarray) -> float:
    """The mean, over vectors [..., n], of the error's square in the vector's."""
    error = np.square(changed - right, dtype=np.float64).sum(axis=-1)
    size = np.square(right, dtype=np.float64).sum(axis=-1)
    return float(np.mean(error / np.maximum(size, np.finfo(np.float32).tiny)))
