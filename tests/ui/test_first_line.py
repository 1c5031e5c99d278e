"""Labels side by side stand on one line, whatever scripts they are written in."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from hearth.ui.first_line import stand_on_one_line


def foot_of_first_letter(label: QLabel) -> int:
    """The lowest row with ink, of those under the first letter."""
    picture = label.grab().toImage()
    ground = picture.pixel(picture.width() - 1, 0)
    columns = range(label.fontMetrics().horizontalAdvance("H"))
    return max(y for y in range(picture.height()) for x in columns if picture.pixel(x, y) != ground)


def test_latin_stands_as_high_as_chinese(qtbot: QtBot) -> None:
    holder = QWidget()
    qtbot.addWidget(holder)
    holder.resize(300, 60)
    latin, chinese = QLabel("H ", holder), QLabel("H 处理器 ", holder)
    stand_on_one_line(latin, chinese)
    for label in (latin, chinese):
        label.adjustSize()
    holder.show()
    assert foot_of_first_letter(latin) == foot_of_first_letter(chinese)
