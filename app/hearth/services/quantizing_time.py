"""How long quantizing a checkpoint takes on this machine, about: told before anybody decides for it."""

from __future__ import annotations

from collections.abc import Iterator

from hearth.models.fit import MachineSpec
from hearth.models.shape import ModelShape
from hearth.quantize.recipe import Recipe

# Seconds of one core for a number, by the way to round: reading, rounding, writing. Nearest, scale search and GPTQ were
# measured with 1.5B on two cores; the others are by how many trials they make.
_ROUNDING_SECONDS = {"nearest": 12e-9, "scale-search": 80e-9, "hqq": 160e-9, "gptq": 330e-9, "awq": 110e-9}
# Of the speed of float32 products, what those of calibration reach, and those of second moments and their factors.
_FLOAT_SHARE, _MOMENT_SHARE = 0.6, 0.54
# Each way to round each matrix is tried on some tokens: so many for all matrices of a layer together, and so many for
# each layer at the head, where it is seen what comes of that.
_TRIED_TOKENS, _TRIED_AT_HEAD = 3300, 128
# The quality report reads a text with the checkpoint and with the model; seconds of one core for each logit of both.
# (`services.quality.REPORT_TOKENS`, which brings the tokenizer with it; a test holds that they agree.)
_REPORT_TOKENS, _LOGIT_SECONDS = 4096, 4e-7


def quantizing_seconds(shape: ModelShape, recipe: Recipe, machine: MachineSpec) -> float:
    """From the first number read to the quality report; 0 where the machine's speed is not known."""
    if machine.speeds.compute <= 0:
        return 0.0
    matrices = list(_matrices(shape))
    layer = sum(rows * columns for rows, columns in matrices)
    head = shape.vocab_size * shape.hidden_size
    numbers = shape.layers * layer + head * (1 if shape.tied else 2)
    floats = _REPORT_TOKENS * 2 * layer
    moments = 0.0
    if recipe.is_calibrated:
        passes = 1 + (recipe.has_feedback and recipe.mixed is not None)
        floats += passes * recipe.calibration_tokens * 2 * layer
        if recipe.mixed is not None:
            floats += 2 * (_TRIED_TOKENS * layer + _TRIED_AT_HEAD * head)
    if recipe.has_feedback:
        met = {columns for _, columns in matrices}
        moments = sum(recipe.calibration_tokens * columns**2 + columns**3 / 3 for columns in met)
        moments += sum(rows * columns**2 for rows, columns in matrices)
    compute = machine.speeds.compute
    # ONNX Runtime computes the one and numpy the other, which on a Mac has a coprocessor for it.
    plain = min(compute, machine.speeds.prompt_rate or compute)
    arithmetic = shape.layers * (floats / (_FLOAT_SHARE * plain) + moments / (_MOMENT_SHARE * compute))
    rounding = numbers * _ROUNDING_SECONDS[recipe.rounding]
    report = _REPORT_TOKENS * shape.vocab_size * _LOGIT_SECONDS
    return arithmetic + (rounding + report) / machine.cores


def _matrices(shape: ModelShape) -> Iterator[tuple[int, int]]:
    """Rows and columns of each matrix of a layer."""
    hidden = shape.hidden_size
    heads, kv_heads = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    yield from ((heads, hidden), (kv_heads, hidden), (kv_heads, hidden), (hidden, heads))
    for width, count in ((shape.intermediate_size, 1), (shape.expert_size, shape.experts)):
        if width:
            for _ in range(max(count, 1)):
                yield from ((width, hidden), (width, hidden), (hidden, width))
