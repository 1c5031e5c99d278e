"""How rows of lists are painted."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QRect
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QApplication, QStyle, QStyleOptionViewItem

from hearth.ui.help.rows import paint_row

STATE = QStyle.StateFlag


@pytest.mark.parametrize("ratio", [1.0, 1.25, 2.0])
def test_the_ring_of_the_keyboard_stays_within_its_row(qapp: QApplication, ratio: float) -> None:
    """Else pieces of it are left on the screen when the keyboard goes on to another row."""
    side = round(60 * ratio)
    picture = QImage(side, side, QImage.Format.Format_RGB32)
    picture.setDevicePixelRatio(ratio)
    picture.fill(QColor("white"))
    row, option = QRect(20, 20, 20, 20), QStyleOptionViewItem()
    option.state = STATE.State_HasFocus | STATE.State_KeyboardFocusChange
    painter = QPainter(picture)
    paint_row(painter, row, option)
    painter.end()
    edge = round(20 * ratio), round(40 * ratio)
    inked = [(x, y) for x in range(side) for y in range(side) if picture.pixelColor(x, y) != QColor("white")]
    assert inked
    assert all(edge[0] <= place < edge[1] for pixel in inked for place in pixel)
