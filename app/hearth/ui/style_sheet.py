"""The style sheet of what all windows have: buttons, fields, lists, menus, scroll bars."""

from __future__ import annotations

from string import Template
from typing import Final

from hearth.ui.colours import Colours


def style_sheet(colours: Colours, *, radius: int) -> str:
    """The application's style sheet. Widgets choose a look by name or property, never by colours of their own.

    `radius` is that of corners, in pixels.

    Properties: `kind` of a QPushButton or QToolButton is `primary`, `quiet`, `danger` or `icon`; of a QLabel
    `title`, `large-title`, `secondary`, `faint` or `danger`; of a QFrame `card`, `sidebar`, `separator` or
    `banner`.
    """
    values = {name: getattr(colours, name) for name in Colours.__slots__}
    return _STYLE.substitute(values, radius=radius)


_STYLE: Final = Template("""
QToolTip { background: $surface; color: $text; border: 1px solid $separator; padding: 4px 6px; }

QPushButton { background: $surface; color: $text; border: 1px solid $field_border; border-radius: ${radius}px;
    padding: 5px 14px; min-height: 18px; }
QPushButton:hover { background: $hover; }
QPushButton:pressed { background: $pressed; }
QPushButton:focus { border-color: $accent; }
QPushButton:disabled { color: $text_faint; border-color: $separator; }
QPushButton[kind="primary"] { background: $accent; color: $accent_text; border-color: $accent; font-weight: 600; }
QPushButton[kind="primary"]:hover { background: $accent_hover; border-color: $accent_hover; }
QPushButton[kind="primary"]:focus { border-color: $text; }
QPushButton[kind="primary"]:disabled { background: $hover; color: $text_faint; border-color: $hover; }
QPushButton[kind="quiet"] { background: transparent; border-color: transparent; }
QPushButton[kind="quiet"]:hover { background: $hover; }
QPushButton[kind="quiet"]:focus { border-color: $accent; }
QPushButton[kind="danger"] { color: $danger; }
QPushButton[kind="danger"]:disabled { color: $text_faint; }
QToolButton { background: transparent; color: $text_secondary; border: 1px solid transparent;
    border-radius: 6px; padding: 4px; }
QToolButton:hover { background: $hover; color: $text; }
QToolButton:pressed, QToolButton:checked { background: $pressed; }
QToolButton:focus { border-color: $accent; }
QToolButton::menu-indicator { image: none; }

QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox, QPlainTextEdit[kind="field"], QTextEdit[kind="field"] {
    background: $field; color: $text; border: 1px solid $field_border; border-radius: ${radius}px;
    padding: 5px 8px; selection-background-color: $selection; selection-color: $text; }
QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus, QPlainTextEdit[kind="field"]:focus,
QTextEdit[kind="field"]:focus { border-color: $accent; }
QComboBox QAbstractItemView { background: $surface; color: $text; border: 1px solid $separator;
    selection-background-color: $hover; selection-color: $text; outline: none; }

QLabel { background: transparent; }
QLabel[kind="title"] { font-weight: 600; }
QLabel[kind="large-title"] { font-weight: 600; }
QLabel[kind="secondary"] { color: $text_secondary; }
QLabel[kind="faint"] { color: $text_faint; }
QLabel[kind="danger"] { color: $danger; }
QFrame[kind="card"] { background: $surface; border: 1px solid $separator; border-radius: ${radius}px; }
QFrame[kind="banner"] { background: $danger_surface; border: none; }
QFrame[kind="sidebar"] { background: $sidebar; border: none; }
QFrame[kind="separator"] { background: $separator; border: none; max-height: 1px; }

QListView, QTreeView { background: transparent; border: none; outline: none; color: $text; }
QListView::item { border-radius: 6px; padding: 6px 8px; }
QListView::item:hover { background: $hover; }
QListView::item:selected { background: $selected; color: $text; }

QTabWidget::pane { border: none; border-top: 1px solid $separator; }
QTabBar { background: transparent; qproperty-drawBase: 0; }
QTabBar::tab { background: transparent; color: $text_secondary; border: none; border-bottom: 2px solid transparent;
    padding: 7px 4px; margin: 0 18px 0 0; }
QTabBar::tab:hover { color: $text; }
QTabBar::tab:selected { color: $text; border-bottom-color: $accent; }
QTabBar::tab:focus { color: $link; }

QMenu { background: $surface; color: $text; border: 1px solid $separator; border-radius: ${radius}px; padding: 4px; }
QMenu::item { padding: 5px 22px 5px 12px; border-radius: 5px; }
QMenu::item:selected { background: $hover; }
QMenu::item:disabled { color: $text_faint; }
QMenu::separator { height: 1px; background: $separator; margin: 4px 8px; }

QProgressBar { background: $hover; border: none; border-radius: 3px; max-height: 6px; min-height: 6px;
    text-align: center; color: transparent; }
QProgressBar::chunk { background: $accent; border-radius: 3px; }
QSlider::groove:horizontal { height: 4px; background: $pressed; border-radius: 2px; }
QSlider::sub-page:horizontal { background: $accent; border-radius: 2px; }
QSlider::handle:horizontal { background: $surface; border: 1px solid $text_faint; width: 14px; height: 14px;
    margin: -6px 0; border-radius: 8px; }
QSlider::handle:horizontal:focus { border-color: $accent; }

QScrollBar:vertical { background: transparent; width: 12px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: 12px; margin: 0; }
QScrollBar::handle:vertical { background: $scroll; border-radius: 3px; min-height: 32px; margin: 2px 3px; }
QScrollBar::handle:horizontal { background: $scroll; border-radius: 3px; min-width: 32px; margin: 3px 2px; }
QScrollBar::handle:hover { background: $text_faint; }
QScrollBar::handle:disabled { background: transparent; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QAbstractScrollArea::corner { background: transparent; }
QSplitter::handle { background: $separator; }
QSplitter::handle:horizontal { width: 1px; }
QSplitter::handle:vertical { height: 1px; }
""")
