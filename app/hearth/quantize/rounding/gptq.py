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


def feedback(moment: np.ndarray) -> Feedback:
    """What GPTQ needs of the second moment of inputs, float32 [K, K]."""
    diagonal = moment.diagonal()
    order = np.argsort(-diagonal, kind="stable")
    damping = _DAMPING * float(diagonal.mean()) or 1.0
    # Backwards, so that the lower factor of Cholesky's is the upper one that is wanted.
    backwards = moment[np.ix_(order[::-1], order[::-1])]
    while True:
        np.fill_diagonal(backwards, diagonal[order[::-1]] + np.float32(damping))
        try:
            factor = np.linalg.cholesky(backwards)[::-1, ::-1]
        except np.linalg.LinAlgError:
            damping *= 10
            continue
        return Feedback(order, np.ascontiguousarray(factor / factor.diagonal()))


def round_gptq(values: np.ndarray, scheme: Scheme, inputs: Inputs | None = None) -> RoundedRows:
    """Round rows, float32 [rows, K], to integers; without calibration they are rounded by scale search."""
    found = round_scale_search(values, scheme, inputs)
    if inputs is None or inputs.feedback is None:
        return found
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
