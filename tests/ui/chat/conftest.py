"""A chat view of its own."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from hearth.ui.chat.chat_view import ChatView


@pytest.fixture
def view(qtbot: QtBot) -> ChatView:
    shown = ChatView()
    qtbot.addWidget(shown)
    shown.resize(900, 600)
    shown.show()
    shown.activateWindow()
    qtbot.waitUntil(shown.isActiveWindow)
    return shown
