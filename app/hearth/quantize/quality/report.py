"""The quality report of a model that was just built: against its checkpoint in float32, and layer by layer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
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


# What the parts of a report take of its time, about: the layers, their matrices, the text.
_LAYERS, _MATRICES, _TEXT = 450, 50, 500

Advance = Callable[[int, int], None]
"""Told how much is done, of how much; what it raises ends the report."""


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
        _part(advance, 0, _LAYERS),
        lambda number, before, after: layers.append(built.layer_error(number, before, after)),
    )
    matrices = built.matrix_errors(_part(advance, _LAYERS, _MATRICES))
    measured = Evaluator(open_scorer(), reference, windows, _part(advance, _LAYERS + _MATRICES, _TEXT)).run()
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


def _part(advance: Advance, before: int, share: int) -> Advance:
    """Tells of the whole where a part is told of that takes this share, after what is before it."""
    return lambda done, whole: advance(before + share * done // whole, _LAYERS + _MATRICES + _TEXT)
