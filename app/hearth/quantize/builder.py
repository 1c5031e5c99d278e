"""From a checkpoint to a model folder in onnxruntime-genai's format, one piece of one tensor at a time."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import IO

import msgspec

from hearth import __version__
from hearth.errors import ModelFileInvalid, because
from hearth.model_folder.digest import files_digest
from hearth.quantize.architectures.registry import describe
from hearth.quantize.calibration.calibrator import Calibrator
from hearth.quantize.calibration.findings import Findings
from hearth.quantize.calibration.kept_calibration import MOST_BYTES, Keeper, KeptCalibration
from hearth.quantize.calibration.text import calibration_tokens
from hearth.quantize.checkpoint.checkpoint import CONFIG, Checkpoint
from hearth.quantize.data_file import PIECE_NUMBERS, Place, count_pieces, lay_out, piece_rows, write_data
from hearth.quantize.decoder import Decoder, Experts
from hearth.quantize.graph.decoder_graph import decoder_graph, layer_prefix
from hearth.quantize.graph.graph import DATA_FILE, Graph
from hearth.quantize.journal import Journal
from hearth.quantize.mixed_precision import open_schemes, resolve
from hearth.quantize.recipe import BUILT_IN_TEXT, EMBEDDING, HEAD, NO_TEXT, Recipe
from hearth.quantize.rounding.scheme import Scheme
from hearth.quantize.shapes import check_shapes
from hearth.quantize.side_files import check_side_files, write_side_files
from hearth.quantize.weights import Matrix, Weight

GRAPH_FILE = "model.onnx"
# For each number that a thread works on: as it is stored, as float32, and all that it becomes until it is written.
_BYTES_PER_NUMBER = 80
# Feedback goes from column to column: with many rows at a time, there are few steps. It needs less for each number.
_FEEDBACK_NUMBERS, _FEEDBACK_BYTES_PER_NUMBER = 1 << 22, 24
_BASE_BYTES = 64 << 20
# The widest inputs' second moment, and those of narrower inputs beside it.
_MOMENTS = 1.5


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is known before the first weight is read.

    Attributes:
        places: of the tensors in the file of weights, which has `bytes` bytes.
        found: what calibration has shown; grows while a model is written that needs it layer by layer.
        numbers: of the checkpoint that go into it.
    """

    checkpoint: Checkpoint
    recipe: Recipe
    decoder: Decoder
    graph: Graph
    places: dict[str, Place]
    bytes: int
    found: Findings

    @property
    def numbers(self) -> int:
        return sum(weight.rows * weight.row_numbers for weight in self.graph.weights)

    def memory_bytes(self, threads: int) -> int:
        """What building takes at most, about."""
        largest = max(
            piece_rows(weight, self.piece_numbers) * weight.row_numbers for weight in self.graph.weights
        )
        piece = _BYTES_PER_NUMBER * min(largest, PIECE_NUMBERS)
        if self.recipe.has_feedback:
            piece = max(piece, _FEEDBACK_BYTES_PER_NUMBER * largest)
        calibration = self._calibration_bytes() if self.recipe.is_calibrated else 0
        return _BASE_BYTES + threads * piece + calibration

    @property
    def piece_numbers(self) -> int:
        """Of the checkpoint, that a thread works on at a time."""
        return _FEEDBACK_NUMBERS if self.recipe.has_feedback else PIECE_NUMBERS

    def _calibration_bytes(self) -> int:
        """A whole layer in float32, its largest matrix twice more while it is rounded, and what goes in and out of it.

        With feedback, also the second moment of the widest inputs, which is decomposed in place, and one for each expert;
        where bits are chosen, at another time, each matrix of the layer once more, as it was rounded.
        """
        recipe = self.recipe
        has_experts = any(isinstance(layer.mlp, Experts) for layer in self.decoder.layers)
        # For experts, what they meet as well, in pieces and then as one.
        hidden = (4 if has_experts else 2) * recipe.calibration_tokens * self.decoder.hidden_size
        most = 0
        for number in range(len(self.decoder.layers)):
            sizes, columns = [0], [0]
            for weight in self.graph.weights:
                if weight.tensors[0].name.startswith(layer_prefix(number)):
                    sizes.append(weight.rows * weight.row_numbers)
                    columns.append(weight.row_numbers)
            moments = int(_MOMENTS * max(columns) ** 2) if recipe.has_feedback else 0
            part = self.decoder.layers[number].mlp
            if recipe.has_feedback and isinstance(part, Experts):
                moments += part.count * Matrix(self.checkpoint, part.down).columns ** 2
            rounded = sum(sizes) if recipe.mixed is not None else 0
            most = max(most, sum(sizes) + 2 * max(sizes) + max(moments, rounded))
        return 4 * (most + hidden)

    @property
    def kept_bytes(self) -> int:
        """What calibration keeps on the disk at most, for a moment twice, so that it can go on after a kill; about."""
        if not self.recipe.is_calibrated:
            return 0
        width = self.decoder.hidden_size
        # The hidden state, or at the end the second moments of the head and the embedding.
        numbers = self.recipe.calibration_tokens * width + (2 * width**2 if self.recipe.has_feedback else 0)
        return 2 * min(MOST_BYTES, 4 * numbers)

    def key(self) -> str:
        """Names the result: the same key is the same bytes.

        Raises:
            ModelFileInvalid: the checkpoint cannot be read.
        """
        folder = self.checkpoint.folder
        try:
            source = files_digest((folder / CONFIG, *self.checkpoint.files))
        except OSError as error:
            raise ModelFileInvalid(file=str(folder), reason=because(error)) from error
        digest = hashlib.sha256(f"{__version__} {self.piece_numbers} {source}".encode())
        digest.update(msgspec.json.encode(self.recipe))
        digest.update(self.graph.model(self.places).SerializeToString())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Built:
    """What was made.

    Attributes:
        recipe: with every choice made.
        numbers: of the checkpoint that went into it.
    """

    decoder: Decoder
    recipe: Recipe
    numbers: int
    bytes: int


