"""A bubble that shows one question after another."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from hearth.ui.chat.bubble import Bubble
from hearth.ui.chat.chat_style import ChatStyle


def test_a_bubble_of_the_same_size_holds_a_text_of_another_width(qtbot: QtBot) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    bubble = Bubble(ChatStyle(), parent)
    parent.resize(600, 200)
    parent.show()
    for text in ("A rather long question about something", "Hi", "A question of middling length"):
        bubble.bind(text, first=True, last=True)
        bubble.setGeometry(0, 0, 600, bubble.height_for(600))
        right = bubble.text_block.geometry().right()
        assert right == bubble.width() - 1 - Bubble.PAD_X
        assert bubble.text_block.width() == bubble._bubble_width - 2 * Bubble.PAD_X
