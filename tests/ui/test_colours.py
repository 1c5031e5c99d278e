"""The colours can be read: contrast as WCAG 2.2 counts it."""

from __future__ import annotations

import pytest

from hearth.ui.colours import DARK, LIGHT, Colours

GROUNDS = ("window", "sidebar", "surface")
PAIRS = [
    *(
        (text, ground)
        for text in ("text", "text_secondary", "text_faint", "link", "danger")
        for ground in GROUNDS
    ),
    *((text, "selected") for text in ("text", "text_secondary")),
    *((text, "hover") for text in ("text", "text_secondary", "link")),
    ("text", "bubble"),
    ("text", "selection"),
    ("text", "danger_surface"),
    ("accent_text", "accent"),
    ("accent_text", "accent_hover"),
    ("success", "window"),
    ("success", "surface"),
    *((name, "code") for name in Colours.__slots__ if name.startswith("code_")),
]


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_told_from_its_ground(colours: Colours) -> None:
    found = {pair: round(contrast(*(getattr(colours, name) for name in pair)), 2) for pair in PAIRS}
    assert {pair: value for pair, value in found.items() if value < 4.5} == {}


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_the_ring_of_the_keyboard_is_told_from_its_ground(colours: Colours) -> None:
    found = {ground: contrast(colours.accent, getattr(colours, ground)) for ground in (*GROUNDS, "selected")}
    assert {ground: value for ground, value in found.items() if value < 3} == {}
