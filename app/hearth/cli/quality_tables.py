"""How good a model is, as tables in the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hearth.cli.output import size_text, write, write_pairs, write_table
from hearth.i18n import tr
from hearth.model_folder.quality import Estimate, MatrixError, Measured, QualityReport, Way
from hearth.services.quality_words import plain_text

_MOST_PLACES = 6
_MOST_WRITTEN_OUT = 1e9
_INT8_ACTIVATIONS = 4  # the accuracy level of `MatMulNBits`


def write_quality(report: QualityReport) -> None:
    """The report of a quantized model."""
    write(plain_text(report))
    write("")
    evaluation = report.evaluation
    write_pairs(
        [
            (tr("Size"), size_text(report.bytes)),
            (tr("Bits per weight"), f"{report.bits_per_weight:.2f}"),
            (
                tr("Activations"),
                tr("8-bit integers") if report.accuracy_level == _INT8_ACTIVATIONS else tr("floats"),
            ),
            (tr("Keys and values"), tr("8-bit integers") if report.kv_cache == "int8" else tr("floats")),
            (
                tr("Measured on"),
                tr("{n} tokens in windows of {length}", n=evaluation.tokens, length=evaluation.window),
            ),
            (tr("Reference"), evaluation.reference),
            (
                tr("Time"),
                tr(
                    "{build} s to make, {measure} s to measure",
                    build=f"{report.build_seconds:.1f}",
                    measure=f"{evaluation.seconds:.1f}",
                ),
            ),
        ]
    )
    write("")
    write_measured(evaluation.measured)
    write("")
    write_table(
        (tr("LAYER"), tr("ERROR"), tr("OF ITS WEIGHTS")),
        [
            (str(number), f"{error:.2%}", _of_layer(report.matrices, number))
            for number, error in enumerate(report.layers)
        ],
    )

    if report.unscaled:
        write("")
        write(
            tr(
                "AWQ's factors do not apply to {names}: no norm or matrix before them could take them over, or they are"
                " integers in the checkpoint.",
                names=", ".join(dict.fromkeys(name.rpartition(".")[2] for name in report.unscaled)),
            )
        )


def _of_layer(matrices: Sequence[MatrixError], number: int) -> str:
    """The error of each matrix of a layer, as `qkv_proj 7.1%`."""
    prefix = f"model.layers.{number}."
    return ", ".join(
        f"{matrix.name.rpartition('.')[2]} {matrix.error:.1%}"
        for matrix in matrices
        if matrix.name.startswith(prefix)
    )


def write_measured(measured: Sequence[Measured]) -> None:
    """One row for each way of running the model."""
    headers = [tr("HOW"), tr("TOKENS"), tr("PERPLEXITY")]
    is_compared = any(one.kl_divergence is not None for one in measured)
    if is_compared:
        headers += [tr("OF THE REFERENCE"), tr("KL DIVERGENCE"), tr("SAME TOKEN")]
    rows = []
    for one in measured:
        row = [_way(one), str(one.positions), _text(one.perplexity)]
        if one.reference_perplexity and one.kl_divergence and one.top1_agreement:
            same = one.top1_agreement
            row += [
                _text(one.reference_perplexity),
                _text(one.kl_divergence),
                f"{100 * same.value:.1f} ± {100 * same.error:.1f} %",
            ]
        rows.append(row)
    write_table(headers, rows)


def _way(measured: Measured) -> str:
    match measured.way:
        case Way.PREFILL:
            return tr("reading")
        case Way.SINGLE:
            return tr("writing one text")
        case Way.BATCH:
            return tr("writing {n} texts at once", n=measured.rows)


def _text(estimate: Estimate) -> str:
    """To the place that the error leaves sure."""
    if estimate.error <= 0 or estimate.value >= _MOST_WRITTEN_OUT:
        return f"{estimate.value:.4g}"
    places = min(_MOST_PLACES, -math.floor(math.log10(estimate.error)))
    value, error = round(estimate.value, places), round(estimate.error, places)
    return f"{value:.{max(places, 0)}f} ± {error:.{max(places, 0)}f}"
