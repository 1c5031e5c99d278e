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
from hearth.quantize.calibration.expert_inputs import expert_moments
from hearth.quantize.calibration.findings import Findings
from hearth.quantize.calibration.head import Head
from hearth.quantize.calibration.kept_calibration import KeptCalibration, Reached
from hearth.quantize.calibration.layer_session import OUTPUT, LayerSession
from hearth.quantize.calibration.layer_trials import LayerTrials, noise, pieces, rounded_values, sample, share
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
from hearth.quantize.weights import Matrix, Source, vector

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
        skip: likewise told of those that were done before a kill.
    """

    checkpoint: Checkpoint
    decoder: Decoder
    recipe: Recipe
    tokens: np.ndarray
    schemes: Callable[[str], Sequence[Scheme]]
    threads: int
    advance: Callable[[int], None]
    skip: Callable[[int], None] = lambda _numbers: None

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
                for name, (rows, columns) in found.shapes.items():
                    self._count(name, rows, columns, self.skip)
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
        rounded = {
            scheme: rounded_values(self.rounding, rows, scheme, None) for scheme in self.schemes(EMBEDDING)
        }
        shape = (*self.tokens.shape, -1)
        times = np.float32(self.decoder.embedding_times)
        if rounded:
            roughest = min(rounded, key=lambda scheme: scheme.bytes(matrix.rows, matrix.columns))
            found.trials[EMBEDDING] = sample((times * rounded[roughest])[places].reshape(shape))
            whole = noise(rounded[roughest][places], rows[places])
            found.losses[EMBEDDING] = {
                scheme: share(noise(values[places], rows[places]), whole)
                for scheme, values in rounded.items()
            }
        self._count(EMBEDDING, matrix.rows, matrix.columns, self.advance)
        hidden: np.ndarray = (times * rows)[places].reshape(shape)
        return hidden

    def _layer(self, number: int, hidden: np.ndarray, found: Findings, pool: Executor) -> np.ndarray:
        """The sum after the layer, with what was found on the way."""
        # Cosines and sines for no more tokens than are read: for a million they would take gigabytes.
        decoder = replace(self.decoder, context_length=hidden.shape[1])
        session = LayerSession.open(self.checkpoint, decoder, number, self.threads)
        cached = session.caches if self.recipe.has_int8_cache else {}
        moments: dict[str, Moments] = {}
        # Of all texts at once: of one alone, an expert meets so few tokens that the calls take the time.
        routed: dict[str, list[np.ndarray]] = {}
        after = np.empty_like(hidden)
        for place, sequence in enumerate(hidden):
            after[place], *seen = session.run(
                sequence, [OUTPUT, *session.met, *session.scores, *cached.values()]
            )
            met = dict(zip((*session.met, *session.scores, *cached), seen, strict=True))
            for source in session.met:
                sums = moments.setdefault(source, Moments(self.recipe.has_feedback, met[source].shape[1]))
                sums.add(met[source])
            for mixture in session.mixtures.values():
                for name in (mixture.source, mixture.scores):
                    routed.setdefault(name, []).append(met[name])
            for past in cached:
                peak = np.abs(met[past]).max(axis=1)  # over tokens
                found.peaks[past] = np.maximum(peak, found.peaks.get(past, np.float32(0)))
        if not (np.isfinite(after).all() and all(sums.is_finite for sums in moments.values())):
            raise self._overflow()
        inputs = {source: moment.inputs() for source, moment in moments.items()}
        for name, product in session.products.items():
            found.inputs[name] = inputs[product.source]
            found.shapes[name] = (product.matrix.rows, product.matrix.columns)
        for mixture in session.mixtures.values():
            found.inputs[mixture.gate_up_name] = inputs[mixture.source]
            met_all, scores = (np.concatenate(routed.pop(name)) for name in (mixture.source, mixture.scores))
            gate_up = session.weights[f"{mixture.gate_up_name}.weight"]
            whole = self.recipe.has_feedback
            for name, sums in expert_moments(mixture, gate_up, met_all, scores, is_whole=whole):
                if not sums.is_finite:
                    raise self._overflow()
                found.inputs[name] = sums.inputs()
            for module, matrix in mixture.matrices.items():
                found.shapes[module] = (matrix.rows, matrix.columns)
        factors: dict[str, np.ndarray] = {}
        is_packed = any(packed_scheme(product.matrix) for product in session.products.values())
        if self.recipe.is_scaled and not is_packed:  # integers of the checkpoint take no factors
            for fold in folds(self.checkpoint, self.decoder.layers[number], number):
                factors |= self._fold(fold, session, found)
        LayerTrials(session, self.rounding, self.schemes, self.advance, found, pool).run(
            number, hidden, factors
        )
        return after

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
        head = Head.open(self.checkpoint, self.decoder, sample(hidden))
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
        rounded = [partial(rounded_values, self.rounding, scheme=scheme, inputs=inputs) for scheme in schemes]
        if rounded or found.trials:
            losses, of_trials = head.losses(pieces(head.matrix), rounded, list(found.trials.values()), pool)
            for begin, loss in zip(found.trials, of_trials, strict=True):
                for name, shares in found.losses.items():
                    if name.startswith(begin):
                        found.losses[name] = {scheme: share * loss for scheme, share in shares.items()}
            found.losses[HEAD] = dict(zip(schemes, losses, strict=True))
            found.trials.clear()
        self._count(HEAD, head.matrix.rows, head.matrix.columns, self.advance)

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
        for bounds in pieces(readers):
            moments.add(readers.floats(*bounds) * norm)
        if not moments.is_finite:
            raise self._overflow()
        moments.level(_OTHER_LAYERS)
        return moments

    def _count(self, name: str, rows: int, columns: int, tell: Callable[[int], None]) -> None:
        """A matrix is done; the head's counts once where it is the embedding too."""
        if name != EMBEDDING or not self._is_looked_up:
            tell(rows * columns)

    def _overflow(self) -> ModelFileInvalid:
        reason = tr("its weights are so large that what is computed with them is no number")
        return ModelFileInvalid(file=str(self.checkpoint.folder), reason=reason)

    @property
    def _is_looked_up(self) -> bool:
        """Whether the head's matrix is the embedding too, and kept once for both."""
        return self.decoder.head.weight is None and self.recipe.shares_embedding


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
