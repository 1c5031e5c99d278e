"""What rounding did to each layer and each matrix, one of them in memory at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto

from hearth.model_folder.quality import MatrixError
from hearth.quantize.builder import GRAPH_FILE
from hearth.quantize.calibration.findings import Findings
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.data_file import Place
from hearth.quantize.decoder import Decoder
from hearth.quantize.graph.decoder_graph import FACTORS, decoder_graph
from hearth.quantize.graph.graph import DATA_FILE
from hearth.quantize.graph.linear import Writer
from hearth.quantize.piece_session import PieceSession
from hearth.quantize.quality.layer_piece import LayerPiece
from hearth.quantize.recipe import Recipe
from hearth.quantize.repacked_weight import RepackedWeight
from hearth.quantize.rounding.blocks import RoundedRows, unpack_bits
from hearth.quantize.weights import DTYPES, FloatWeight, Folded, Matrix, RoundedWeight, Tensor

# Numbers of a matrix that are compared at a time.
_PIECE_NUMBERS = 1 << 20


class RelativeError:
    """RMS of a difference, as a part of the RMS of what should be; summed up in float64."""

    def __init__(self) -> None:
        self._difference = 0.0
        self._whole = 0.0

    def add(self, difference: np.ndarray, whole: np.ndarray) -> None:
        self._difference += float(np.square(difference, dtype=np.float64).sum())
        self._whole += float(np.square(whole, dtype=np.float64).sum())

    @property
    def value(self) -> float:
        """0 where nothing differs, also from nothing."""
        return math.sqrt(self._difference / self._whole) if self._whole and self._difference else 0.0


class BuiltModel:
    """A model folder that was built of a checkpoint by a recipe, taken apart."""

    def __init__(
        self, folder: Path, checkpoint: Checkpoint, decoder: Decoder, recipe: Recipe, threads: int
    ) -> None:
        self._folder = folder
        self._recipe = recipe
        self._threads = threads
        found = Findings()
        self._graph = decoder_graph(decoder, checkpoint, recipe, found)
        self._float_type = Writer(self._graph, checkpoint, recipe).float_type
        self._model: ModelProto = onnx.load(str(folder / GRAPH_FILE), load_external_data=False)
        for name, place in _places(self._model).items():
            if name.endswith(FACTORS):
                factors = np.fromfile(folder / DATA_FILE, "<f4", place.length // 4, offset=place.offset)
                found.folds[name.removesuffix(FACTORS)] = factors

    @property
    def parameters(self) -> int:
        """Numbers of the checkpoint's matrices; one that is kept twice counts once."""
        numbers: dict[object, int] = {}
        for weight in self._graph.weights:
            if isinstance(weight, FloatWeight | RoundedWeight | RepackedWeight):
                matrix = weight.matrix
                key = matrix.parts if isinstance(matrix, Matrix) else weight.tensors[0].name
                numbers[key] = matrix.rows * matrix.columns
        return sum(numbers.values())

    @property
    def unscaled(self) -> tuple[str, ...]:
        """Integer matrices whose columns AWQ could not multiply; nothing for a recipe without it."""
        if not self._recipe.is_scaled:
            return ()
        return tuple(
            _module(weight)
            for weight in self._graph.weights
            if isinstance(weight, RoundedWeight | RepackedWeight)
            and not (isinstance(weight.matrix, Folded) and weight.matrix.column_factors() is not None)
        )

    def layer_error(self, number: int, before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> float:
        """How far what this layer adds is from what it should add.

        Args:
            before, after: the reference's hidden states [tokens, hidden] of each text.

        Raises:
            ModelRunFailed: onnxruntime fails.
        """
        piece = LayerPiece(self._graph, number, self._float_type)
        session = PieceSession(
            piece.cut_out(self._model), self._folder.name, self._threads, folder=self._folder
        )
        error = RelativeError()
        for given, wanted in zip(before, after, strict=True):
            error.add(piece.run(session, given) - wanted, wanted - given)
        return error.value

    def matrix_errors(self, advance: Callable[[int, int], None]) -> tuple[MatrixError, ...]:
        """That of each rounded matrix, in the order of the graph.

        Args:
            advance: told how many of them are done, of how many; what it raises ends the measuring.

        Raises:
            ModelFileInvalid, ModelFileTruncated: the checkpoint is not what it was.
            OSError: the built file cannot be read.
        """
        places = _places(self._model)
        rounded = [weight for weight in self._graph.weights if isinstance(weight, RoundedWeight)]
        errors = []
        for number, weight in enumerate(rounded):
            error = self._matrix_error(weight, places)
            errors.append(MatrixError(_module(weight), weight.scheme.bits, weight.scheme.block_size, error))
            advance(number + 1, len(rounded))
        return tuple(errors)

    def _matrix_error(self, weight: RoundedWeight, places: dict[str, Place]) -> float:
        columns = weight.matrix.columns
        step = max(1, _PIECE_NUMBERS // columns)
        error = RelativeError()
        for start in range(0, weight.rows, step):
            stop = min(start + step, weight.rows)
            wanted = weight.matrix.floats(start, stop)
            difference = self._rounded(weight, places, start, stop).values()[:, :columns] - wanted
            factors = (
                weight.matrix.factors(start, stop) if isinstance(weight.matrix, Folded) else np.float32(1)
            )
            error.add(difference / factors, wanted / factors)
        return error.value

    def _rounded(self, weight: RoundedWeight, places: dict[str, Place], start: int, stop: int) -> RoundedRows:
        """These rows, as they were written."""
        bits = weight.scheme.bits
        blocks = -(-weight.matrix.columns // weight.scheme.block_size)

        def rows(tensor: Tensor) -> np.ndarray:
            dtype, row_numbers = DTYPES[tensor.data_type], math.prod(tensor.shape) // weight.rows
            begin = places[tensor.name].offset + start * row_numbers * dtype.itemsize
            count = (stop - start) * row_numbers
            values = np.fromfile(self._folder / DATA_FILE, dtype, count, offset=begin)
            return values.reshape(stop - start, -1)

        codes = unpack_bits(rows(weight.data), bits).reshape(stop - start, blocks, -1)
        zero_points = unpack_bits(rows(weight.zero_points), bits)[:, :blocks] if weight.zero_points else None
        scales = rows(weight.scales).astype(np.float32, copy=False)
        return RoundedRows(bits, codes, scales, zero_points)


def _module(weight: RoundedWeight | RepackedWeight) -> str:
    """The name of the module that the matrix belongs to."""
    return weight.data.name.rpartition(".weight_Q")[0]


def _places(model: ModelProto) -> dict[str, Place]:
    places = {}
    for tensor in model.graph.initializer:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if entries:
            places[tensor.name] = Place(int(entries["offset"]), int(entries["length"]))
    return places
