"""The help window: contents, search, links and the way back, by mouse and by keys; without an open Hearth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import shiboken6
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, Qt
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QAbstractButton, QApplication, QLineEdit, QTreeWidgetItem
from pytestqt.qtbot import QtBot

from hands import Hands
from hearth import i18n
from hearth.help import read_help
from hearth.ui import help_window, theme
from hearth.ui.colours import DARK, LIGHT
from hearth.ui.help_window import HelpWindow

CONTENTS = """
[[group]]
en = "Chat"
zh = "聊天"
pages = ["ask", "stop"]

[[group]]
en = "Models"
zh = "模型"
pages = ["import"]
"""
LONG = "\n\n".join(f"Line {number} of a text that is long enough to scroll." for number in range(60))
PAGES = {
    "en": {
        "ask": "# Ask & answer\n\nYou ask.\n\n## How do I ask?\n\nPress `Enter`; see [stopping](stop#how-do-i-stop)"
        " and [more below](#what-is-shown), or [the web](https://example.org/a?b=c).\n\n"
        f"{LONG}\n\n## What is shown?\n\nThe answer.\n\n{LONG}\n",
        "stop": f"# Stop\n\nAn answer can be stopped.\n\n## How long?\n\nAny time.\n\n{LONG}\n\n"
        f"## How do I stop?\n\nPress `Esc`.\n\n{LONG}\n",
        "import": "# Import\n\nModels are folders.\n\n## How do I import?\n\nWith **File > Import**.\n\n"
        "| Key | Meaning |\n|---|---|\n| `Enter` | Go |\n",
    },
    "zh": {
        "ask": "# 提问\n\n你来提问。\n\n## 怎样提问？\n\n按 `Enter`。\n\n## 会显示什么？\n\n回答。\n",
        "stop": "# 停止\n\n可以停止。\n\n## 多久？\n\n随时。\n\n## 怎样停止？\n\n按 `Esc`。\n",
        "import": "# 导入\n\n模型是文件夹。\n\n## 怎样导入？\n\n选择菜单。\n",
    },
}


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small help in place of Hearth's own."""
    folder = tmp_path / "help"
    for language, sources in PAGES.items():
        (folder / language).mkdir(parents=True)
        for page_id, source in sources.items():
            (folder / language / f"{page_id}.md").write_text(source, encoding="utf-8")
    (folder / "contents.toml").write_text(CONTENTS, encoding="utf-8")
    monkeypatch.setattr(help_window, "read_help", lambda language: read_help(language, folder=folder))


class Reader(Hands):
    """What a reader does with the window."""

    def __init__(self, window: HelpWindow, qtbot: QtBot) -> None:
        self.window = window
        self.qtbot = qtbot

    def on(self, page_id: str) -> bool:
        return self.window.page is not None and self.window.page.id == page_id

    def search(self, words: str) -> None:
        self.key(Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
        assert QApplication.focusWidget() is self.window.search_field
        self.qtbot.keyClicks(self.window.search_field, words)

    def item(self, *titles: str) -> QTreeWidgetItem:
        """The row of the contents with these titles, from the group on."""
        rows = [
            self.window.contents.topLevelItem(row) for row in range(self.window.contents.topLevelItemCount())
        ]
        item = next(row for row in rows if row.text(0) == titles[0])
        for title in titles[1:]:
            item = next(row for row in map(item.child, range(item.childCount())) if row.text(0) == title)
        return item

    def click_item(self, *titles: str) -> None:
        contents = self.window.contents
        item = self.item(*titles)
        contents.scrollToItem(item)
        place = contents.visualItemRect(item).center()
        self.qtbot.mouseClick(contents.viewport(), Qt.MouseButton.LeftButton, pos=place)

    def click_link(self, words: str) -> None:
        view = self.window.view
        found = view.document().find(words)
        assert found.charFormat().isAnchor()
        found.setPosition(found.selectionStart() + 1)
        self.qtbot.mouseClick(
            view.viewport(), Qt.MouseButton.LeftButton, pos=view.cursorRect(found).center() + QPoint(1, 0)
        )

    def top(self) -> str:
        """The first words that can be seen of the page."""
        view = self.window.view
        cursor = view.cursorForPosition(QPoint(5, 20))
        cursor.select(QTextCursor.SelectionType.BlockUnderCursor)
        return cursor.selectedText().strip("\u2029 ")


@pytest.fixture
def open_help(pages: None, qtbot: QtBot) -> Iterator[Callable[[], Reader]]:
    """Opens help windows; those still there at the end are closed."""
    opened: list[HelpWindow] = []

    def open_() -> Reader:
        window = HelpWindow()
        opened.append(window)
        window.show_page(None)
        qtbot.waitUntil(lambda: window.page is not None)
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow)
        return Reader(window, qtbot)

    yield open_
    for window in opened:
        window.close()
        window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def reader(open_help: Callable[[], Reader]) -> Reader:
    return open_help()


