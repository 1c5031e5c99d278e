"""Importing a model folder by clicks and by drop, and every folder that is none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel

from hearth.models.hub.install_folder import InstallFolders, InstallNote
from hearth.models.workspace import INSTALLS

DATA_FILE = "model.onnx.data"


def _without_config(folder: Path) -> None:
    (folder / "genai_config.json").unlink()


def _truncated(folder: Path) -> None:
    with (folder / DATA_FILE).open("r+b") as file:
        file.truncate(1000)


def _tokenizer_not_json(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("no JSON", encoding="utf-8")


def _noise(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(bytes(range(256)) * 40)


def _outside_by_path(folder: Path) -> None:
    outside = folder.parent / "outside.data"
    (folder / DATA_FILE).rename(outside)
    graph = folder / "model.onnx"
    graph.write_bytes(graph.read_bytes().replace(DATA_FILE.encode(), b"../outside.data"))


def _outside_by_link(folder: Path) -> None:
    outside = folder.parent / "outside.data"
    (folder / DATA_FILE).rename(outside)
    (folder / DATA_FILE).symlink_to(outside)


@pytest.fixture
def damaged(stories_float32: Path, tmp_path: Path) -> Callable[[Callable[[Path], None]], Path]:
    """Makes a copy of the model and damages it."""

    def make(damage: Callable[[Path], None]) -> Path:
        folder = tmp_path / "damaged" / "model"
        shutil.copytree(stories_float32, folder)
        for file in folder.iterdir():
            file.chmod(0o644)
        folder.chmod(0o755)
        damage(folder)
        return folder

    return make


def test_the_name_of_a_model_on_its_way_is_refused_at_once(hand: Any, stories_float32: Path) -> None:
    models = hand.window.hearth.models
    note = InstallNote(
        name="mine", recipe="balanced", source=str(stories_float32), added_at=datetime.now(UTC)
    )
    InstallFolders(models.root / INSTALLS).of("mine").write(note)
    hand.window.actions_.import_model.trigger()
    hand.choose_folder(stories_float32)
    dialog = hand.dialog()
    hand.wait(dialog.import_button.isEnabled)
    dialog.name_field.selectAll()
    hand.qtbot.keyClicks(dialog.name_field, "mine")
    hand.wait(lambda: any("is on its way already" in label.text() for label in dialog.findChildren(QLabel)))
    assert not dialog.import_button.isEnabled()
    hand.click(dialog.cancel_button)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_without_config, "genai_config.json is missing"),
        (_truncated, "is too short"),
        (_tokenizer_not_json, "tokenizer.json cannot be used"),
        (_noise, "model.onnx cannot be used"),
        (_outside_by_path, "leads out of the model's folder"),
        (_outside_by_link, "leads out of the model's folder"),
    ],
)
def test_a_folder_that_is_no_sound_model_is_refused(
    hand: Any, damaged: Callable[[Callable[[Path], None]], Path], damage: Callable[[Path], None], said: str
) -> None:
    hand.window.actions_.import_model.trigger()
    hand.choose_folder(damaged(damage))
    dialog = hand.dialog()
    hand.wait(dialog.error)
    assert said in dialog.error()
    assert not dialog.import_button.isVisible()
    hand.click(dialog.another_button)
    hand.wait(lambda: hand.window.models.dialog is None)
    hand.wait(lambda: hand.window.findChild(QFileDialog))
    hand.window.findChild(QFileDialog).reject()
    assert hand.window.models.entries == []


def test_a_folder_that_is_gone_is_refused(hand: Any, tmp_path: Path) -> None:
    hand.window.models.import_folder(tmp_path / "gone")
    dialog = hand.dialog()
    hand.wait(dialog.error)
    assert "does not exist" in dialog.error()
    hand.wait(dialog.another_button.hasFocus)
    hand.key(Qt.Key.Key_Return)
    hand.wait(lambda: hand.window.findChild(QFileDialog))
    hand.window.findChild(QFileDialog).reject()


def test_the_dialog_says_what_the_folder_holds(hand: Any, stories_float32: Path) -> None:
    hand.window.models.import_folder(stories_float32)
    dialog = hand.dialog()
    hand.wait(dialog.import_button.isEnabled)
    facts = " ".join(label.text() for label in dialog.findChildren(type(dialog._size)))
    assert "ONNX (llama)" in facts
    assert "512 tokens" in facts
    assert "MB" in facts
    assert dialog.name_field.text() == hand.window.hearth.models.suggest_name(stories_float32)
    hand.click(dialog.cancel_button)
    hand.wait(lambda: hand.window.models.dialog is None)


def test_a_name_that_cannot_be_used_is_said_while_it_is_typed(hand: Any, stories_float32: Path) -> None:
    hand.import_model(stories_float32, "stories")
    hand.window.models.import_folder(stories_float32)
    dialog = hand.dialog()
    hand.wait(dialog.import_button.isEnabled)
    for name, said in (("stories", "already a model"), ("Ä", "small letters"), ("", "needs a name")):
        dialog.name_field.clear()
        hand.qtbot.keyClicks(dialog.name_field, name)
        assert said in dialog.error()
        assert not dialog.import_button.isEnabled()
    hand.qtbot.keyClicks(dialog.name_field, "stories-2")
    assert dialog.error() == ""
    assert dialog.import_button.isEnabled()
    hand.click(dialog.cancel_button)
    hand.wait(lambda: hand.window.models.dialog is None)


def test_a_model_can_be_used_where_it_is(hand: Any, stories_float32: Path) -> None:
    hand.window.models.import_folder(stories_float32)
    dialog = hand.dialog()
    hand.wait(dialog.import_button.isEnabled)
    dialog.name_field.selectAll()
    hand.qtbot.keyClicks(dialog.name_field, "here")
    dialog.in_place_choice.click()
    hand.click(dialog.import_button)
    hand.wait_loaded("here")
    (entry,) = hand.window.hearth.models.list()
    assert entry.in_place
    assert entry.path.resolve() == stories_float32.resolve()


def test_a_dropped_folder_opens_the_import(hand: Any, stories_float32: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(stories_float32))])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(50, 50), Qt.DropAction.CopyAction, data, buttons, keys)
    QApplication.sendEvent(hand.window, enter)
    assert enter.isAccepted()
    drop = QDropEvent(QPointF(50, 50), Qt.DropAction.CopyAction, data, buttons, keys)
    QApplication.sendEvent(hand.window, drop)
    dialog = hand.dialog()
    hand.wait(dialog.import_button.isEnabled)
    hand.click(dialog.import_button)
    hand.wait(lambda: hand.window.models.dialog is None and hand.window.models.current)


def test_a_cancelled_import_leaves_nothing(hand: Any, stories_float32: Path, tmp_path: Path) -> None:
    """The model is padded to some size, so that the copy lasts until Cancel is pressed."""
    folder = tmp_path / "big"
    shutil.copytree(stories_float32, folder)
    folder.chmod(0o755)
    with (folder / "README.md").open("wb") as file:
        file.truncate(3 << 30)
    hand.window.models.import_folder(folder)
    dialog = hand.dialog()
    hand.wait(dialog.import_button.isEnabled)
    hand.click(dialog.import_button)
    hand.click(dialog.cancel_button)
    hand.wait(lambda: hand.window.models.dialog is None)
    assert hand.window.hearth.models.list() == []
    assert hand.window.models.current is None