@dataclass
class Steps:
    """How far all passes over the checkpoint are together.

    Attributes:
        tell: told how many numbers are done, of how many, on any thread; what it raises ends the building.
        skipped: what an earlier process did of them, which takes no time.
    """

    whole: int
    tell: Callable[[int, int], None]
    done: int = 0
    skipped: int = 0

    @classmethod
    def of(cls, plan: Plan, tell: Callable[[int, int], None]) -> Steps:
        recipe = plan.recipe
        passes = 1 + recipe.is_calibrated + (recipe.has_feedback and recipe.mixed is not None)
        return cls(passes * plan.numbers, tell)

    def count(self, numbers: int) -> None:
        self.done += numbers
        self.tell(min(self.done, self.whole), self.whole)

    def skip(self, numbers: int) -> None:
        """So much an earlier process did."""
        self.skipped += numbers
        self.count(numbers)

    def seconds_left(self, seconds: float) -> float | None:
        """By what was done in so many seconds; None where nothing was."""
        done = self.done - self.skipped
        return max(0, self.whole - self.done) * seconds / done if done > 0 else None


def plan(checkpoint: Checkpoint, recipe: Recipe) -> Plan:
    """What the model will be; its size is about right where the recipe leaves choices open.

    Raises:
        ModelUnsupported, CheckpointUnsupported: the architecture, or something in it, is not known.
        TokenizerMissing: it has no `tokenizer.json`.
        RecipeOverrideUnmatched: an override of the recipe is for no matrix of the model.
        ModelFileInvalid, ModelFileTruncated: the checkpoint fails a check.
    """
    decoder = describe(checkpoint, recipe.context)
    check_shapes(decoder, checkpoint)
    check_side_files(checkpoint, decoder)
    planned = _planned(checkpoint, decoder, recipe, Findings())
    recipe.check_overrides([HEAD, EMBEDDING, *planned.graph.matrices])
    return planned


def _planned(checkpoint: Checkpoint, decoder: Decoder, recipe: Recipe, found: Findings) -> Plan:
    graph = decoder_graph(decoder, checkpoint, recipe, found)
    places, size = lay_out(graph.weights)
    return Plan(checkpoint, recipe, decoder, graph, places, size, found)


def build(
    checkpoint: Checkpoint,
    recipe: Recipe,
    out: Path,
    threads: int,
    advance: Callable[[int, int], None],
) -> Built:
    """Plan a model, make what choices its recipe leaves, and write it; see `plan`, `calibrate` and `write`."""
    planned = plan(checkpoint, recipe)
    steps = Steps.of(planned, advance)
    return write(calibrate(planned, threads, steps), out, threads, steps)


def calibrate(planned: Plan, threads: int, steps: Steps, keeper: Keeper | None = None) -> Plan:
    """The plan with its choices made, and with what rounding needs to know of the whole model.

    Args:
        keeper: opens the file that calibration is kept in, so that after a kill it goes on from there.

    Raises:
        BudgetTooSmall, CalibrationInvalid: the recipe asks for what is not to be had.
        ModelFileInvalid, ModelFileTruncated, ModelFileMissing: the checkpoint fails a check.
    """
    recipe = planned.recipe
    if not recipe.is_calibrated or (recipe.has_feedback and recipe.mixed is None):
        return planned
    found = Findings()
    # Which matrices are touchy hardly depends on feedback, which would cost twenty times as much here.
    rounding = "nearest" if recipe.has_feedback else recipe.rounding
    quick = replace(planned, recipe=msgspec.structs.replace(recipe, rounding=rounding))
    calibrator = _calibrator(quick, threads, steps, partial(open_schemes, recipe))
    calibrator.run(found, _go_on, _kept(planned, calibrator, keeper))
    chosen = resolve(recipe, found, planned.decoder.head.weight is None)
    return _planned(planned.checkpoint, planned.decoder, chosen, found)


