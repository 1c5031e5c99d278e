"""The colours of the window, light and dark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PySide6.QtGui import QColor, QPalette


@dataclass(frozen=True, slots=True)
class Colours:
    """The colours of one scheme, as `#rrggbb`."""

    window: str
    sidebar: str
    surface: str  # cards, menus, the composer
    text: str
    text_secondary: str
    text_faint: str
    separator: str
    accent: str
    accent_hover: str
    accent_text: str
    bubble: str  # behind what the user wrote
    code: str  # behind code
    code_text: str
    hover: str
    pressed: str
    selected: str  # the chosen row of a list
    selection: str  # selected text
    field: str
    field_border: str
    link: str
    danger: str
    danger_surface: str
    success: str
    scroll: str
    code_comment: str
    code_keyword: str
    code_string: str
    code_number: str
    code_name: str
    code_type: str


LIGHT: Final = Colours(
    window="#ffffff",
    sidebar="#f5f4f2",
    surface="#ffffff",
    text="#1f1e1d",
    text_secondary="#625f5b",
    text_faint="#726e69",
    separator="#e7e4e0",
    accent="#b4532a",
    accent_hover="#9c4521",
    accent_text="#ffffff",
    bubble="#f3f1ee",
    code="#f7f6f3",
    code_text="#2a2927",
    hover="#edebe7",
    pressed="#e2dfda",
    selected="#e6e2dc",
    selection="#f6d3bf",
    field="#ffffff",
    field_border="#d9d5d0",
    link="#a8481f",
    danger="#b3261e",
    danger_surface="#fcefed",
    success="#2f7d4f",
    scroll="#c9c5bf",
    code_comment="#736f68",
    code_keyword="#9a3a8a",
    code_string="#3d7a3a",
    code_number="#a6541c",
    code_name="#1f5fa8",
    code_type="#8a5a00",
)

DARK: Final = Colours(
    window="#1d1c1b",
    sidebar="#252422",
    surface="#292826",
    text="#ebe8e4",
    text_secondary="#b0aba4",
    text_faint="#949089",
    separator="#363431",
    accent="#e07b4c",
    accent_hover="#ea8f64",
    accent_text="#1d1c1b",
    bubble="#302e2c",
    code="#272624",
    code_text="#e3e0db",
    hover="#353330",
    pressed="#403d3a",
    selected="#3b3835",
    selection="#6b4532",
    field="#292826",
    field_border="#45423e",
    link="#f0a07a",
    danger="#f28b82",
    danger_surface="#3a2523",
    success="#7cc797",
    scroll="#57534e",
    code_comment="#948f87",
    code_keyword="#d9a0d6",
    code_string="#a5cf96",
    code_number="#e8ae82",
    code_name="#8fbdf0",
    code_type="#e3c27a",
)


def qt_palette(colours: Colours) -> QPalette:
    """Qt's palette for `colours`."""
    palette = QPalette()
    role = QPalette.ColorRole
    pairs = {
        role.Window: colours.window,
        role.WindowText: colours.text,
        role.Base: colours.field,
        role.AlternateBase: colours.sidebar,
        role.Text: colours.text,
        role.PlaceholderText: colours.text_faint,
        role.Button: colours.surface,
        role.ButtonText: colours.text,
        role.BrightText: colours.danger,
        role.ToolTipBase: colours.surface,
        role.ToolTipText: colours.text,
        role.Highlight: colours.selection,
        role.HighlightedText: colours.text,
        role.Link: colours.link,
        role.LinkVisited: colours.link,
        role.Accent: colours.accent,
        role.Light: colours.surface,
        role.Midlight: colours.separator,
        role.Mid: colours.field_border,
        role.Dark: colours.text_faint,
        role.Shadow: colours.separator,
    }
    for key, value in pairs.items():
        palette.setColor(key, QColor(value))
    for key in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText):
        palette.setColor(QPalette.ColorGroup.Disabled, key, QColor(colours.text_faint))
    return palette
