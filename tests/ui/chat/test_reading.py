"""Links, selections and the keyboard in the chat view."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, QUrl
from PySide6.QtGui import QGuiApplication, QTextDocument
from PySide6.QtWidgets import QApplication, QLineEdit, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from chat_rows import conversation, message, seen, texts
from hearth.ui.chat.chat_view import ChatView
from hearth.ui.chat.text_block import TextBlock


def test_links_are_only_reported_and_only_when_clicked(qtbot: QtBot, view: ChatView) -> None:
    view.set_messages(
        [message(0, "Hi"), message(1, "[here](https://example.org/a) and [no](file:///etc/passwd)")]
    )
    block = seen(view, TextBlock)[-1]
    assert block.toHtml().count("href=") == 1
    with qtbot.waitSignal(view.link_activated) as link:
        qtbot.mouseClick(block.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    assert link.args == ["https://example.org/a"]
    assert "here" in texts(view)


def test_nothing_is_loaded_for_a_text(view: ChatView) -> None:
    view.set_messages(
        [message(0, "Hi"), message(1, "![cat](https://example.org/cat.png) <img src='file:///x.png'>")]
    )
    block = seen(view, TextBlock)[-1]
    assert block.toPlainText() == "cat <img src='file:///x.png'>"
    assert block.loadResource(QTextDocument.ResourceType.ImageResource.value, QUrl("file:///x.png")) is None


def test_a_selection_reaches_over_blocks(qtbot: QtBot, view: ChatView) -> None:
    view.set_messages([message(0, "Hi"), message(1, "First one.\n\n```\ncode\n```\n\nLast one.")])
    blocks = [block for block in seen(view, TextBlock) if "one." in block.toPlainText()]
    first, last = blocks
    end = first.viewport().mapFromGlobal(last.viewport().mapToGlobal(QPoint(last.width() - 2, 8)))
    qtbot.mousePress(first.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(0, 8))
    for step in (QPoint(30, 12), QPoint(60, end.y() // 2), end):
        qtbot.mouseMove(first.viewport(), step)
    qtbot.mouseRelease(first.viewport(), Qt.MouseButton.LeftButton, pos=end)
    qtbot.keyClick(first, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "First one.\n\ncode\n\nLast one."


def test_select_all_takes_the_message_with_what_is_out_of_view(qtbot: QtBot, view: ChatView) -> None:
    view.set_messages([message(0, "Hi"), message(1, "".join(f"Paragraph {n}.\n\n" for n in range(200)))])
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    copied = QGuiApplication.clipboard().text()
    assert copied.startswith("Paragraph 0.\n\nParagraph 1.")
    assert copied.endswith("Paragraph 199.")


def test_keys_scroll(qtbot: QtBot, view: ChatView) -> None:
    view.set_messages(conversation(60))
    view.setFocus()
    bar = view.verticalScrollBar()
    qtbot.keyClick(view, Qt.Key.Key_Home)
    assert bar.value() == 0
    qtbot.keyClick(view, Qt.Key.Key_PageDown)
    assert 0 < bar.value() < 800
    qtbot.keyClick(view, Qt.Key.Key_End)
    assert view.following


def test_tab_reaches_every_control_and_leads_out(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    view, below = ChatView(), QLineEdit()
    column = QVBoxLayout(window)
    column.addWidget(view)
    column.addWidget(below)
    window.resize(900, 500)
    window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    view.set_messages([message(n, "[a](http://b.c)\n\n```\ncode\n```" if n % 2 else "Hi") for n in range(12)])
    qtbot.keyClick(view, Qt.Key.Key_Home)
    view.setFocus()
    names: list[str] = []
    for _ in range(100):
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        widget = QApplication.focusWidget()
        if widget is below:
            break
        assert widget is not None
        names.append(widget.accessibleName())
        assert view.isAncestorOf(widget)
    assert QApplication.focusWidget() is below
    assert names.count("Copy code") == 6
    assert names.count("Copy message") == 12
    assert names.count("Answer again") == names.count("Edit message") == 6
    for _ in range(100):
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab, Qt.KeyboardModifier.ShiftModifier)
        if QApplication.focusWidget() is view:
            break
    assert view.verticalScrollBar().value() < 200
