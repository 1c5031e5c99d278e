"""Models in other formats in the window: a GGUF file that is dropped answers, and a remote model is shown as such."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication

from hearth.model_folder.manifest import RemoteModel


def test_a_dropped_gguf_file_is_imported_and_answers(hand: Any, stories_gguf: Path) -> None:
    hand.window.hearth.change_settings({"engine.threads": 1, "defaults.max_tokens": 8})
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(stories_gguf))])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(50, 50), Qt.DropAction.CopyAction, data, buttons, keys)
    QApplication.sendEvent(hand.window, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(
        hand.window, QDropEvent(QPointF(50, 50), Qt.DropAction.CopyAction, data, buttons, keys)
    )
    dialog = hand.dialog()
    hand.wait(dialog.import_button.isEnabled)
    facts = " ".join(label.text() for label in dialog.findChildren(type(dialog._size)))
    assert "GGUF (llama)" in facts
    assert "512 tokens" in facts
    hand.click(dialog.import_button)
    hand.wait_loaded("stories260k")
    hand.ask("Once upon a time")
    assert hand.wait_answer().text


def test_the_picker_marks_a_remote_model(hand: Any) -> None:
    models = hand.window.hearth.models
    models.add_remote("far", RemoteModel(address="http://127.0.0.1:9/v1", model="m"))
    hand.window.models.refresh()
    hand.wait(lambda: hand.window.models.entries)
    hand.window.models.show_for("far")
    picker = hand.window.models._picker
    assert picker.text().startswith("far (remote)")
    picker.open()
    row = picker.popup.rows["far"]
    assert row.name_button.text().startswith("far (remote)")
    assert "it runs on a server" in row._facts.text()
    assert hand.window.isVisible()
    picker.popup.hide()
