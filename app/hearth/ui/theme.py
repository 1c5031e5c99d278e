"""The look in force, light or dark: its colours, and beside them fonts, distances and icons.

`theme()` is the one theme of the application. It follows the system's colour scheme unless the settings force one;
its signal `changed` says that colours changed, and widgets that paint or tint by themselves then do so again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar, Final

from PySide6.QtCore import QByteArray, QObject, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

from hearth.paths import resource
from hearth.ui.colours import DARK, LIGHT, Colours, qt_palette
from hearth.ui.style_sheet import style_sheet


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
        self._app.setStyleSheet(style_sheet(self.colours, radius=Space.RADIUS))
        self._app.setWindowIcon(icon("hearth", "accent", size=64))
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
