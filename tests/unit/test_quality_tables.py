"""Quality as tables for a person."""

from __future__ import annotations

import sys

import pytest

from hearth.cli.quality_tables import write_measured
from hearth.model_folder.quality import Estimate, Measured, Way


def said(capsys: pytest.CaptureFixture[str], perplexity: Estimate) -> str:
    write_measured([Measured(way=Way.SINGLE, rows=1, positions=9, perplexity=perplexity)])
    return capsys.readouterr().out.splitlines()[1].split("9", 1)[1].strip()


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1132.4, 102.0, "1100 ± 100"),
        (73_760.0, 4000.0, "74000 ± 4000"),
        (0.3149, 0.0213, "0.31 ± 0.02"),
        (6.5, 0.0, "6.5"),
        (1e-16, 1e-17, "0.000000 ± 0.000000"),
        (1.014e304, sys.float_info.max, "1.014e+304"),
    ],
)
def test_a_figure_ends_where_its_error_begins(
    value: float, error: float, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, Estimate(value, error)) == text


def test_a_report_that_has_no_figures_is_no_defect(capsys: pytest.CaptureFixture[str]) -> None:
    write_measured([])
    assert "PERPLEXITY" in capsys.readouterr().out
