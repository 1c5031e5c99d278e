"""The style sheet of the wizard's own parts; the theme's style sheet has what every widget shares."""

from __future__ import annotations

from string import Template
from typing import Final

from hearth.ui.colours import Colours


def add_model_style(colours: Colours) -> str:
    """The style sheet in these colours."""
    return _STYLE.substitute({name: getattr(colours, name) for name in Colours.__slots__})


_STYLE: Final = Template("""
#addModel, #addModelContent { background: $window; }
#addModel QScrollArea { background: $window; border: none; }
#addModelFoot { background: $window; border-top: 1px solid $separator; }
#addModelLink { background: transparent; border: 1px solid transparent; color: $link; padding: 2px 0;
    text-align: left; }
#addModelLink:hover { text-decoration: underline; }
#addModelLink:focus { border-color: $accent; }
QRadioButton { color: $text; spacing: 8px; }
QRadioButton::indicator { width: 14px; height: 14px; border-radius: 8px; border: 1px solid $text_faint;
    background: $field; }
QRadioButton::indicator:checked { border: 5px solid $accent; width: 6px; height: 6px; background: $accent_text; }
QRadioButton:focus { color: $link; }
""")
