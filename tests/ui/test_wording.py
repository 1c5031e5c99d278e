"""Numbers as a person reads them."""

from __future__ import annotations

from hearth.ui.wording import measured_speed_text, speed_text


def test_speeds_are_grouped_as_other_numbers_are() -> None:
    assert [speed_text(speed) for speed in (9.54, 95.4, 19_890.0)] == ["9.5", "95", "19,890"]
    assert [measured_speed_text(speed) for speed in (9.543, 3_144_566.0)] == ["9.54", "3,144,566"]
