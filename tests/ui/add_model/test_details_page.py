"""The wizard's second page: form, name, length of conversations, and what keeps a model from being added."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QScrollArea

from adding import CHECKPOINT, GATED, GGUF, SMALL, WizardHand, know_machine
from hearth.model_folder.manifest import RemoteModel
from hearth.model_folder.model_settings import ModelSettings
from hearth.models.hub.choices import Format
from hearth.services.hub import look
from hub_server import HubServer
from key_stores import KeyStore

ENTER = Qt.Key.Key_Return


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
