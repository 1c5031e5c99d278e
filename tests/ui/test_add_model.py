"""The wizard that adds a model, by clicks and keys against a hub that runs here: from the first page to an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QLineEdit,
    QListWidget,
    QMenu,
    QMessageBox,
    QPushButton,
    QRadioButton,
    QScrollArea,
    QWidget,
)
from pytestqt.qtbot import QtBot

from adding import CHECKPOINT, GATED, GGUF, SMALL, WizardHand, know_machine, repositories
from disks import enlarge, leave_no_room, small_disk
from hearth.conversations.message import MessageStatus
from hearth.errors import ModelNotFinite
from hearth.model_folder.manifest import RemoteModel
from hearth.model_folder.model_settings import ModelSettings
from hearth.models.hub.choices import Format
from hearth.models.hub.patience import Patience
from hearth.models.registry import ModelRegistry
from hearth.paths import models_folder
from hearth.services.downloads import Downloads
from hearth.services.hub import look
from hearth.services.install_events import InstallState, InstallStatus, InstallStep
from hearth.ui.add_model.progress_page import ProgressPage
from hearth.ui.wording import measured_speed_text, speed_text
from hub_server import HubRepository, HubServer
from key_stores import KeyStore

ENTER, ESCAPE = Qt.Key.Key_Return, Qt.Key.Key_Escape


@pytest.fixture(scope="module")
def on_the_hub(tmp_path_factory: pytest.TempPathFactory, stories_gguf: Path) -> dict[str, HubRepository]:
    return repositories(tmp_path_factory.mktemp("hub"), stories_gguf)


@pytest.fixture
def server(on_the_hub: dict[str, HubRepository], monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer(on_the_hub) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        for name in ("HEARTH_HUB_TOKEN", "HEARTH_OFFLINE", "HTTP_PROXY", "http_proxy"):
            monkeypatch.delenv(name, raising=False)
        patience = Patience(tries=2, first_seconds=0.01, longest_seconds=0.01)
        monkeypatch.setattr("hearth.models.hub.client.PATIENCE", patience)
        yield server


@pytest.fixture
def stopper(server: HubServer) -> Iterator[Event]:
    """The hub's files stop arriving in the middle until this is set."""
    event = Event()

    def hold(sent: int) -> None:
        if sent > 100_000:
            event.wait()

    server.on_sent = hold
    yield event
    event.set()


@pytest.fixture
def adding(server: HubServer, open_window: Callable[..., Any]) -> WizardHand:
    """A window on an empty home, and a hub."""
    know_machine()
    return WizardHand(open_window())


# From the first page to an answer


def test_a_model_is_searched_fetched_quantized_measured_and_answers(adding: WizardHand) -> None:
    hand, window = adding.hand, adding.window
    assert window.empty.button.text() == "Add a Model…"
    hand.click(window.empty.button)
    adding.activate()
    wizard = adding.wizard
    wizard.choose.search.setFocus()
    hand.type("tiny")
    hand.click(wizard.choose.search_button)
    hand.wait(lambda: [row.title for row in wizard.choose.list.rows()] == [CHECKPOINT])
    hand.click(wizard.next)
    hand.wait(lambda: wizard.details.forms is not None)
    assert wizard.details.licence.text() == "apache-2.0"
    assert wizard.details.fit.verdict.text().startswith("Runs well: it needs")
    assert "to fetch" in wizard.details.fit.disk.text()
    assert "about a minute to compress it" in wizard.details.fit.disk.text()
    box = wizard.details.choices.boxes["safetensors"]
    box.setFocus()
    hand.key(Qt.Key.Key_End, widget=box)
    assert box.currentText() == "8 bits: nearly as the original"
    assert wizard.details.name.text() == "tiny-llama"
    assert wizard.next.text() == "Download and Compress"
    hand.click(wizard.next)
    hand.wait(lambda: adding.on(wizard.progress))
    assert [row.title.text() for row in wizard.progress.rows.values() if not row.whole.isHidden()] == [
        "Download",
        "Compress (quantize)",
        "Measure quality",
        "Check",
    ]
    adding.wait_ready()
    assert wizard.ready.heading.text() == "tiny-llama is ready"
    assert "of 100 times" in wizard.ready.quality.text() or "each time" in wizard.ready.quality.text()
    hand.click(wizard.ready.more_button)
    assert "KL divergence" in wizard.ready.figures.text()
    assert wizard.ready.chart.isVisible()
    assert window.install_strip.isHidden()
    hand.click(wizard.next)
    hand.wait_loaded("tiny-llama")
    assert window.add_model.wizard is None
    hand.set_parameter("max_tokens", "4")
    hand.ask("Once")
    answer = hand.wait_answer()
    assert answer.status is MessageStatus.COMPLETE
    assert answer.model == "tiny-llama"


