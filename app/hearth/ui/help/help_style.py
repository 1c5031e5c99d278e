"""The style sheet of the help window's own parts; the theme's style sheet has what every widget shares."""

from __future__ import annotations

from string import Template
from typing import Final

from hearth.ui.colours import Colours


def help_style(colours: Colours) -> str:
    """The style sheet in these colours."""
    return _STYLE.substitute({name: getattr(colours, name) for name in Colours.__slots__})


_STYLE: Final = Template("""
#helpWindow { background: $window; }
#helpSidebar { background: $sidebar; border: none; }
#helpBar { background: $window; border-bottom: 1px solid $separator; }
#helpPage { background: $window; color: $text; }
#helpFoot { background: $window; border-top: 1px solid $separator; }
#helpContents { selection-background-color: transparent; }
#helpContents::item { padding: 5px 6px; }
""")
