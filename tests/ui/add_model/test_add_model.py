"""The wizard that adds a model, from the first page to an answer: there and back, and closed in between."""

from __future__ import annotations

from threading import Event

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from adding import CHECKPOINT, GGUF, WizardHand
from hearth.conversations.message import MessageStatus

ENTER, ESCAPE = Qt.Key.Key_Return, Qt.Key.Key_Escape


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


def test_a_narrow_model_is_compressed_with_the_recipe_that_is_offered_first(adding: WizardHand) -> None:
    """Its rows are shorter than a block, which takes more bits for each weight than the recipe has."""
    wizard = adding.open()
    adding.look_at(CHECKPOINT)
    assert wizard.details.choices.recipe() == "balanced"
    adding.hand.key(ENTER)
    adding.wait_ready()
    assert "of 100 times" in wizard.ready.quality.text() or "each time" in wizard.ready.quality.text()


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


def test_the_frames_own_button_closes_on_each_page(adding: WizardHand, stopper: Event) -> None:
    hand, window = adding.hand, adding.window

    def close() -> None:
        adding.wizard.close()
        hand.wait(lambda: window.add_model.wizard is None)

    adding.open()
    close()
    adding.open()
    adding.look_at(GGUF)
    close()
    adding.open()
    adding.get(GGUF, "stories")
    close()
    hand.wait(lambda: window.install_strip.words().startswith("stories: Downloading"))
    hand.click(window.install_strip)
    stopper.set()
    adding.wait_ready()
    close()


def test_in_another_language_the_wizard_stays_where_it_was(adding: WizardHand) -> None:
    hand, window = adding.hand, adding.window
    adding.open()
    adding.look_at(GGUF)
    window.hearth.change_settings({"language": "zh"})
    hand.wait(lambda: window.add_model.wizard.windowTitle() == "添加模型")
    assert adding.on(adding.wizard.details)
    assert adding.wizard.details.name.text() == "stories"
    assert adding.wizard.next.text() == "下载"


def test_text_grows_with_that_of_the_window(adding: WizardHand) -> None:
    wizard = adding.open()
    before = wizard.choose.heading.font().pointSizeF(), wizard.choose.list.sizeHintForRow(0)
    adding.window.set_text_size(2.0)
    QApplication.processEvents()
    after = wizard.choose.heading.font().pointSizeF(), wizard.choose.list.sizeHintForRow(0)
    assert after[0] == pytest.approx(2 * before[0])
    assert after[1] > 1.5 * before[1]