def write(
    planned: Plan,
    out: Path,
    threads: int,
    steps: Steps,
    journal: Journal | None = None,
    keeper: Keeper | None = None,
) -> Built:
    """Write the model to the folder `out`, which is there, and empty but for what the journal knows.

    Args:
        journal: what is done already.
        keeper: as in `calibrate`, where rounding needs feedback, layer by layer; of no use without a journal.

    Raises:
        ModelFileInvalid, ModelFileTruncated, ModelFileMissing: the checkpoint fails a check.
        OSError: the folder cannot be written.
    """
    data, graph = out / DATA_FILE, planned.graph
    with data.open("ab") as stream:
        _allocate(stream, planned.bytes)
    if planned.recipe.has_feedback:
        _write_layers(planned, data, threads, steps, journal, keeper)
    else:
        write_data(data, graph.weights, planned.places, threads, steps.count, steps.skip, journal)
    write_side_files(planned.checkpoint, planned.decoder, out)
    (out / GRAPH_FILE).write_bytes(graph.model(planned.places).SerializeToString())
    return Built(planned.decoder, planned.recipe, planned.numbers, planned.bytes)


def _write_layers(
    planned: Plan, data: Path, threads: int, steps: Steps, journal: Journal | None, keeper: Keeper | None
) -> None:
    """Each layer's weights right after it was run: what they need of its inputs is too large to be kept for all."""
    *layers, rest = _by_layer(planned)
    calibrator = _calibrator(planned, threads, steps, _nothing_open)
    kept = _kept(planned, calibrator, keeper)
    begins = [0, *accumulate(count_pieces(layer, planned.piece_numbers) for layer in layers)]
    reached = min(kept.reached.layers, len(layers)) if kept and kept.reached else 0
    if kept and (journal is None or journal.pieces < begins[reached]):
        kept.reached, reached = None, 0  # what it knows of is not written

    def write_some(number: int, weights: Sequence[Weight]) -> None:
        begin, numbers = begins[number], planned.piece_numbers
        write_data(data, weights, planned.places, threads, steps.count, steps.skip, journal, begin, numbers)

    def write_layer(number: int) -> None:
        write_some(number, layers[number])

    steps.skip(sum(weight.rows * weight.row_numbers for layer in layers[:reached] for weight in layer))
    calibrator.run(planned.found, write_layer, kept)
    write_some(len(layers), rest)


def _by_layer(planned: Plan) -> list[list[Weight]]:
    """The weights of each layer, and last the rest, each in the graph's order."""
    prefixes = [layer_prefix(number) for number in range(len(planned.decoder.layers))]
    groups: dict[str, list[Weight]] = {prefix: [] for prefix in (*prefixes, "")}
    for weight in planned.graph.weights:
        name = weight.tensors[0].name
        groups[next((prefix for prefix in prefixes if name.startswith(prefix)), "")].append(weight)
    return list(groups.values())


def _calibrator(
    planned: Plan, threads: int, steps: Steps, schemes: Callable[[str], Sequence[Scheme]]
) -> Calibrator:
    recipe, checkpoint = planned.recipe, planned.checkpoint
    source = BUILT_IN_TEXT if recipe.calibration == NO_TEXT else recipe.calibration
    tokens = calibration_tokens(source, checkpoint, planned.decoder.context_length, recipe.calibration_tokens)
    return Calibrator(checkpoint, planned.decoder, recipe, tokens, schemes, threads, steps.count, steps.skip)


def _kept(planned: Plan, calibrator: Calibrator, keeper: Keeper | None) -> KeptCalibration | None:
    if keeper is None:
        return None
    return keeper(f"{planned.key()} {hashlib.sha256(calibrator.tokens.tobytes()).hexdigest()}")


def _nothing_open(_module: str) -> Sequence[Scheme]:
    """Every matrix has its scheme."""
    return ()


def _go_on(_layer: int) -> None:
    """Nothing is done after a layer."""


def _allocate(stream: IO[bytes], size: int) -> None:
    """Give the file its size, and where the system can do that, the space on the disk at once."""
    stream.truncate(size)
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(stream.fileno(), 0, size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # this file system cannot
                raise
