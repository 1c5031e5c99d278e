"""The window Models: its list, its pages, and what is done to models there, by clicks and keys on real services."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLineEdit
from pytestqt.qtbot import QtBot

from hearth.model_folder.manifest import RemoteModel
from hearth.model_folder.quality import Estimate, Evaluation, Measured, QualityReport, Way
from hearth.model_folder.speed import SpeedReport
from hearth.models.registry import ModelRegistry
from hearth.services.events import ModelState
from hearth.ui.colours import DARK
from hearth.ui.elided_label import ElidedLabel
from hearth.ui.models.model_rows import Order
from hearth.ui.theme import theme
from models_desk import ModelsDesk

QUALITY = QualityReport(
    evaluation=Evaluation(
        text="",
        tokens=4096,
        window=512,
        reference="org/original",
        measured=(
            Measured(
                way=Way.PREFILL,
                rows=8,
                positions=4000,
                perplexity=Estimate(10.5, 0.1),
                reference_perplexity=Estimate(10.0, 0.1),
                top1_agreement=Estimate(0.93, 0.01),
            ),
        ),
    ),
    bytes=1,
    bits_per_weight=4.5,
    build_seconds=1.0,
    accuracy_level=4,
)
SPEED = SpeedReport(
    machine="another machine",
    measured_at=datetime.now(UTC),
    provider="CPUExecutionProvider",
    threads=2,
    prompt_tokens=512,
    read_speed=123.4,
    write_speed=24.04,
)


@pytest.fixture
def registry(hearth_home: Path) -> ModelRegistry:
    """What another process does to the models."""
    return ModelRegistry(hearth_home / "models")


@pytest.fixture
def desk(
    registry: ModelRegistry, stories_float32: Path, open_window: Callable[..., Any], qtbot: QtBot
) -> ModelsDesk:
    """The window with one model, which is used in place."""
    registry.import_folder(stories_float32, name="stories", in_place=True)
    return ModelsDesk(open_window().window, qtbot)


@pytest.fixture
def crowded(
    registry: ModelRegistry,
    stories_float32: Path,
    stories_int8: Path,
    stories_gguf: Path,
    open_window: Callable[..., Any],
    qtbot: QtBot,
) -> ModelsDesk:
    """The same with three models more."""
    registry.import_folder(stories_float32, name="stories", in_place=True)
    registry.import_folder(stories_int8, name="small")
    registry.import_folder(stories_gguf, name="llama", in_place=True)
    registry.add_remote("cloud", RemoteModel(address="https://example.org/v1", model="big", has_key=True))
    return ModelsDesk(open_window().window, qtbot)


def test_menu_key_and_the_list_of_the_picker_open_one_window(desk: ModelsDesk) -> None:
    window = desk.window
    assert desk.main.actions_.manage_models.shortcut().toString() == "Ctrl+Shift+M"
    assert window.page.name == "stories"
    desk.key(Qt.Key.Key_Escape)
    assert not window.isVisible()
    desk.click(desk.main.picker)
    desk.click(desk.main.picker.popup.manage_button)
    assert desk.window is window
    assert window.isVisible()


def test_the_list_is_filtered_and_sorted(crowded: ModelsDesk) -> None:
    models = crowded.window.list
    assert crowded.names() == ["cloud", "llama", "small", "stories"]
    crowded.key(Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    crowded.type("gguf")
    assert crowded.names() == ["llama"]
    crowded.key(Qt.Key.Key_Down)
    crowded.wait(lambda: crowded.window.page.name == "llama")
    crowded.key(Qt.Key.Key_Escape)
    assert len(crowded.names()) == 4
    models.orders[Order.SIZE].trigger()
    assert crowded.names() == ["stories", "llama", "small", "cloud"]
    crowded.type("nothing like it")
    assert crowded.names() == []
    crowded.key(Qt.Key.Key_Escape)
    crowded.window.close()
    other = type(crowded.window)(crowded.window.controller)
    assert other.list.order is Order.SIZE
    other.deleteLater()


def test_a_page_says_what_is_known_and_a_remote_model_is_marked(
    crowded: ModelsDesk, registry: ModelRegistry
) -> None:
    page = crowded.window.page
    registry.note("small", source="org/small", licence="mit", quality=QUALITY, speed=SPEED)
    crowded.show("small")
    crowded.wait(lambda: page.about.facts().get("From") == "org/small")
    assert page.about.facts()["Licence"] == "mit"
    assert page.itself.facts()["Longest conversation"] == "512 tokens"
    assert "(estimated)" in page.here.facts()["Memory"]
    assert page.speed.facts()["Writes"] == "24 tokens per second"
    assert "another machine" in page.speed.note()
    assert "93 of 100 times" in page.quality.note()
    assert "perplexity 10.50" in page.quality.facts()["Figures"]
    assert not page.remote.isVisible()
    crowded.show("cloud")
    assert page.badges["format"].text() == "Remote"
    assert "goes to https://example.org/v1" in page.remote.text()
    assert page.remote.isVisible()
    hidden = (page.here, page.speed, page.settings.running)
    assert not any(part.isVisible() for part in hidden)
    assert "Remote" in str(crowded.window.list.rows.place("cloud").data(Qt.ItemDataRole.AccessibleTextRole))


def test_a_model_is_loaded_chatted_with_and_unloaded(crowded: ModelsDesk) -> None:
    page = crowded.window.page
    crowded.show("stories")
    crowded.click(page.load_button)
    crowded.wait_state("stories", ModelState.READY)
    assert page.load_button.text() == "Unload"
    crowded.wait(lambda: "(measured)" in page.here.facts()["Memory"])
    crowded.click(page.load_button)
    crowded.wait_state("stories", ModelState.UNLOADED)
    crowded.show("small")
    crowded.click(page.chat_button)
    crowded.wait(lambda: crowded.main.models.current == "small")
    assert crowded.main.session.conversation is None
    crowded.wait_state("small", ModelState.READY)


def test_a_model_is_renamed_in_place(desk: ModelsDesk) -> None:
    conversation = desk.hearth.conversations.create(model="stories")
    desk.key(Qt.Key.Key_F2)
    desk.wait(lambda: isinstance(QApplication.focusWidget(), QLineEdit))
    desk.type("Never Mind")
    desk.key(Qt.Key.Key_Escape)
    assert desk.names() == ["stories"]
    desk.click(desk.window.page.rename_button)
    desk.wait(lambda: isinstance(QApplication.focusWidget(), QLineEdit))
    desk.type("My Stories")
    desk.key(Qt.Key.Key_Return)
    desk.wait(lambda: desk.names() == ["my-stories"])
    assert desk.window.page.name == "my-stories"
    assert desk.hearth.conversations.get(conversation.id).model == "my-stories"
    desk.wait(lambda: desk.main.models.current == "my-stories")


def test_a_removed_model_comes_back_by_the_toast_and_by_ctrl_z(
    crowded: ModelsDesk, stories_float32: Path
) -> None:
    crowded.show("stories")
    crowded.key(Qt.Key.Key_Delete, widget=crowded.window.list.view)
    crowded.wait_said("Its files stay where they are.")
    crowded.wait(lambda: crowded.names() == ["cloud", "llama", "small"])
    assert crowded.window.page.name == "small"
    assert (stories_float32 / "model.onnx").is_file()
    crowded.wait(lambda: "stories" not in crowded.main.picker.popup.rows)
    crowded.click(crowded.window.page.remove_button)
    crowded.wait(lambda: crowded.names() == ["cloud", "llama"])
    crowded.click(crowded.window.toast.button)
    crowded.wait(lambda: crowded.window.page.name == "small")
    crowded.window.list.view.setFocus()
    crowded.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    crowded.wait(lambda: crowded.window.page.name == "stories")
    assert len(crowded.hearth.models.list()) == 4


def test_what_must_wait_for_an_answer_says_why(desk: ModelsDesk) -> None:
    page = desk.window.page
    worker = desk.hearth.pool.acquire("stories")
    worker.wait_ready()
    desk.wait(page.waiting.isVisible)
    waiting = (page.load_button, page.rename_button, page.remove_button, page.measure_button)
    assert not any(button.isEnabled() for button in waiting)
    desk.key(Qt.Key.Key_Delete, widget=desk.window.list.view)
    desk.wait_said("It is answering")
    assert desk.hearth.models.get("stories")
    worker.rest.release()
    desk.wait(lambda: all(button.isEnabled() for button in waiting))
    assert not page.waiting.isVisible()


def test_settings_of_a_model_act_at_once_and_go_back_to_the_default(desk: ModelsDesk) -> None:
    def own() -> dict[str, object]:
        settings = desk.hearth.models.get("stories").manifest.settings
        return {
            key: value for key in settings.__struct_fields__ if (value := getattr(settings, key)) is not None
        }

    page = desk.window.page
    page.tabs.setCurrentIndex(1)
    page.settings.rows["temperature"].field.setFocus()
    page.settings.rows["temperature"].field.selectAll()
    desk.type("0.25")
    page.settings.prompt.setFocus()
    desk.type("Be brief.")
    desk.wait(lambda: own() == {"temperature": 0.25, "system_prompt": "Be brief."})
    desk.wait(lambda: desk.main.panel.rows["temperature"].field.value() == 0.25)
    for key, value in (("max_context", "256"), ("unload_minutes", "0")):
        page.settings.rows[key].field.setFocus()
        page.settings.rows[key].field.selectAll()
        desk.type(value)
        desk.key(Qt.Key.Key_Tab)
    desk.wait(lambda: own().get("max_context") == 256 and own().get("unload_minutes") == 0)
    assert page.settings.rows["unload_minutes"].field.text() == "Never"
    desk.wait(lambda: page.settings.device.findData("cpu") >= 0)
    page.settings.device.setCurrentIndex(page.settings.device.findData("cpu"))
    page.settings.device.activated.emit(page.settings.device.currentIndex())
    desk.wait(lambda: own().get("device") == "cpu")
    rows = page.settings.rows
    resets = [page.settings.prompt_reset, page.settings.device_reset]
    for button in (
        *resets,
        *(rows[key].reset_button for key in ("temperature", "max_context", "unload_minutes")),
    ):
        button.click()
    desk.wait(lambda: own() == {})


def test_settings_are_kept_when_another_model_is_chosen_at_once(crowded: ModelsDesk) -> None:
    crowded.show("stories")
    crowded.window.page.tabs.setCurrentIndex(1)
    crowded.window.page.settings.prompt.setFocus()
    crowded.type("Rhyme.")
    crowded.show("small")
    assert crowded.window.page.settings.prompt.toPlainText() == ""
    crowded.wait(lambda: crowded.hearth.models.get("stories").manifest.settings.system_prompt == "Rhyme.")
    assert crowded.hearth.models.get("small").manifest.settings.system_prompt is None


def test_verifying_says_what_is_wrong_on_the_page(crowded: ModelsDesk) -> None:
    page = crowded.window.page
    crowded.show("stories")
    crowded.click(page.verify_button)
    crowded.wait_said("as they should be")
    crowded.show("small")
    file = crowded.hearth.models.get("small").path / "model.onnx"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    crowded.click(page.verify_button)
    crowded.wait(page.problem.isVisible)
    assert "model.onnx" in page.problem.text()
    crowded.show("stories")
    assert not page.problem.isVisible()


def test_measuring_shows_how_far_it_is_and_can_be_cancelled(crowded: ModelsDesk) -> None:
    page = crowded.window.page
    crowded.show("stories")
    crowded.click(page.measure_button)
    crowded.wait(lambda: page.job.job is not None and page.job.job.total)
    assert "runs" in page.job.words.text()
    assert not page.remove_button.isEnabled()
    crowded.show("small")
    assert not page.job.isVisible()
    assert "being measured" in page.waiting.text()
    crowded.show("stories")
    crowded.click(page.job.cancel_button)
    crowded.wait(lambda: not page.job.isVisible())
    assert page.measure_button.isEnabled()
    assert crowded.hearth.models.get("stories").manifest.speed is None


def test_a_model_that_is_measured_keeps_its_name_until_that_is_done(desk: ModelsDesk) -> None:
    desk.click(desk.window.page.measure_button)
    desk.wait(desk.window.page.job.isVisible)
    desk.key(Qt.Key.Key_F2)
    desk.wait_said("Wait until “stories” is done")
    assert desk.window.findChild(QLineEdit, "renameField") is None
    desk.click(desk.window.page.job.cancel_button)
    desk.wait(lambda: not desk.window.page.job.isVisible())


def test_what_others_have_written_is_never_taken_for_html(crowded: ModelsDesk) -> None:
    text = '<img src="//example.org/x.png">'
    crowded.hearth.models.note("small", source=text, format=text)
    crowded.show("small")
    crowded.wait(lambda: crowded.window.page.about.facts().get("From") == text)
    label = next(one for one in crowded.window.page.findChildren(ElidedLabel) if one.text() == text)
    row = crowded.window.list.rows.place("small")
    for tip in (label.toolTip(), row.data(Qt.ItemDataRole.ToolTipRole)):
        assert "&lt;img" in tip
    plain = Qt.TextFormat.PlainText
    assert crowded.window.page.state.textFormat() is plain


def test_the_end_of_hearth_stops_a_measurement(desk: ModelsDesk) -> None:
    page = desk.window.page
    desk.click(page.measure_button)
    desk.wait(lambda: page.job.job is not None and page.job.job.total)
    desk.main.close()
    desk.wait(desk.main.is_closed)
    assert ModelRegistry(desk.hearth.models.root).get("stories").manifest.speed is None


def test_what_cannot_come_back_under_its_name_can_be_undone_later(
    desk: ModelsDesk, registry: ModelRegistry, stories_int8: Path
) -> None:
    desk.key(Qt.Key.Key_Delete, widget=desk.window.list.view)
    desk.wait(lambda: desk.names() == [])
    registry.import_folder(stories_int8, name="stories")
    desk.click(desk.window.toast.button)
    desk.wait_said("already")
    registry.remove("stories")
    desk.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier, widget=desk.window)
    desk.wait(lambda: desk.names() == ["stories"])
    assert desk.hearth.models.get("stories").in_place


def test_a_model_of_hearth_can_neither_be_renamed_nor_removed(
    starter: str, open_window: Callable[..., Any], qtbot: QtBot
) -> None:
    desk = ModelsDesk(open_window().window, qtbot)
    page = desk.window.page
    assert page.name == starter
    assert page.badges["built_in"].isVisible()
    assert not any(button.isEnabled() for button in (page.rename_button, page.remove_button))
    desk.click(page.verify_button)
    desk.wait_said("no checksums")
    desk.key(Qt.Key.Key_F2)
    desk.wait_said("keeps its name")
    desk.key(Qt.Key.Key_Delete, widget=desk.window.list.view)
    desk.wait_said("cannot be removed")


def test_without_models_the_window_leads_on(open_window: Callable[..., Any], qtbot: QtBot) -> None:
    desk = ModelsDesk(open_window().window, qtbot)
    window = desk.window
    assert window.right.currentWidget() is window.empty
    with qtbot.waitSignal(window.add_wanted):
        desk.click(window.empty.button)


def test_what_another_process_does_to_models_is_seen_here_and_in_the_main_window(
    crowded: ModelsDesk, registry: ModelRegistry, stories_int8: Path
) -> None:
    crowded.show("llama")
    registry.remove("llama")
    registry.import_folder(stories_int8, name="new")
    crowded.wait(lambda: crowded.names() == ["cloud", "new", "small", "stories"])
    assert crowded.window.page.name == "new"
    crowded.click(crowded.window.page.chat_button)
    crowded.wait(lambda: crowded.main.models.current == "new")


def test_language_theme_and_size_of_the_text_change_while_the_window_is_open(desk: ModelsDesk) -> None:
    desk.hearth.change_settings({"language": "zh", "theme": "dark"})
    desk.wait(lambda: desk.window.windowTitle() == "模型")
    assert desk.window.page.name == "stories"
    assert desk.window.page.load_button.text() == "加载"
    desk.wait(lambda: theme().dark)
    assert DARK.sidebar in desk.window.styleSheet()
    before = desk.window.page.load_button.fontMetrics().height()
    desk.main.set_text_size(2.0)
    assert desk.window.page.load_button.fontMetrics().height() > 1.8 * before
    desk.key(Qt.Key.Key_Delete, widget=desk.window.list.view)
    desk.wait(lambda: desk.names() == [])
