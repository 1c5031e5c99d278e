"""The folders page: where things are, how much they are, and the models moved elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog, QLineEdit, QMessageBox
from pytestqt.qtbot import QtBot

from hearth import paths
from hearth.errors import MoveCancelled, OldModelsStay
from hearth.services.hearth import Hearth
from hearth.ui.settings import folders_page
from hearth.ui.settings.folders_page import folder_bytes
from hearth.ui.settings.move_dialog import MoveDialog
from hearth.ui.transfer_progress import TransferProgress
from hearth.ui.wording import size_text
from settings_desk import Desk, open_desk


@pytest.fixture
def desk(qtbot: QtBot) -> Iterator[Desk]:
    with open_desk(qtbot) as desk:
        desk.dialog.show_page("folders")
        yield desk


@pytest.fixture
def with_model(desk: Desk, stories_float32: Path) -> Desk:
    """A home with one model of its own."""
    desk.hearth.models.import_folder(stories_float32, name="stories")
    desk.reopen()
    desk.wait(lambda: "1 model" in desk.dialog.folders.models.state_text())
    return desk


def _choose(desk: Desk, folder: Path) -> None:
    """Press Change… and choose the folder."""
    desk.activate()
    desk.click(desk.dialog.folders.change_button)
    desk.wait(lambda: desk.dialog.findChild(QFileDialog))
    chooser = desk.dialog.findChild(QFileDialog)
    chooser.findChild(QLineEdit).setText(str(folder))
    desk.click(desk.button(chooser, "Choose"))


def _question(desk: Desk) -> QMessageBox:
    desk.wait(lambda: desk.dialog.folders.question)
    question = desk.dialog.folders.question
    assert question is not None
    desk.wait(question.isVisible)
    return question


def _asks_nothing(desk: Desk) -> bool:
    return desk.dialog.folders.question is None and desk.dialog.folders.moving is None


# Sizes


def test_folders_are_shown_with_their_size(with_model: Desk, hearth_home: Path) -> None:
    page = with_model.dialog.folders
    assert page.home.path == hearth_home
    assert page.models.path == hearth_home / "models"
    assert page.logs.path == hearth_home / "logs"
    size = sum(file.stat().st_size for file in (hearth_home / "models").rglob("*") if file.is_file())
    assert size > 1_000_000
    assert page.models.state_text() == f"{size_text(size)} · 1 model"
    assert page.home.state_text().endswith("Everything that Hearth keeps")
    assert not page.default_button.isVisible()


def test_sizes_are_measured_off_the_main_thread(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def look(folder: Path, stopped: Event) -> int:
        threads.append(threading.current_thread())
        return 123_000_000

    monkeypatch.setattr(folders_page, "folder_bytes", look)
    desk.dialog.show_page("general")
    desk.dialog.show_page("folders")
    desk.wait(lambda: desk.dialog.folders.home.state_text().startswith("123.0 MB"))
    assert threads
    assert threading.main_thread() not in threads


def test_a_size_counts_files_and_follows_no_links(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "a").write_bytes(bytes(1000))
    (folder / "deep" / "deeper" / "b").write_bytes(bytes(500))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "c").write_bytes(bytes(100_000))
    (folder / "link").symlink_to(outside, target_is_directory=True)
    assert folder_bytes(folder, Event()) == 1500
    assert folder_bytes(tmp_path / "gone", Event()) is None


def test_measuring_ends_when_the_dialog_is_closed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1000))
    stopped = Event()
    stopped.set()
    assert folder_bytes(tmp_path, stopped) == 0


def test_a_folder_is_opened(with_model: Desk, hearth_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    monkeypatch.setattr(
        QDesktopServices, "openUrl", lambda url: opened.append(Path(url.toLocalFile())) or True
    )
    page = with_model.dialog.folders
    with_model.click(page.models.open_button)
    with_model.click(page.home.open_button)
    assert opened == [hearth_home / "models", hearth_home]


def test_a_folder_that_is_not_made_yet_cannot_be_opened(desk: Desk) -> None:
    page = desk.dialog.folders
    desk.wait(lambda: page.models.state_text() == "No models of your own yet")
    assert not page.models.open_button.isEnabled()
    assert page.home.open_button.isEnabled()


def test_a_models_folder_on_a_disk_that_is_not_there_is_said_plainly(qtbot: QtBot, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    hearth = Hearth.open()
    hearth.change_settings({"folders.models": str(disk)})
    hearth.close()
    disk.rename(tmp_path / "unplugged")
    with open_desk(qtbot) as desk:
        assert not desk.dialog.banner.isVisible()  # the page says it, where it can be seen to
        desk.dialog.show_page("folders")
        row = desk.dialog.folders.models
        desk.wait(lambda: row.state_text().startswith("This folder is not there"))
        assert not row.open_button.isEnabled()
        assert row.path == disk
        (tmp_path / "unplugged").rename(disk)
        desk.dialog.show_page("general")
        desk.dialog.show_page("folders")
        desk.wait(lambda: row.state_text() == "No models of your own yet")


# Another folder


def test_without_models_another_folder_is_simply_used(desk: Desk, tmp_path: Path) -> None:
    target = tmp_path / "big disk"
    target.mkdir()
    _choose(desk, target)
    desk.wait(lambda: desk.dialog.folders.models.path == target)
    assert _asks_nothing(desk)
    assert desk.kept().folders.models == str(target)
    assert desk.hearth.models.root == target
    desk.activate()
    desk.click(desk.dialog.folders.default_button)
    desk.wait(lambda: desk.dialog.folders.models.path == paths.models_folder())
    assert desk.kept().folders.models == ""
    assert not desk.dialog.folders.default_button.isVisible()


def test_the_folder_in_use_is_no_change(with_model: Desk) -> None:
    _choose(with_model, paths.models_folder())
    with_model.settle()
    assert _asks_nothing(with_model)
    assert with_model.told == []


def test_models_come_along_and_go_back(with_model: Desk, tmp_path: Path) -> None:
    desk, target = with_model, tmp_path / "disk"
    target.mkdir()
    _choose(desk, target)
    question = _question(desk)
    assert str(target) in question.informativeText()
    desk.click(desk.button(question, "Move 1 Model (1.4 MB)"))
    desk.wait(lambda: desk.dialog.folders.models.path == target and desk.dialog.folders.moving is None)
    desk.wait(lambda: "1 model" in desk.dialog.folders.models.state_text())
    assert desk.kept().folders.models == str(target)
    assert (target / "stories" / "genai_config.json").is_file()
    assert not (paths.models_folder() / "stories").exists()
    assert [entry.name for entry in desk.hearth.models.list() if not entry.built_in] == ["stories"]
    rest = "Everything that Hearth keeps but the models"
    desk.wait(lambda: desk.dialog.folders.home.state_text().endswith(rest))
    desk.activate()
    desk.click(desk.dialog.folders.default_button)
    desk.click(desk.button(_question(desk), "Move 1 Model (1.4 MB)"))
    desk.wait(lambda: desk.dialog.folders.models.path == paths.models_folder())
    assert desk.kept().folders.models == ""
    assert (paths.models_folder() / "stories" / "genai_config.json").is_file()


def test_models_may_be_left_behind(with_model: Desk, tmp_path: Path) -> None:
    target = tmp_path / "disk"
    target.mkdir()
    _choose(with_model, target)
    with_model.click(with_model.button(_question(with_model), "Use the New Folder Only"))
    with_model.wait(lambda: with_model.dialog.folders.models.path == target)
    assert with_model.kept().folders.models == str(target)
    assert (paths.models_folder() / "stories").is_dir()
    assert list(target.glob("stories")) == []


@pytest.mark.parametrize("answer", ["Cancel", "Esc"])
def test_nothing_happens_where_the_question_is_cancelled(
    with_model: Desk, tmp_path: Path, answer: str
) -> None:
    target = tmp_path / "disk"
    target.mkdir()
    _choose(with_model, target)
    question = _question(with_model)
    if answer == "Cancel":
        with_model.click(with_model.button(question, "Cancel"))
    else:
        with_model.qtbot.keyClick(question, Qt.Key.Key_Escape)
    with_model.wait(lambda: with_model.dialog.folders.question is None)
    with_model.settle()
    assert with_model.told == []
    assert with_model.dialog.folders.models.path == paths.models_folder()


# While models are moved


@pytest.fixture
def slow_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """A move that stands at 1 GB of 4 GB until it is cancelled."""

    def move_models(
        hearth: Hearth,
        target: Path,
        *,
        progress: Callable[[int, int], None],
        cancelled: Callable[[], bool],
    ) -> None:
        progress(1_000_000_000, 4_000_000_000)
        while not cancelled():
            Event().wait(0.01)
        raise MoveCancelled

    monkeypatch.setattr(Hearth, "move_models", move_models)


def _moving(desk: Desk, target: Path) -> MoveDialog:
    target.mkdir()
    _choose(desk, target)
    desk.click(desk.button(_question(desk), "Move 1 Model (1.4 MB)"))
    desk.wait(lambda: desk.dialog.folders.moving)
    dialog = desk.dialog.folders.moving
    assert dialog is not None
    desk.wait(dialog.isVisible)
    return dialog


@pytest.mark.usefixtures("slow_move")
@pytest.mark.parametrize("way", ["button", "Esc", "window"])
def test_a_move_tells_how_far_it_is_and_can_be_stopped(with_model: Desk, tmp_path: Path, way: str) -> None:
    moving = _moving(with_model, tmp_path / "disk")
    with_model.wait(lambda: moving.progress.words.text().startswith("1.0 GB of 4.0 GB"))
    assert moving.progress.bar.value() == moving.progress.bar.maximum() // 4
    if way == "button":
        with_model.click(moving.cancel_button)
    elif way == "Esc":
        with_model.qtbot.keyClick(moving, Qt.Key.Key_Escape)
    else:
        moving.close()
    with_model.wait(lambda: with_model.dialog.folders.moving is None)
    assert not with_model.dialog.banner.isVisible()
    assert with_model.dialog.folders.models.path == paths.models_folder()


@pytest.mark.usefixtures("slow_move")
def test_a_dialog_that_is_closed_by_the_program_stops_the_move(with_model: Desk, tmp_path: Path) -> None:
    _moving(with_model, tmp_path / "disk")
    with_model.dialog.close()
    with_model.wait(lambda: with_model.dialog.folders.moving is None)


def test_the_time_left_is_told(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("hearth.ui.transfer_progress.time.monotonic", lambda: now)
    progress = TransferProgress("Progress")
    qtbot.addWidget(progress)
    now += 30
    progress.tell(1_000_000_000, 5_000_000_000)
    assert progress.words.text() == "1.0 GB of 5.0 GB · 2 minutes left"
    now += 0.01
    progress.tell(1_500_000_000, 5_000_000_000)  # too soon after the last to be shown
    assert progress.words.text().startswith("1.0 GB")
    now += 30
    progress.tell(5_000_000_000, 5_000_000_000)
    assert progress.words.text() == "5.0 GB of 5.0 GB"
    progress.say("Cancelling…")
    progress.tell(2_000_000_000, 5_000_000_000)
    assert progress.words.text() == "Cancelling…"
    assert progress.bar.value() == progress.bar.maximum()


def test_what_went_wrong_with_a_move_is_said_in_the_dialog(
    with_model: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def move_models(hearth: Hearth, target: Path, **_: object) -> None:
        hearth.change_settings({"folders.models": str(target)})
        raise OldModelsStay(path="/old", reason="Permission denied")

    monkeypatch.setattr(Hearth, "move_models", move_models)
    target = tmp_path / "disk"
    target.mkdir()
    _choose(with_model, target)
    with_model.click(with_model.button(_question(with_model), "Move 1 Model (1.4 MB)"))
    with_model.wait(with_model.dialog.banner.isVisible)
    assert "/old could not be deleted" in with_model.dialog.banner.text()
    assert with_model.dialog.folders.models.path == target


def test_a_folder_inside_the_models_folder_is_refused_in_words(with_model: Desk) -> None:
    inside = paths.models_folder() / "inside"
    inside.mkdir()
    _choose(with_model, inside)
    with_model.click(with_model.button(_question(with_model), "Move 1 Model (1.4 MB)"))
    with_model.wait(with_model.dialog.banner.isVisible)
    assert "cannot hold the models" in with_model.dialog.banner.text()
    assert with_model.dialog.folders.models.path == paths.models_folder()


def test_a_folder_that_goes_away_before_it_is_used_is_refused(desk: Desk, tmp_path: Path) -> None:
    target = tmp_path / "disk"
    desk.dialog.folders._on_target(target)
    desk.wait(desk.dialog.banner.isVisible)
    assert "does not exist" in desk.dialog.banner.text()
    assert desk.dialog.folders.models.path == paths.models_folder()
