"""GPTQ (arXiv:2210.17323): each column's rounding makes up for the errors of the columns before it.

What counts is the error of the products, e H e' for the errors e of a row and the second moment H of its inputs. With
H = U D U', U upper with a diagonal of ones, it is the sum of D_j (e_j + sum over i < j of e_i U_ij)^2: so column j is
rounded after that sum has been added to it. This is the paper's result without its inverse (arXiv:2507.18553). As in
its later versions, columns with large inputs come first, and scales are found before.
"""

from __future__ import annotations

import numpy as np

from hearth.quantize.rounding.blocks import RoundedRows, inverse
from hearth.quantize.rounding.inputs import Feedback, Inputs
from hearth.quantize.rounding.scale_search import round_scale_search
from hearth.quantize.rounding.scheme import Scheme

# Added to the diagonal, as a share of its mean: what calibration did not show is possible too.
_DAMPING = 0.01
# Columns whose errors reach the later ones by one product of matrices.
_STRIP = 64
# Rows and columns of a second moment that are worked on at a time. It may take gigabytes, so it is changed in place.
_BLOCK = 512
# Numbers that scales are searched for at a time: they stay in a core's cache.
_SEARCHED_NUMBERS = 1 << 18


def feedback(moment: np.ndarray) -> Feedback:
    """What GPTQ needs of the second moment of inputs, float32 [K, K], which is used up."""
    order = np.argsort(-moment.diagonal(), kind="stable")
    _reorder(moment, order)
    diagonal = moment.diagonal().copy()
    damping = _DAMPING * float(diagonal.mean()) or 1.0
    while True:
        np.fill_diagonal(moment, diagonal + np.float32(damping))
        try:
            _decompose(moment)
        except np.linalg.LinAlgError:
            damping *= 10
            _mirror(moment)
            continue
        moment /= moment.diagonal().copy()
        for strip in _strips(len(moment)):
            moment[strip, : strip.start] = 0
            moment[strip, strip] = np.triu(moment[strip, strip])
        return Feedback(order, moment)


def _reorder(matrix: np.ndarray, order: np.ndarray) -> None:
    """Rows and columns of a square matrix in this order, in place."""
    for strip in _strips(len(matrix)):
        matrix[strip] = matrix[strip][:, order]
    is_left = np.ones(len(matrix), bool)
    for first in range(len(matrix)):
        if not is_left[first]:
            continue
        kept, place = matrix[first].copy(), first
        while order[place] != first:
            matrix[place] = matrix[order[place]]
            is_left[place] = False
            place = order[place]
        matrix[place] = kept
        is_left[place] = False


def _decompose(matrix: np.ndarray) -> None:
    """Put U, upper with matrix = U U', in the upper part of a symmetric matrix; the rest but the diagonal stays.

    Raises:
        LinAlgError: the matrix is not positive definite.
    """
    for block in reversed(_strips(len(matrix))):
        # Backwards, the lower factor of Cholesky's is an upper one.
        corner = np.linalg.cholesky(matrix[block, block][::-1, ::-1])[::-1, ::-1]
        matrix[block, block] = np.triu(corner) + np.tril(matrix[block, block], -1)
        above = matrix[: block.start, block]
        above[:] = above @ np.linalg.inv(corner).T
        for strip in _strips(block.start):
            matrix[strip, strip] -= np.triu(above[strip] @ above[strip].T)
            matrix[strip, strip.stop : block.start] -= above[strip] @ above[strip.stop :].T


def _mirror(matrix: np.ndarray) -> None:
    """Put what lies under the diagonal above it."""
    for strip in _strips(len(matrix)):
        below = matrix[strip.start :, strip]
        corner = np.tril(below[: strip.stop - strip.start])
        matrix[strip, strip.start :] = below.T
        matrix[strip, strip] = corner + np.tril(corner, -1).T


def _strips(length: int) -> list[slice]:
    return [slice(start, min(length, start + _BLOCK)) for start in range(0, length, _BLOCK)]


def round_gptq(values: np.ndarray, scheme: Scheme, inputs: Inputs | None = None) -> RoundedRows:
    """Round rows, float32 [rows, K], to integers; without calibration they are rounded by scale search."""
    if inputs is None or inputs.feedback is None:
        return round_scale_search(values, scheme, inputs)
    found = _with_scales(values, scheme, inputs)
    order, upper = inputs.feedback.order, inputs.feedback.upper
    columns = np.ascontiguousarray(values.T)[order]  # one after the other in memory
    scales = np.ascontiguousarray(found.scales.T)
    steps = inverse(scales)
    zeros = np.full_like(scales, 1 << (scheme.bits - 1))
    if found.zero_points is not None:
        zeros = found.zero_points.T.astype(np.float32)
    most = np.float32((1 << scheme.bits) - 1)
    errors = np.empty_like(columns)
    codes = np.empty(columns.shape, np.uint8)
    for start in range(0, len(columns), _STRIP):
        stop = min(len(columns), start + _STRIP)
        wanted = columns[start:stop] + upper[:start, start:stop].T @ errors[:start]
        for column in range(start, stop):
            block = order[column] // scheme.block_size
            code = wanted[column - start] * steps[block] + zeros[block]
            np.clip(np.rint(code, out=code), 0, most, out=code)
            codes[column] = code
            code -= zeros[block]
            np.subtract(columns[column], code * scales[block], out=errors[column])
            wanted[column - start + 1 :] += upper[column, column + 1 : stop, None] * errors[column]
    flat = found.codes.reshape(len(values), -1)
    flat[:, order] = codes.T
    return found


def _with_scales(values: np.ndarray, scheme: Scheme, inputs: Inputs) -> RoundedRows:
    """Rounded by scale search, a few rows at a time."""
    step = max(1, _SEARCHED_NUMBERS // values.shape[1])
    return RoundedRows.joined(
        [
            round_scale_search(values[start : start + step], scheme, inputs)
            for start in range(0, len(values), step)
        ]
    )
