"""The style sheet of the window Models' own parts; the theme's style sheet has what every widget shares."""

from __future__ import annotations

from string import Template
from typing import Final

from hearth.ui.colours import Colours
from hearth.ui.theme import FontSize, font


def models_style(colours: Colours, scale: float) -> str:
    """The style sheet in these colours, with text `scale` times its usual size."""
    sizes = {"body": 1.0, "title": 1.5, "small": FontSize.SMALL}
    points = {name: f"{font(size, scale=scale).pointSizeF():.2f}pt" for name, size in sizes.items()}
    return _STYLE.substitute({name: getattr(colours, name) for name in Colours.__slots__}, **points)


_STYLE: Final = Template("""
#modelsWindow QWidget { font-size: $body; }
#modelsWindow #pageTitle, #modelsWindow #emptyHeading { font-size: $title; font-weight: 600; }
#modelsWindow #badge { font-size: $small; }
#modelsWindow, #modelsRight, #modelPage, #modelColumn, #serverContent { background: $window; }
#modelsSidebar { background: $sidebar; border: none; }
#modelsFoot { background: $sidebar; border-top: 1px solid $separator; }
#modelsList::item { padding: 0; }
#otherApps { text-align: left; padding: 7px 10px; border: 1px solid transparent; border-radius: 8px;
    background: transparent; color: $text; }
#otherApps:hover { background: $hover; }
#otherApps:checked { background: $selected; }
#otherApps:focus { border-color: $accent; }
#badge { color: $text_secondary; border: 1px solid $field_border; border-radius: 5px; padding: 1px 6px; }
#badge[tone="remote"] { color: $link; border-color: $link; }
#notice { background: $sidebar; border: 1px solid $separator; border-radius: 8px; }
#notice[tone="danger"] { background: $danger_surface; border-color: $danger_surface; }
#foundName { font-weight: 600; }
#factLine { background: $separator; border: none; max-height: 1px; min-height: 1px; }
#modelPage QTabWidget::pane { border-top: 1px solid $separator; }
#resetParameter { padding: 0 4px; }
#modelName { background: transparent; border: none; padding: 0; }
QDoubleSpinBox { padding: 3px 7px; }
QAbstractSpinBox QLineEdit { background: transparent; border: none; padding: 0; }
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button { width: 0; height: 0; border: none; }
#toast { background: $text; border: none; border-radius: 10px; }
#toast QLabel { color: $window; }
#toast QPushButton { background: transparent; color: $window; border: 1px solid transparent; font-weight: 600;
    text-decoration: underline; padding: 4px 10px; }
#toast QPushButton:focus { border-color: $window; }
QDialog { background: $window; }
""")
