"""The wizard's first page: the catalogue, the search, a hub that is away, and models of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QMenu

from adding import GATED, GGUF, WizardHand
from hub_server import HubServer

ENTER = Qt.Key.Key_Return


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


def test_where_the_window_is_low_the_first_page_scrolls_and_cuts_nothing(adding: WizardHand) -> None:
    choose = adding.open().choose
    adding.make_low()
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