def test_by_keyboard_alone(adding: WizardHand) -> None:
    hand, window = adding.hand, adding.window
    hand.key(Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    adding.activate()
    wizard = adding.wizard
    hand.wait(wizard.choose.list.hasFocus)
    hand.key(Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    hand.wait(wizard.choose.search.hasFocus)
    hand.type("smollm2 360m")
    hand.key(Qt.Key.Key_Down)
    assert [row.title for row in wizard.choose.list.rows()] == ["SmolLM2 360M"]
    hand.key(ENTER)
    hand.wait(lambda: wizard.details.forms is not None)
    hand.wait(wizard.next.hasFocus)
    assert wizard.details.heading.text() == "SmolLM2 360M"
    assert wizard.details.name.text() == "smollm2-360m"
    hand.key(ENTER)
    adding.wait_ready()
    assert "not measured" in wizard.ready.quality.text()  # others have made the file
    speed = wizard.ready.speed
    hand.key(Qt.Key.Key_Tab, Qt.KeyboardModifier.ShiftModifier)
    hand.key(Qt.Key.Key_Tab, Qt.KeyboardModifier.ShiftModifier)
    assert speed.button.hasFocus()
    hand.key(ENTER)
    assert speed.stop_button.isVisible()
    assert not wizard.next.isEnabled()
    hand.wait(lambda: not speed.is_running())
    assert speed.words.text().startswith("It writes ")
    wizard.next.setFocus()
    hand.key(ENTER)
    hand.wait_loaded("smollm2-360m")
    assert window.composer.edit.hasFocus() or window.isActiveWindow() is False


def test_each_page_leads_back(adding: WizardHand, stopper: Event) -> None:
    hand = adding.hand
    wizard = adding.open()
    adding.look_at(GGUF)
    hand.click(wizard.back)
    assert adding.on(wizard.choose)
    assert wizard.choose.search.text() == GGUF
    hand.key(ESCAPE)
    assert wizard.choose.search.text() == ""  # first out of the search
    adding.look_at(GGUF)
    hand.key(Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    assert adding.on(wizard.choose)
    hand.key(ESCAPE)
    adding.get(GGUF, "stories")
    hand.key(ESCAPE)
    assert adding.on(wizard.choose)
    hand.wait(lambda: wizard.choose.list.count() or wizard.choose.waiting.isVisible())
    stopper.set()
    hand.key(ESCAPE)
    hand.key(ESCAPE)
    hand.wait(lambda: adding.window.add_model.wizard is None)
    hand.wait(lambda: "stories is ready" in adding.window.toast.text())


def test_the_frames_own_button_closes_on_each_page(adding: WizardHand) -> None:
    adding.open()
    adding.look_at(GGUF)
    adding.wizard.close()
    adding.hand.wait(lambda: adding.window.add_model.wizard is None)


# What is on its way


def test_closed_in_the_middle_it_goes_on_and_the_strip_leads_back(adding: WizardHand, stopper: Event) -> None:
    hand, window = adding.hand, adding.window
    adding.open()
    adding.get(GGUF, "stories")
    assert adding.wizard.next.text() == "Close"
    hand.click(adding.wizard.next)
    hand.wait(lambda: window.add_model.wizard is None)
    hand.wait(lambda: window.install_strip.words().startswith("stories: Downloading"))
    hand.click(window.install_strip)
    assert adding.on(adding.wizard.progress)
    assert adding.wizard.progress.status.name == "stories"
    adding.wizard.done(0)
    stopper.set()
    hand.wait(lambda: window.toast.text() == "stories is ready.")
    assert window.install_strip.isHidden()
    hand.click(window.toast.button)
    hand.wait_loaded("stories")


def test_what_an_earlier_run_has_left_is_in_the_strip_and_goes_on(
    adding: WizardHand, stopper: Event, open_window: Callable[..., Any]
) -> None:
    adding.open()
    adding.get(GGUF, "stories")
    adding.hand.wait(lambda: adding.wizard.progress.status.done)
    adding.hand.close()
    again = open_window()
    again.wait(again.window.install_strip.isVisible)
    assert again.window.install_strip.words().startswith("stories: ")
    stopper.set()
    again.wait(lambda: again.window.toast.text() == "stories is ready.")


@pytest.mark.parametrize("copy", ["whole", "gone"])
def test_a_damaged_note_is_said_and_tried_again_or_cancelled(
    adding: WizardHand, stopper: Event, open_window: Callable[..., Any], copy: str
) -> None:
    adding.open()
    adding.get(GGUF, "stories")
    adding.hand.wait(lambda: adding.wizard.progress.status.done)
    models = adding.window.hearth.models.root
    adding.hand.close()
    (folder,) = (models / ".downloads").iterdir()
    (folder / "download.json").write_bytes(b"\0" * 100)
    if copy == "gone":
        (folder / "download.copy.json").unlink()
    hand = open_window()
    again, strip = WizardHand(hand), hand.window.install_strip
    hand.wait(lambda: strip.words().endswith("Stopped by a problem"))
    hand.click(strip)
    progress = again.wizard.progress
    assert "cannot be read. Try again. If that does not help, cancel it" in progress.problem.text()
    assert progress.pause_button.text() == "Try Again"
    stopper.set()
    hand.click(progress.pause_button)  # what is wrong is not said until it is met again
    if copy == "whole":
        again.wait_ready()
        assert again.wizard.ready.entry.name == "stories"
        return
    hand.wait(progress.problem.isVisible)
    hand.click(progress.cancel_button)
    box = again.wizard.findChild(QMessageBox)
    hand.click(next(button for button in box.buttons() if button.text() == "Cancel and Delete"))
    hand.wait(strip.isHidden)
    assert not (models / ".downloads").exists()


def test_paused_resumed_and_cancelled(adding: WizardHand, stopper: Event) -> None:
    hand, window = adding.hand, adding.window
    adding.open()
    adding.get(GGUF, "stories")
    progress = adding.wizard.progress

    def state() -> InstallState | None:
        return progress.status.state if progress.status else None

    hand.wait(lambda: state() is InstallState.RUNNING)
    hand.click(progress.pause_button)
    hand.wait(lambda: state() is InstallState.PAUSED)
    assert progress.pause_button.text() == "Resume"
    assert "Paused" in window.install_strip.words()
    hand.click(progress.pause_button)
    hand.wait(lambda: state() is InstallState.RUNNING)
    hand.click(progress.cancel_button)
    box = adding.wizard.findChild(QMessageBox)
    hand.click(next(button for button in box.buttons() if button.text() == "Keep Going"))
    assert state() is InstallState.RUNNING
    hand.click(progress.cancel_button)
    hand.wait(lambda: adding.wizard.findChild(QMessageBox))
    box = adding.wizard.findChildren(QMessageBox)[-1]
    hand.click(next(button for button in box.buttons() if button.text() == "Cancel and Delete"))
    hand.wait(lambda: adding.on(adding.wizard.choose))
    assert window.install_strip.isHidden()
    assert window.hearth.installs.list() == []
    assert window.hearth.models.list() == []


def test_a_problem_on_the_way_is_said_and_tried_again(
    adding: WizardHand, server: HubServer, on_the_hub: dict[str, HubRepository]
) -> None:
    adding.open()
    adding.look_at(GGUF)
    server.repositories.pop(GGUF)
    adding.name("stories")
    adding.hand.click(adding.wizard.next)
    progress = adding.wizard.progress
    adding.hand.wait(lambda: progress.status and progress.status.state is InstallState.FAILED)
    assert "There is no repository" in progress.problem.text()
    assert progress.pause_button.text() == "Try Again"
    server.repositories[GGUF] = on_the_hub[GGUF]
    adding.hand.click(progress.pause_button)
    adding.wait_ready()


def test_a_disk_that_fills_is_said_nothing_is_lost_and_it_goes_on_when_there_is_room(
    server: HubServer, open_window: Callable[..., Any], hearth_home: Path
) -> None:
    know_machine()
    with small_disk(models_folder(), 1 << 30) as disk:
        adding = WizardHand(open_window())

        def fill(sent: int) -> None:
            if sent > 100_000:
                server.on_sent = lambda _sent: None
                leave_no_room(disk)

        server.on_sent = fill
        adding.open()
        adding.get(GGUF, "stories")
        adding.hand.wait(adding.wizard.progress.problem.isVisible)
        adding.hand.close()
        adding = WizardHand(open_window())
        strip = adding.window.install_strip
        adding.hand.wait(lambda: strip.words() == "stories: Stopped by a problem")
        adding.hand.click(strip)
        progress = adding.wizard.progress
        assert progress.problem.text() == (
            f"There is not enough free space in {disk}. "
            "Free some space on that disk and try again; nothing was lost."
        )
        kept = progress.status.done
        assert kept > 0
        enlarge(disk, 1 << 30)
        server.asked.clear()
        adding.hand.click(progress.pause_button)
        adding.wait_ready()
        assert [asked.start for asked in server.asked if asked.path.endswith(".gguf")] == [kept]
        adding.hand.close()


def test_a_problem_comes_into_view_where_the_window_is_low(adding: WizardHand, server: HubServer) -> None:
    wizard = adding.open()
    make_low(adding)
    adding.look_at(CHECKPOINT)
    server.repositories.pop(CHECKPOINT)
    adding.hand.click(wizard.next)
    adding.hand.wait(wizard.progress.problem.isVisible)
    adding.hand.wait(wizard.progress.area.verticalScrollBar().value)
    assert not wizard.progress.problem.visibleRegion().isEmpty()


def test_of_a_model_that_was_not_kept_nothing_is_said_to_be_kept(qtbot: QtBot) -> None:
    page = ProgressPage()
    qtbot.addWidget(page)
    page.show_status(
        InstallStatus(
            id="install-tiny",
            repository=CHECKPOINT,
            choice="",
            format=Format.CHECKPOINT,
            name="tiny",
            recipe="int8",
            steps=tuple(InstallStep),
            step=InstallStep.QUANTIZE,
            state=InstallState.FAILED,
            error=ModelNotFinite(),
        )
    )
    assert "It was not kept" in page.problem.text()
    assert page.hint.text() == ""


def test_what_cannot_be_done_to_a_model_on_its_way_is_said_on_its_page(
    adding: WizardHand, stopper: Event
) -> None:
    adding.open()
    adding.get(GGUF, "stories")
    progress = adding.wizard.progress
    adding.hand.wait(lambda: progress.status and progress.status.state is InstallState.RUNNING)
    adding.hand.click(progress.pause_button)
    adding.hand.wait(lambda: progress.status and progress.status.state is InstallState.PAUSED)
    other = Downloads(ModelRegistry(adding.window.hearth.models.root))  # as another program
    other.cancel(progress.status.id)
    adding.hand.click(progress.pause_button)
    adding.hand.wait(progress.problem.isVisible)
    assert progress.status.id in progress.problem.text()


def test_two_on_their_way_are_told_together(adding: WizardHand, stopper: Event) -> None:
    hand, window = adding.hand, adding.window
    adding.open()
    adding.get(GGUF, "one")
    hand.click(adding.wizard.back)
    adding.wizard.choose.show_catalogue()
    adding.get(f"{SMALL}-GGUF", "two")
    hand.wait(lambda: window.install_strip.words().startswith("2 models on their way"))
    adding.wizard.done(0)
    hand.click(window.install_strip)
    menu = window.install_strip.findChild(QMenu)
    action = next(action for action in menu.actions() if action.text().startswith("one: "))
    action.trigger()
    menu.close()
    assert adding.wizard.progress.status.name == "one"
    stopper.set()
    adding.wait_ready()
    assert adding.wizard.ready.entry.name == "one"


# The first page


def test_the_catalogue_is_there_at_once_and_then_says_what_runs_well(adding: WizardHand) -> None:
    hand = adding.hand
    adding.window.actions_.add_model.trigger()
    choose = adding.wizard.choose
    assert choose.list.count() == 34
    adding.open()
    first = choose.list.rows()[0]
    assert first.badge == "Recommended for this machine"
    assert first.verdict == "Runs well"
    assert choose.list.row_chosen() == first
    verdicts = [row.verdict for row in choose.list.rows()]
    assert verdicts[-1] in ("Does not fit", "No room on the disk")
    choose.use.setFocus()
    hand.type("Code")
    hand.wait(lambda: 0 < choose.list.count() < 10)
    assert all("code" in row.source.uses for row in choose.list.rows())
    hand.key(Qt.Key.Key_Home, widget=choose.use)
    choose.search.setFocus()
    hand.type("gemma apache")
    assert choose.waiting.isVisible()
    assert "The catalogue has no such model" in choose.waiting.words.text()
    assert not adding.wizard.next.isEnabled()


def make_low(adding: WizardHand) -> None:
    """Large text on a screen of 1366 x 768 pixels at 200 %."""
    adding.window.set_text_size(2.0)
    adding.wizard.setMinimumSize(1, 1)
    adding.wizard.resize(683, 348)


def test_where_the_window_is_low_the_first_page_scrolls_and_cuts_nothing(adding: WizardHand) -> None:
    choose = adding.open().choose
    make_low(adding)
    adding.hand.wait(choose.area.verticalScrollBar().maximum)
    labels = (choose.heading, choose.text)
    adding.hand.wait(lambda: all(label.height() >= label.heightForWidth(label.width()) for label in labels))
    for button in (choose.search_button, choose.import_button):
        assert button.height() >= button.minimumSizeHint().height()
    assert choose.list.height() >= choose.list.sizeHintForRow(0) / 2
    adding.hand.key(Qt.Key.Key_Down, widget=choose.list)
    top = choose.list.mapTo(choose.area.viewport(), QPoint()).y()
    assert 0 <= top < choose.area.viewport().height() / 2
    choose.search.setText("no such model")
    adding.hand.wait(choose.waiting.button.isVisible)
    adding.hand.wait(lambda: choose.waiting.button.height() >= choose.waiting.button.sizeHint().height())


def test_a_hub_that_is_away_is_said_in_one_line_and_asked_again(
    adding: WizardHand, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand, choose = adding.hand, adding.open().choose
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    choose.search.setFocus()
    hand.type("stories")
    hand.key(ENTER)
    hand.wait(choose.waiting.button.isVisible)
    assert "127.0.0.1 cannot be reached" in choose.waiting.words.text()
    monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
    monkeypatch.setenv("HEARTH_OFFLINE", "1")
    hand.click(choose.waiting.button)
    hand.wait(lambda: "stay offline" in choose.waiting.words.text())
    monkeypatch.delenv("HEARTH_OFFLINE")
    hand.click(choose.waiting.button)
    hand.wait(lambda: [row.title for row in choose.list.rows()] == [GGUF, GATED])
    hand.click(choose.catalogue_button)
    assert choose.list.count() == 34
    choose.search.setFocus()
    hand.type("no such thing")
    hand.key(ENTER)
    hand.wait(lambda: "has nothing for “no such thing”" in choose.waiting.words.text())


def test_a_folder_of_this_machine_is_added_by_the_import_dialog(
    adding: WizardHand, stories_float32: Path
) -> None:
    adding.open()
    adding.hand.click(adding.wizard.choose.import_button)
    menu = adding.wizard.choose.findChild(QMenu)
    menu.actions()[0].trigger()
    menu.close()
    adding.hand.wait(lambda: adding.window.add_model.wizard is None)
    adding.hand.choose_folder(stories_float32)
    adding.hand.click(adding.hand.dialog().cancel_button)


# The second page


def test_a_gated_model_is_had_with_a_token(adding: WizardHand, server: HubServer, store: KeyStore) -> None:
    hand = adding.hand
    server.tokens["hf_good"] = "somebody"
    server.repositories[GATED].accepted.add("hf_good")
    wizard = adding.open()
    adding.look_at(GATED)
    gate = wizard.details.gate
    assert gate.isVisible()
    assert gate.token.hasFocus()
    assert not wizard.next.isEnabled()
    hand.type("hf_bad")
    hand.key(ENTER)
    hand.wait(gate.problem.isVisible)
    assert "does not accept the token" in gate.problem.text()
    gate.token.clear()
    hand.qtbot.keyClicks(gate.token, "hf_good")
    hand.click(gate.use_button)
    hand.wait(wizard.next.isEnabled)
    assert not gate.isVisible()
    assert list(store.keys.values()) == ["hf_good"]
    assert gate.token.text() == ""
    hand.click(wizard.next)
    adding.wait_ready()


def test_a_name_that_cannot_be_used_and_a_repository_that_is_gone_are_said(
    adding: WizardHand, stories_float32: Path
) -> None:
    hand = adding.hand
    hand.import_model(stories_float32, "stories")
    wizard = adding.open()
    adding.look_at(GGUF)
    for name, said in (("stories", "already a model"), ("Ä", "small letters"), (" ", "small letters")):
        adding.name(name)
        assert said in wizard.details.problem.text()
        assert not wizard.next.isEnabled()
    hand.click(wizard.back)
    wizard.choose.show_catalogue()
    wizard.choose.search.setFocus()
    hand.type("https://huggingface.co/org/vanished/tree/main")
    assert wizard.choose.search_button.text() == "Look at This Model"
    hand.click(wizard.choose.search_button)
    hand.wait(wizard.details.waiting.button.isVisible)
    assert "There is no repository org/vanished" in wizard.details.waiting.words.text()


def test_what_keeps_a_model_from_being_added_is_said_until_something_else_is_wanted(
    adding: WizardHand, server: HubServer
) -> None:
    wizard = adding.open()
    adding.look_at(GGUF)
    assert wizard.details.name.text() == "stories"
    server_model = RemoteModel(address="http://127.0.0.1:9", model="stories")
    adding.window.hearth.models.add_remote("stories", server_model)  # after the wizard has looked
    adding.hand.click(wizard.next)
    adding.hand.wait(wizard.details.problem.isVisible)
    assert "already" in wizard.details.problem.text()
    assert wizard.next.isEnabled()
    adding.name("tales")
    assert not wizard.details.problem.isVisible()


def test_the_frame_closes_the_wizard_from_any_page(adding: WizardHand) -> None:
    adding.open()
    adding.look_at(GGUF)
    adding.wizard.close()
    adding.hand.wait(lambda: adding.window.add_model.wizard is None)


def test_where_long_conversations_are_slow_their_length_is_chosen(
    server: HubServer, open_window: Callable[..., Any]
) -> None:
    know_machine(bandwidth=3.8e9)
    adding = WizardHand(open_window())
    adding.open()
    adding.look_at(f"{SMALL}-GGUF")
    card = adding.wizard.details.fit
    assert card.context_box.currentText() == "4,096 tokens (Runs well)"  # the longest that does
    assert card.verdict.text().startswith("Runs well")
    card.context_box.setFocus()
    adding.hand.key(Qt.Key.Key_Down, widget=card.context_box)
    assert card.context_box.currentText() == "8,192 tokens (Runs slowly)"
    assert card.verdict.text().startswith("Runs slowly: it writes about")
    adding.hand.key(Qt.Key.Key_Up, widget=card.context_box)
    adding.hand.click(adding.wizard.next)
    adding.wait_ready()
    assert adding.wizard.ready.entry.manifest.settings.max_context == 4096


def test_a_length_that_was_chosen_in_an_earlier_try_is_forgotten(adding: WizardHand, stopper: Event) -> None:
    hearth = adding.window.hearth
    adding.open()
    offer = look(GGUF)
    before = hearth.installs.add(
        offer.repository, offer.choices[0], name="tales", settings=ModelSettings(max_context=64)
    )
    adding.get(GGUF, "stories")
    assert adding.wizard.progress.status.id == before.id
    stopper.set()
    adding.wait_ready()
    assert hearth.models.get("stories").manifest.settings.max_context is None


def test_in_another_language_the_wizard_stays_where_it_was(adding: WizardHand) -> None:
    hand, window = adding.hand, adding.window
    adding.open()
    adding.look_at(GGUF)
    window.hearth.change_settings({"language": "zh"})
    hand.wait(lambda: window.add_model.wizard.windowTitle() == "添加模型")
    assert adding.on(adding.wizard.details)
    assert adding.wizard.details.name.text() == "stories"
    assert adding.wizard.next.text() == "下载"


def test_speeds_are_grouped_as_other_numbers_are() -> None:
    assert [speed_text(speed) for speed in (9.54, 95.4, 19_890.0)] == ["9.5", "95", "19,890"]
    assert [measured_speed_text(speed) for speed in (9.543, 3_144_566.0)] == ["9.54", "3,144,566"]


def test_a_long_address_does_not_push_the_page_out_of_the_window(adding: WizardHand) -> None:
    wizard = adding.open()
    adding.window.set_text_size(2.0)
    wizard.resize(wizard.minimumSize())
    adding.look_at(f"{SMALL}-GGUF")
    adding.hand.wait(wizard.details.source.isVisible)
    QApplication.processEvents()
    area = wizard.details.findChild(QScrollArea)
    assert area.widget().width() <= area.viewport().width()
    assert wizard.details.source.text().endswith("-GGUF")  # what is left out is only not painted


def test_a_form_that_the_next_model_lacks_is_not_the_chosen_one(adding: WizardHand) -> None:
    wizard = adding.open()
    adding.look_at(CHECKPOINT)
    adding.hand.click(wizard.back)
    wizard.choose.show_catalogue()
    adding.look_at(GGUF)
    assert wizard.details.choices.form().choice.format is Format.GGUF


def test_another_model_is_shown_from_its_beginning(adding: WizardHand) -> None:
    wizard = adding.open()
    wizard.resize(wizard.minimumSize())
    adding.look_at(GATED)
    bar = wizard.details.findChild(QScrollArea).verticalScrollBar()
    adding.hand.wait(bar.maximum)
    bar.setValue(bar.maximum())
    adding.hand.click(wizard.back)
    wizard.choose.show_catalogue()
    adding.look_at(f"{SMALL}-GGUF")
    adding.hand.wait(wizard.next.hasFocus)
    assert bar.maximum() > 0
    assert bar.value() == 0


def test_text_grows_with_that_of_the_window(adding: WizardHand) -> None:
    wizard = adding.open()
    before = wizard.choose.heading.font().pointSizeF(), wizard.choose.list.sizeHintForRow(0)
    adding.window.set_text_size(2.0)
    QApplication.processEvents()
    after = wizard.choose.heading.font().pointSizeF(), wizard.choose.list.sizeHintForRow(0)
    assert after[0] == pytest.approx(2 * before[0])
    assert after[1] > 1.5 * before[1]


# The keyboard


def test_every_control_of_each_page_is_reached_by_tab_and_has_a_name(
    adding: WizardHand, stopper: Event
) -> None:
    wizard = adding.open()
    assert unreached(adding) == set()
    adding.look_at(GATED)
    assert unreached(adding) == set()
    adding.hand.key(Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    wizard.choose.show_catalogue()
    adding.look_at(CHECKPOINT)
    assert unreached(adding) == set()
    adding.hand.click(wizard.next)
    adding.hand.wait(lambda: adding.on(wizard.progress))
    assert unreached(adding) == set()
    stopper.set()
    adding.wait_ready()
    assert unreached(adding) == set()


def unreached(adding: WizardHand) -> set[str]:
    """What can be used on the page, but not by keyboard, or without a name that a screen reader can say."""
    wizard = adding.wizard
    kinds = (QPushButton, QLineEdit, QComboBox, QRadioButton, QListWidget)
    wanted = {
        widget
        for kind in kinds
        for widget in wizard.findChildren(kind)
        if widget.isVisible() and widget.isEnabled()
    }
    met = set[QWidget | None]()
    for _ in range(3 * len(wanted)):
        met.add(QApplication.focusWidget())
        adding.hand.key(Qt.Key.Key_Tab)
    nameless = {
        widget
        for widget in wanted
        if not QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name)
    }
    return {f"{widget} {widget.objectName()}" for widget in (wanted - met) | nameless}


def test_the_form_is_chosen_by_arrows(adding: WizardHand, server: HubServer, tmp_path: Path) -> None:
    both = HubRepository({**server.repositories[CHECKPOINT].files, **server.repositories[GGUF].files})
    server.repositories["org/Both"] = both
    adding.open()
    adding.look_at("org/Both")
    choices = adding.wizard.details.choices
    before = choices.form().choice.format
    choices.buttons[before].setFocus()
    adding.hand.key(Qt.Key.Key_Down if before is Format.CHECKPOINT else Qt.Key.Key_Up)
    assert choices.form().choice.format is not before
    assert choices.boxes[choices.form().choice.format].isVisible()


def test_a_narrow_model_is_compressed_with_the_recipe_that_is_offered_first(adding: WizardHand) -> None:
    """Its rows are shorter than a block, which takes more bits for each weight than the recipe has."""
    wizard = adding.open()
    adding.look_at(CHECKPOINT)
    assert wizard.details.choices.recipe() == "balanced"
    adding.hand.key(ENTER)
    adding.wait_ready()
    assert "of 100 times" in wizard.ready.quality.text() or "each time" in wizard.ready.quality.text()


@pytest.mark.parametrize("moves_on", [False, True])
def test_after_measuring_the_keyboard_is_where_it_was(
    adding: WizardHand, stories_float32: Path, moves_on: bool
) -> None:
    registry = adding.window.hearth.models
    registry.import_folder(stories_float32, name="stories")
    adding.open().show_entry(registry.get("stories"))
    speed = adding.wizard.ready.speed
    speed.button.setFocus()
    adding.hand.key(ENTER)
    adding.hand.wait(speed.stop_button.hasFocus)
    adding.hand.key(ENTER)
    if moves_on:
        adding.wizard.back.setFocus()
    adding.hand.wait(lambda: not speed.is_running())
    assert (adding.wizard.back if moves_on else speed.button).hasFocus()
