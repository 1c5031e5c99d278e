"""The quality report of a model that was just built: against its checkpoint in float32, and layer by layer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path

from hearth.model_folder.quality import Evaluation, QualityReport
from hearth.quantize.architectures.registry import describe
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.graph.graph import DATA_FILE
from hearth.quantize.quality.built_model import BuiltModel
from hearth.quantize.quality.evaluator import Evaluator, Scorer
from hearth.quantize.quality.layered_reference import LayeredReference
from hearth.quantize.recipe import Recipe

REFERENCE = "float32"


class Stage(StrEnum):
    """What a report is made of, in this order."""

    LAYERS = "layers"
    MATRICES = "matrices"
    SCORING = "scoring"


Advance = Callable[[Stage, int, int], None]
"""Told how much of a stage is done, of how much; what it raises ends the report."""


def quality_report(
    checkpoint: Checkpoint,
    folder: Path,
    recipe: Recipe,
    windows: Sequence[Sequence[int]],
    open_scorer: Callable[[], Scorer],
    *,
    text: str,
    threads: int,
    build_seconds: float,
    advance: Advance,
) -> QualityReport:
    """Measure the model in `folder`, which was built of this checkpoint by this recipe.

    At most one layer in float32 and one quantized one are in memory, and later the quantized model with a slice of the
    float32 head.

    Args:
        windows: of the text, of at least two tokens each; the first is the longest.
        open_scorer: loads the built model.
        text: the digest of the text.

    Raises:
        ModelFileInvalid, ModelFileTruncated, ModelUnsupported: the checkpoint is not what it was.
        ModelRunFailed: a layer cannot be run.
        NotFinite: the model or its reference gives logits that are no numbers.
        OSError: the folder cannot be read.
    """
    started = time.perf_counter()
    decoder = describe(checkpoint, recipe.context)
    built = BuiltModel(folder, checkpoint, decoder, recipe, threads)
    reference = LayeredReference(checkpoint, decoder, windows, threads)
    layers: list[float] = []
    reference.run_layers(
        lambda done, whole: advance(Stage.LAYERS, done, whole),
        lambda number, before, after: layers.append(built.layer_error(number, before, after)),
    )
    matrices = built.matrix_errors(lambda done, whole: advance(Stage.MATRICES, done, whole))
    scoring = Evaluator(
        open_scorer(), reference, windows, lambda done, whole: advance(Stage.SCORING, done, whole)
    )
    measured = scoring.run()
    size = (folder / DATA_FILE).stat().st_size
    return QualityReport(
        evaluation=Evaluation(
            text=text,
            tokens=sum(map(len, windows)),
            window=max(map(len, windows)),
            reference=REFERENCE,
            seconds=time.perf_counter() - started,
            measured=measured,
        ),
        bytes=size,
        bits_per_weight=8 * size / built.parameters,
        build_seconds=build_seconds,
        accuracy_level=recipe.accuracy_level,
        kv_cache=recipe.kv_cache,
        unscaled=built.unscaled,
        layers=tuple(layers),
        matrices=matrices,
    )
