"""How commands write."""

from __future__ import annotations

import io
import sys

import pytest

from hearth.cli import output


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_a_model_wrote_cannot_steer_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a\tb\n\x1b]0;title\x07\x9b2J é 火"
    for stream, written in ((Terminal(), "a\tb\n�]0;title��2J é 火"), (io.StringIO(), text)):
        monkeypatch.setattr(sys, "stdout", stream)
        output.write_streamed(text)
        assert stream.getvalue() == written


def test_columns_are_aligned_also_where_letters_are_wide(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_table(("NAME", "SIZE"), [("火火", "1 B"), ("a", "22 B")])
    assert capsys.readouterr().out == "NAME  SIZE\n火火  1 B\na     22 B\n"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_370_839, "1.37 MB"), (5 * 10**12, "5 TB")],
)
def test_sizes_for_people(count: int, text: str) -> None:
    assert output.size_text(count) == text


@pytest.mark.parametrize(("speed", "text"), [(9.543, "9.54"), (99.96, "100"), (1234.5, "1234")])
def test_measured_speeds_for_people(speed: float, text: str) -> None:
    assert output.measured_speed_text(speed) == text