def test_the_first_page_is_shown_first(reader: Reader) -> None:
    window = reader.window
    assert window.windowTitle() == "Hearth Help"
    assert reader.on("ask")
    assert window.view.toPlainText().startswith("Ask & answer\nYou ask.")
    assert window.contents.currentItem() is reader.item("Chat", "Ask & answer")
    assert reader.item("Chat").isExpanded()
    assert not reader.item("Models").isExpanded()
    assert window.group_label.text() == "Chat"


def test_groups_open_and_close_and_pages_are_shown_by_a_click(reader: Reader) -> None:
    reader.click_item("Models")
    assert reader.item("Models").isExpanded()
    assert reader.on("ask")
    reader.click_item("Models", "Import")
    assert reader.on("import")
    assert reader.window.group_label.text() == "Models"
    reader.click_item("Chat")
    assert not reader.item("Chat").isExpanded()


def test_the_contents_are_read_with_the_arrow_keys(reader: Reader) -> None:
    reader.window.contents.setFocus()
    reader.key(Qt.Key.Key_Down)
    assert reader.on("stop")
    reader.key(Qt.Key.Key_Down)
    assert reader.on("stop")
    assert reader.window.contents.currentItem() is reader.item("Models")
    reader.key(Qt.Key.Key_Right)
    reader.key(Qt.Key.Key_Down)
    assert reader.on("import")


