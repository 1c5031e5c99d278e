"""Colours, fonts, distances and the style sheet of the window; light and dark.

`theme()` is the one theme of the application. It follows the system's colour scheme unless the settings force one;
its signal `changed` says that colours changed, and widgets that paint or tint by themselves then do so again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from string import Template
from typing import ClassVar, Final

from PySide6.QtCore import QByteArray, QObject, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

from hearth.paths import resource


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
    text_faint="#76726d",
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
    code_comment="#77736c",
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


class Space:
    """Distances and sizes in device-independent pixels."""

    XS: Final = 4
    S: Final = 8
    M: Final = 12
    L: Final = 16
    XL: Final = 24
    XXL: Final = 40
    RADIUS: Final = 8
    RADIUS_LARGE: Final = 16
    ICON: Final = 16
    BUTTON: Final = 28  # height of a small button
    COLUMN: Final = 760  # widest column of text


class FontSize:
    """Sizes as multiples of the system's font."""

    SMALL: Final = 0.88
    BODY: Final = 1.0
    CHAT: Final = 1.1
    TITLE: Final = 1.35
    LARGE_TITLE: Final = 1.8
    CODE: Final = 0.95


class Theme(QObject):
    """The colours in force.

    Attributes:
        mode: `system`, `light` or `dark`.
        dark: whether the dark colours are in force.
        colours: those colours.

    Signals:
        changed: the colours changed.
    """

    changed = Signal()
    MODES: ClassVar[tuple[str, ...]] = ("system", "light", "dark")

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self.mode = "system"
        self._app = app
        self._styled = False
        self.dark = self._wants_dark()
        app.styleHints().colorSchemeChanged.connect(self._follow)

    @property
    def colours(self) -> Colours:
        return DARK if self.dark else LIGHT

    def apply(self, mode: str = "system") -> None:
        """Style the application; `mode` is `system`, `light` or `dark`."""
        self.mode = mode if mode in self.MODES else "system"
        self._styled = True
        hints = self._app.styleHints()
        if self.mode == "system":
            hints.unsetColorScheme()
        else:
            hints.setColorScheme(Qt.ColorScheme.Dark if self.mode == "dark" else Qt.ColorScheme.Light)
        if self._app.style().name() != "fusion":
            self._app.setStyle("Fusion")
        self.dark = self._wants_dark()
        self._restyle()

    def _wants_dark(self) -> bool:
        if self.mode != "system":
            return self.mode == "dark"
        return self._app.styleHints().colorScheme() == Qt.ColorScheme.Dark

    def _follow(self) -> None:
        dark = self._wants_dark()
        if dark != self.dark:
            self.dark = dark
            if self._styled:
                self._restyle()
            else:
                self.changed.emit()

    def _restyle(self) -> None:
        self._app.setPalette(qt_palette(self.colours))
        self._app.setStyleSheet(style_sheet(self.colours))
        self.changed.emit()


def theme() -> Theme:
    """The theme of the running application, made at the first call."""
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        raise RuntimeError("theme() needs a QApplication")
    found = app.findChild(Theme, options=Qt.FindChildOption.FindDirectChildrenOnly)
    return found if found is not None else Theme(app)


def colour(name: str) -> QColor:
    """A colour of the theme in force, by its name in `Colours`."""
    return QColor(getattr(theme().colours, name))


def font(
    size: float = FontSize.BODY, *, scale: float = 1.0, weight: QFont.Weight = QFont.Weight.Normal
) -> QFont:
    """The system's font at `size` times its own size."""
    made = QFont(QApplication.font())
    made.setPointSizeF(_system_points() * size * scale)
    made.setWeight(weight)
    return made


def mono_font(size: float = FontSize.CODE, *, scale: float = 1.0) -> QFont:
    """The system's fixed-width font at `size` times the size of the system's text font."""
    made = QFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
    made.setStyleHint(QFont.StyleHint.Monospace)
    made.setFixedPitch(True)
    made.setPointSizeF(_system_points() * size * scale)
    return made


def _system_points() -> float:
    """The system font's size in points; a font set in pixels is converted."""
    system = QApplication.font()
    if system.pointSizeF() > 0:
        return system.pointSizeF()
    return system.pixelSize() * 72.0 / QGuiApplication.primaryScreen().logicalDotsPerInch()


def icon(name: str, colour_name: str = "text_secondary", *, size: int = Space.ICON) -> QIcon:
    """The icon `resources/icons/<name>.svg` in a colour of the theme; sharp on high-resolution screens."""
    colours = theme().colours
    return _icon(name, getattr(colours, colour_name), colours.text_faint, size)


@lru_cache(maxsize=512)
def _icon(name: str, tint: str, disabled: str, size: int) -> QIcon:
    made = QIcon()
    for mode, shade in ((QIcon.Mode.Normal, tint), (QIcon.Mode.Disabled, disabled)):
        for ratio in (1, 2, 3):
            made.addPixmap(_tinted(name, shade, size, ratio), mode)
    return made


def _tinted(name: str, tint: str, size: int, ratio: int) -> QPixmap:
    drawing = resource("icons", f"{name}.svg").read_text(encoding="utf-8").replace("currentColor", tint)
    pixmap = QPixmap(size * ratio, size * ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(QByteArray(drawing.encode())).render(painter, QRectF(0, 0, size * ratio, size * ratio))
    painter.end()
    pixmap.setDevicePixelRatio(ratio)
    return pixmap


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


def style_sheet(colours: Colours) -> str:
    """The application's style sheet. Widgets choose a look by name or property, never by colours of their own.

    Properties: `kind` of a QPushButton or QToolButton is `primary`, `quiet`, `danger` or `icon`; of a QLabel
    `title`, `large-title`, `secondary`, `faint` or `danger`; of a QFrame `card`, `sidebar`, `separator` or
    `banner`.
    """
    values = {name: getattr(colours, name) for name in Colours.__slots__}
    return _STYLE.substitute(values, radius=Space.RADIUS)


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
