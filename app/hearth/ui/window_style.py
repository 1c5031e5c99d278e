"""The style sheet of the window's own parts; the theme's style sheet has what every widget shares."""

from __future__ import annotations

from string import Template
from typing import Final

from hearth.ui.colours import Colours


def window_style(colours: Colours) -> str:
    """The style sheet in these colours."""
    return _STYLE.substitute({name: getattr(colours, name) for name in Colours.__slots__})


_STYLE: Final = Template("""
QMainWindow, #centre { background: $window; }
QMenuBar { background: $sidebar; color: $text; border: none; padding: 2px 6px; }
QMenuBar::item { padding: 4px 9px; border-radius: 5px; background: transparent; }
QMenuBar::item:selected { background: $hover; }

#sidebar { background: $sidebar; border: none; }
#sidebarHeader { background: transparent; }
#topBar { background: $window; border-bottom: 1px solid $separator; }
#parametersPanel, #parametersContent { background: $sidebar; }
#parametersPanel QScrollArea { background: $sidebar; border: none; }
#sectionHeading { font-weight: 600; }
#resetParameter { padding: 0 4px; }
QDoubleSpinBox, QLineEdit#seed { padding: 3px 7px; }
QLineEdit#seed { min-height: 19px; }
QAbstractSpinBox QLineEdit { background: transparent; border: none; padding: 0; }
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button { width: 0; height: 0; border: none; }

#modelPicker { font-weight: 600; color: $text; padding: 5px 10px; border-radius: 8px; }
#modelPopup { background: $surface; border: 1px solid $field_border; border-radius: 10px; }
#modelArea, #modelList { background: transparent; border: none; }
#modelRow { background: transparent; border-radius: 8px; }
#modelRow:hover { background: $hover; }
#modelName { background: transparent; border: 1px solid transparent; text-align: left; padding: 3px 4px;
    font-weight: 600; }
#modelName:focus { border-color: $accent; }
#modelName:hover { background: transparent; }
#modelAction { padding: 2px 10px; }
#popupFooter { background: transparent; border: 1px solid transparent; text-align: left; margin: 0 6px;
    padding: 7px 10px; color: $link; }
#popupFooter:hover { background: $hover; }
#popupFooter:focus { border-color: $accent; }

#emptyArea, #emptyContent { background: $window; border: none; }
#suggestion { border-radius: 16px; padding: 7px 18px; }
#emptyLink { background: transparent; border: 1px solid transparent; color: $link; padding: 2px 8px; }
#emptyLink:hover { text-decoration: underline; }
#emptyLink:focus { border-color: $accent; }

#welcome { background: $window; }
#welcomeContent { background: $window; }
#welcomeFoot { background: $window; border-top: 1px solid $separator; }

#installStrip { background: $sidebar; border: none; border-bottom: 1px solid $separator; border-radius: 0; padding: 0; }
#installStrip:hover { background: $hover; }
#installStrip:focus { border-bottom-color: $accent; }

#banner { border: none; border-bottom: 1px solid $separator; background: $danger_surface; }
#banner[tone="notice"] { background: $sidebar; }
#toast { background: $text; border: none; border-radius: 10px; }
#toast QLabel { color: $window; }
#toast QPushButton { background: transparent; color: $window; border: 1px solid transparent; font-weight: 600;
    text-decoration: underline; padding: 4px 10px; }
#toast QPushButton:focus { border-color: $window; }

QDialog { background: $window; }
QRadioButton { color: $text; spacing: 8px; }
QRadioButton::indicator { width: 14px; height: 14px; border-radius: 8px; border: 1px solid $text_faint;
    background: $field; }
QRadioButton::indicator:checked { border: 5px solid $accent; width: 6px; height: 6px; background: $accent_text; }
QRadioButton:focus { color: $link; }
""")