def test_a_link_leads_to_a_section_and_alt_left_leads_back(reader: Reader) -> None:
    window = reader.window
    assert not window.back_button.isEnabled()
    reader.click_link("stopping")
    assert reader.on("stop")
    assert reader.top() == "How do I stop?"
    assert window.contents.currentItem() is reader.item("Chat", "Stop")
    reader.key(Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    assert reader.on("ask")
    assert window.view.verticalScrollBar().value() == 0
    assert not window.back_button.isEnabled()
    reader.key(Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    assert reader.on("stop")
    assert reader.top() == "How do I stop?"
    assert not window.forward_button.isEnabled()


def test_a_link_within_the_page_scrolls_and_can_be_gone_back_from(reader: Reader) -> None:
    reader.click_link("more below")
    assert reader.on("ask")
    assert reader.top() == "What is shown?"
    reader.click(reader.window.back_button)
    assert reader.window.view.verticalScrollBar().value() == 0


def test_the_way_back_ends_where_the_reader_was(reader: Reader) -> None:
    bar = reader.window.view.verticalScrollBar()
    bar.setValue(500)
    seen = reader.top()
    reader.click(reader.window.foot.next)
    assert reader.on("stop")
    assert bar.value() == 0
    reader.click(reader.window.back_button)
    assert reader.on("ask")
    assert reader.top() == seen


def test_a_link_to_the_web_is_handed_on_and_nothing_is_opened(reader: Reader) -> None:
    with reader.qtbot.waitSignal(reader.window.link_activated) as told:
        reader.click_link("the web")
    assert told.args == ["https://example.org/a?b=c"]
    assert reader.on("ask")


def test_the_foot_leads_through_all_pages_in_order(reader: Reader) -> None:
    foot = reader.window.foot
    assert not foot.previous.isVisible()
    assert foot.next.text() == "Stop"
    assert foot.next.accessibleName() == "Next page: Stop"
    reader.click(foot.next)
    assert reader.on("stop")
    assert foot.previous.text() == "Ask && answer"
    reader.click(foot.next)
    assert reader.on("import")
    assert not foot.next.isVisible()
    reader.click(foot.previous)
    assert reader.on("stop")


def test_hits_come_while_one_types_and_enter_goes_to_the_best(reader: Reader) -> None:
    window = reader.window
    reader.search("sto")
    assert window.left.currentWidget() is window.results
    hits = window.results.hits()
    assert [hit.page.id for hit in hits[:2]] == ["stop", "stop"]
    assert window.results.count.text() == f"{len(hits)} results"
    assert any(hit.snippet[slice(*hit.marks[0])] == "sto" for hit in hits if hit.marks)
    reader.key(Qt.Key.Key_Return)
    assert reader.on("stop")


def test_down_goes_into_the_hits_and_enter_to_the_one_chosen(reader: Reader) -> None:
    reader.search("how do I")
    reader.key(Qt.Key.Key_Down)
    results = reader.window.results
    assert QApplication.focusWidget() is results.list
    chosen = results.hits()[results.list.currentRow()]
    assert results.list.currentRow() == 1
    reader.key(Qt.Key.Key_Return)
    assert chosen.section is not None
    assert reader.on(chosen.page.id)
    if reader.window.view.verticalScrollBar().maximum():
        assert reader.top() == chosen.section.heading


def test_a_click_on_a_hit_shows_it(reader: Reader) -> None:
    reader.search("import")
    results = reader.window.results.list
    place = results.visualItemRect(results.item(0)).center()
    reader.qtbot.mouseClick(results.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert reader.on("import")
    assert reader.window.back_button.isEnabled()


def test_nothing_found_is_said_with_what_to_do(reader: Reader) -> None:
    window = reader.window
    reader.search("xylophone")
    assert window.results.nothing.isVisible()
    assert window.results.nothing.text() == "Nothing found for “xylophone”."
    assert "fewer or other words" in window.results.advice.text()
    assert not window.results.list.isVisible()
    reader.click(window.results.clear_button)
    assert window.search_field.text() == ""
    assert window.left.currentWidget() is window.contents


def test_escape_clears_the_search_and_then_closes(reader: Reader) -> None:
    window = reader.window
    reader.search("stop")
    reader.key(Qt.Key.Key_Down)
    reader.key(Qt.Key.Key_Escape)
    assert window.isVisible()
    assert window.search_field.text() == ""
    assert window.left.currentWidget() is window.contents
    assert QApplication.focusWidget() is window.search_field
    reader.key(Qt.Key.Key_Escape)
    assert not window.isVisible()


def test_ctrl_w_closes(reader: Reader) -> None:
    reader.key(Qt.Key.Key_W, Qt.KeyboardModifier.ControlModifier)
    assert not reader.window.isVisible()


def test_show_page_leads_to_a_page_or_to_a_section_by_heading_or_anchor(reader: Reader) -> None:
    window = reader.window
    window.show_page("import")
    assert reader.on("import")
    for section in ("How do I stop?", "how-do-i-stop"):
        window.show_page("stop", section)
        assert reader.on("stop")
        assert reader.top() == "How do I stop?"
        window.show_page("stop")
        assert window.view.verticalScrollBar().value() == 0
    window.show_page(None)
    assert reader.on("stop")


def test_a_page_asked_for_before_the_help_is_read_is_shown_once_it_is(pages: None, qtbot: QtBot) -> None:
    window = HelpWindow()
    qtbot.addWidget(window)
    window.show_page("stop", "How do I stop?")
    assert window.page is None
    qtbot.waitUntil(lambda: window.page is not None)
    reader = Reader(window, qtbot)
    assert reader.on("stop")
    assert reader.top() == "How do I stop?"
    assert not window.back_button.isEnabled()


def test_the_window_may_go_while_the_help_is_being_read(pages: None, qtbot: QtBot) -> None:
    for _ in range(20):
        window = HelpWindow()
        window.show_page(None)
        shiboken6.delete(window)
        QApplication.processEvents()


def test_a_page_that_is_not_there_leaves_the_reader_where_he_is(
    reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    reader.window.show_page("import")
    reader.window.show_page("nowhere")
    assert reader.on("import")
    assert "nowhere" in caplog.text


def test_size_and_page_are_remembered(open_help: Callable[[], Reader], hearth_home: Path) -> None:
    hearth_home.mkdir()
    first = open_help()
    first.window.resize(700, 500)
    first.window.splitter.setSizes([300, 400])
    first.window.show_page("import")
    first.window.close()
    second = open_help()
    assert second.on("import")
    assert (second.window.width(), second.window.height()) == (700, 500)
    assert second.window.splitter.sizes()[0] == first.window.splitter.sizes()[0]
    assert [file.name for file in hearth_home.iterdir()] == ["window.ini"]


def test_the_text_grows_and_its_top_stays(reader: Reader) -> None:
    view = reader.window.view
    reader.window.show_page("ask", "What is shown?")
    height, size = view.document().size().height(), view.document().defaultFont().pointSizeF()
    reader.window.set_font_scale(1.5)
    assert view.document().defaultFont().pointSizeF() == pytest.approx(size * 1.5)
    assert view.document().size().height() > height
    assert reader.top() == "What is shown?"


def test_the_top_stays_when_the_window_gets_narrow(reader: Reader) -> None:
    reader.window.resize(760, 600)
    reader.window.show_page("ask", "What is shown?")
    for width in (560, 700, 560):
        reader.window.resize(width, 600)
        QApplication.processEvents()
        assert reader.top() == "What is shown?"


def test_light_and_dark_follow_the_theme_at_once(reader: Reader) -> None:
    view = reader.window.view
    reader.window.show_page("ask", "What is shown?")
    for mode, colours in (("dark", DARK), ("light", LIGHT)):
        theme.theme().apply(mode)
        QApplication.processEvents()
        assert reader.top() == "What is shown?"
        picture = view.grab().toImage()
        assert picture.pixelColor(3, view.height() // 2).name() == colours.window
        inside = view.viewport().geometry().bottomRight() - QPoint(3, 3)
        assert picture.pixelColor(inside * picture.devicePixelRatio()).name() == colours.window
        link = view.document().find("stopping")
        assert link.charFormat().foreground().color().name() == colours.link


def test_the_language_changes_in_place_and_the_page_stays(reader: Reader) -> None:
    reader.window.show_page("import")
    reader.search("import")
    i18n.use_language("zh")
    QCoreApplication.sendEvent(reader.window, QEvent(QEvent.Type.LanguageChange))
    reader.qtbot.waitUntil(lambda: "导入" in reader.window.view.toPlainText())
    assert reader.on("import")
    assert reader.window.group_label.text() == "模型"
    assert reader.window.windowTitle() != "Hearth Help"
    reader.window.search_field.setText("停止")  # an input method does it at once, too
    assert reader.window.results.hits()[0].page.id == "stop"


def test_everything_has_a_name_for_a_screen_reader(reader: Reader) -> None:
    window = reader.window
    reader.search("stop")
    named = [window.back_button, window.forward_button, window.search_field, window.contents]
    for widget in (*named, window.results.list, window.view, window.foot.next):
        assert widget.accessibleName(), widget
    for button in window.findChildren(QAbstractButton):
        if button.isVisible() and not isinstance(button.parent(), QLineEdit):
            assert button.accessibleName() or button.text(), button
    item = window.results.list.item(0)
    assert "Stop" in item.data(Qt.ItemDataRole.AccessibleTextRole)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_of_hearth_can_be_read(language: str, qtbot: QtBot) -> None:
    i18n.use_language(language)
    window = HelpWindow()
    qtbot.addWidget(window)
    window.show_page(None)
    qtbot.waitUntil(lambda: window.page is not None)
    read = [window.page]
    while window.foot.next.isVisible():
        qtbot.mouseClick(window.foot.next, Qt.MouseButton.LeftButton)
        read.append(window.page)
        text = window.view.toPlainText()
        assert "**" not in text
        assert "](" not in text
        assert "help.invalid" not in text
    assert [page.id for page in read if page] == [page.id for page in read_help(language).pages]
