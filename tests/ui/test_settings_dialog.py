"""The settings dialog: every change acts at once and is kept; what cannot be kept is said and goes back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QListWidget,
    QPlainTextEdit,
    QPushButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from hearth import i18n
from hearth.errors import DiskFull
from hearth.paths import config_file
from hearth.services.hearth import Hearth
from hearth.ui import theme
from hearth.ui.window_state import FONT_SCALES
from settings_desk import Desk, open_desk


@pytest.fixture
def desk(qtbot: QtBot) -> Iterator[Desk]:
    with open_desk(qtbot) as desk:
        yield desk


@pytest.fixture
def chinese(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Chinese catalogue of three words."""
    catalogue = Catalog("zh")
    for english, translated in (("Settings", "设置"), ("&Language", "语言(&L)"), ("General", "通用")):
        catalogue.add(english, translated)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    file = tmp_path / "translations" / "zh" / "LC_MESSAGES" / "hearth.mo"
    file.parent.mkdir(parents=True)
    file.write_bytes(compiled.getvalue())
    monkeypatch.setattr(i18n, "resource", tmp_path.joinpath)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    """The settings file cannot be written while this holds; gives what was asked for."""
    asked: list[Mapping[str, Any]] = []

    def change_settings(hearth: Hearth, changes: Mapping[str, Any]) -> None:
        asked.append(changes)
        raise DiskFull(path="/home")

    monkeypatch.setattr(Hearth, "change_settings", change_settings)
    return asked


# General


def test_a_theme_is_kept_and_told_at_once(desk: Desk) -> None:
    desk.choose(desk.dialog.general.theme, "Dark")
    desk.settle()
    assert desk.kept().theme == "dark"
    assert [config.theme for config in desk.told] == ["dark"]
    desk.choose(desk.dialog.general.theme, "Same as the system")
    desk.settle()
    assert desk.kept().theme == "system"
    assert 'theme = "dark"' not in config_file().read_text("utf-8")


def test_languages_are_named_in_their_own_language(desk: Desk) -> None:
    box = desk.dialog.general.language
    assert [box.itemText(row) for row in range(box.count())] == ["Same as the system", "English", "简体中文"]


@pytest.mark.usefixtures("chinese")
def test_a_language_is_spoken_at_once_and_the_keyboard_stays_where_it_was(desk: Desk) -> None:
    desk.choose(desk.dialog.general.text_size, "150%")
    desk.choose(desk.dialog.general.language, "简体中文")
    desk.wait(lambda: desk.dialog.windowTitle() == "设置")
    assert desk.kept().language == "zh"
    assert desk.dialog.list.item(0).text() == "通用"
    assert desk.dialog.general.language.accessibleName() == "语言"
    assert desk.dialog.focusWidget() is desk.dialog.general.language
    assert desk.dialog.general.language.currentText() == "简体中文"
    assert desk.dialog.general.text_size.currentText() == "150%"
    desk.choose(desk.dialog.general.language, "English")
    desk.wait(lambda: desk.dialog.windowTitle() == "Settings")


def test_a_text_size_is_told(desk: Desk, qtbot: QtBot) -> None:
    with qtbot.waitSignal(desk.dialog.text_size_chosen) as told:
        desk.choose(desk.dialog.general.text_size, "125%")
    assert told.args == [1.25]
    assert told.args[0] in FONT_SCALES
    desk.settle()
    assert desk.told == []


def test_the_text_size_in_force_is_shown(desk: Desk) -> None:
    desk.close()
    desk.open(0.8)
    assert desk.dialog.general.text_size.currentText() == "80%"


def test_a_value_that_was_written_by_hand_is_shown_and_stays(hearth_home: Path, qtbot: QtBot) -> None:
    hearth_home.mkdir()
    config_file().write_text(
        'language = "zh_TW"\n[defaults]\nmodel = "gone"\ntemperature = 0.333\n', encoding="utf-8"
    )
    with open_desk(qtbot) as desk:
        assert desk.dialog.general.language.currentText() == "zh_TW"
        desk.dialog.show_page("defaults")
        desk.wait(lambda: desk.dialog.defaults.model.currentText() == "gone (not here)")
        desk.set_number("top_k", "7")
        desk.wait(lambda: desk.kept().defaults.top_k == 7)
        assert desk.kept().defaults.temperature == 0.333
        assert desk.kept().defaults.model == "gone"


def test_the_wheel_scrolls_past_choices(desk: Desk) -> None:
    for box in (desk.dialog.general.theme, desk.dialog.general.language, desk.dialog.general.text_size):
        before = box.currentIndex()
        box.setFocus()
        desk.wheel(box)
        assert box.currentIndex() == before
    desk.settle()
    assert desk.told == []


# Model Defaults


def test_a_system_prompt_is_kept_once_not_letter_by_letter(desk: Desk) -> None:
    desk.dialog.show_page("defaults")
    desk.dialog.defaults.prompt.setFocus()
    desk.type("Answer like a pirate.")
    desk.wait(lambda: desk.kept().defaults.system_prompt == "Answer like a pirate.")
    assert len(desk.told) == 1
    assert desk.dialog.defaults.prompt.toPlainText() == "Answer like a pirate."


def test_what_was_typed_last_is_kept_when_the_dialog_is_closed_at_once(desk: Desk) -> None:
    desk.dialog.show_page("defaults")
    desk.dialog.defaults.prompt.setFocus()
    desk.type("Be brief.")
    desk.key(Qt.Key.Key_Escape)
    desk.wait(lambda: not desk.dialog.isVisible())
    assert desk.kept().defaults.system_prompt == "Be brief."


def test_numbers_are_kept_and_can_be_reset(desk: Desk) -> None:
    desk.dialog.show_page("defaults")
    desk.set_number("temperature", "0.2")
    desk.set_number("max_tokens", "64")
    desk.wait(lambda: desk.kept().defaults.max_tokens == 64)
    assert desk.kept().defaults.temperature == 0.2
    row = desk.dialog.defaults.rows["temperature"]
    desk.click(row.reset_button)
    desk.wait(lambda: desk.kept().defaults.temperature == 0.7)
    assert "\ntemperature = " not in config_file().read_text("utf-8")
    assert desk.kept().defaults.max_tokens == 64


def test_a_default_model_is_chosen_from_those_that_are_here(desk: Desk, stories_float32: Path) -> None:
    desk.hearth.models.import_folder(stories_float32, name="stories")
    desk.dialog.show_page("defaults")
    box = desk.dialog.defaults.model
    desk.wait(lambda: box.findText("stories") >= 0)
    assert box.currentText() == "The last one used"
    desk.choose(box, "stories")
    desk.wait(lambda: desk.kept().defaults.model == "stories")
    desk.choose(box, "The last one used")
    desk.wait(lambda: desk.kept().defaults.model == "")


def test_restored_defaults_can_be_undone(desk: Desk) -> None:
    page = desk.dialog.defaults
    desk.dialog.show_page("defaults")
    assert not page.restore_button.isEnabled()
    page.prompt.setFocus()
    desk.type("Be brief.")
    desk.set_number("top_p", "0.5")
    desk.wait(lambda: desk.kept().defaults.top_p == 0.5)
    assert not page.undo_button.isVisible()
    desk.click(page.restore_button)
    desk.wait(lambda: desk.kept().defaults.top_p == 0.95)
    assert desk.kept().defaults.system_prompt == ""
    assert page.prompt.toPlainText() == ""
    assert not page.restore_button.isEnabled()
    assert QApplication.focusWidget() is page.undo_button
    desk.settle()
    desk.key(Qt.Key.Key_Return)
    desk.wait(lambda: desk.kept().defaults.top_p == 0.5)
    assert desk.kept().defaults.system_prompt == "Be brief."
    assert page.prompt.toPlainText() == "Be brief."
    assert not page.undo_button.isVisible()


def test_undo_is_gone_once_something_else_is_set(desk: Desk) -> None:
    page = desk.dialog.defaults
    desk.dialog.show_page("defaults")
    desk.set_number("top_p", "0.5")
    desk.click(page.restore_button)
    assert page.undo_button.isVisible()
    desk.set_number("top_k", "5")
    assert not page.undo_button.isVisible()
    desk.wait(lambda: desk.kept().defaults.top_k == 5)
    assert desk.kept().defaults.top_p == 0.95


# What cannot be kept


def test_a_full_disk_is_said_and_the_control_goes_back(
    desk: Desk, full_disk: list[Mapping[str, Any]]
) -> None:
    desk.choose(desk.dialog.general.theme, "Dark")
    desk.wait(desk.dialog.banner.isVisible)
    assert "not enough free space" in desk.dialog.banner.text()
    assert desk.dialog.general.theme.currentText() == "Same as the system"
    assert full_disk == [{"theme": "dark"}]


def test_a_text_that_could_not_be_kept_can_be_brought_back(
    desk: Desk, full_disk: list[Mapping[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.dialog.show_page("defaults")
    prompt = desk.dialog.defaults.prompt
    prompt.setFocus()
    desk.type("Be brief.")
    desk.wait(desk.dialog.banner.isVisible)
    assert prompt.toPlainText() == ""
    monkeypatch.undo()
    prompt.undo()
    assert prompt.toPlainText() == "Be brief."
    desk.wait(lambda: not desk.dialog.banner.isVisible())
    assert desk.hearth.config.defaults.system_prompt == "Be brief."


@pytest.mark.usefixtures("full_disk")
def test_a_dialog_that_cannot_keep_the_last_change_says_so_before_it_closes(desk: Desk) -> None:
    desk.dialog.show_page("defaults")
    desk.dialog.defaults.prompt.setFocus()
    desk.type("Be brief.")
    desk.click(desk.dialog.close_button)
    desk.wait(desk.dialog.banner.isVisible)
    assert desk.dialog.isVisible()
    desk.click(desk.dialog.close_button)
    assert not desk.dialog.isVisible()


def test_a_damaged_settings_file_is_said_and_not_touched(
    hearth_home: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    hearth_home.mkdir()
    config_file().write_text("theme = \n", encoding="utf-8")
    opened: list[Path] = []
    monkeypatch.setattr(
        QDesktopServices, "openUrl", lambda url: opened.append(Path(url.toLocalFile())) or True
    )
    with open_desk(qtbot) as desk:
        assert "is not valid TOML" in desk.dialog.banner.text()
        desk.click(desk.button(desk.dialog.banner, "Open the File"))
        assert opened == [config_file()]
        desk.click(desk.dialog.banner.close_button)
        desk.choose(desk.dialog.general.theme, "Dark")
        desk.wait(desk.dialog.banner.isVisible)
        assert desk.dialog.general.theme.currentText() == "Same as the system"
        assert config_file().read_text("utf-8") == "theme = \n"
        config_file().write_text("# mended\n", encoding="utf-8")
        desk.choose(desk.dialog.general.theme, "Dark")
        desk.wait(lambda: not desk.dialog.banner.isVisible())
        assert desk.kept().theme == "dark"
        assert "# mended" in config_file().read_text("utf-8")


# The dialog itself


def test_the_list_chooses_the_page_by_keys(desk: Desk) -> None:
    assert desk.dialog.page == "general"
    assert QApplication.focusWidget() is desk.dialog.list
    desk.key(Qt.Key.Key_Down)
    assert desk.dialog.page == "defaults"
    desk.key(Qt.Key.Key_Down)
    assert desk.dialog.page == "folders"
    desk.dialog.show_page("general")
    assert desk.dialog.list.currentRow() == 0


def test_tab_goes_through_everything_and_comes_back(desk: Desk) -> None:
    general = desk.dialog.general
    seen: list[QWidget] = []
    for _ in range(6):
        widget = QApplication.focusWidget()
        assert widget is not None
        seen.append(widget)
        desk.key(Qt.Key.Key_Tab)
    assert seen == [
        desk.dialog.list,
        general.language,
        general.theme,
        general.text_size,
        desk.dialog.close_button,
        desk.dialog.list,
    ]


def test_labels_have_keys(desk: Desk) -> None:
    alt = Qt.KeyboardModifier.AltModifier
    desk.key(Qt.Key.Key_T, alt)
    assert QApplication.focusWidget() is desk.dialog.general.theme
    desk.dialog.show_page("defaults")
    desk.key(Qt.Key.Key_S, alt)
    assert QApplication.focusWidget() is desk.dialog.defaults.prompt
    desk.key(Qt.Key.Key_C, alt)
    desk.wait(lambda: not desk.dialog.isVisible())


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_no_two_things_on_a_page_have_one_key(language: str, hearth_home: Path, qtbot: QtBot) -> None:
    Hearth.open().close()
    config_file().write_text('folders.models = "elsewhere"\n', encoding="utf-8")  # so that all buttons show
    i18n.use_language(language)
    with open_desk(qtbot) as desk:
        for page in ("general", "defaults", "folders"):
            desk.dialog.show_page(page)
            if page == "defaults":
                desk.dialog.defaults.undo_button.show()
            labels = [label for label in desk.dialog.findChildren(QLabel) if label.buddy()]
            named = [*labels, *desk.dialog.findChildren(QPushButton)]
            texts = [widget.text() for widget in named if widget.isVisible()]
            keys = [found[1].upper() for text in texts if (found := re.search(r"&(\w)", text))]
            assert len(keys) >= 3
            assert sorted(keys) == sorted(set(keys)), f"{page}: {texts}"


def test_enter_in_a_field_presses_nothing(desk: Desk) -> None:
    desk.dialog.show_page("defaults")
    field = desk.dialog.defaults.rows["temperature"].field
    field.setFocus()
    field.selectAll()
    desk.type("0.5")
    desk.key(Qt.Key.Key_Return)
    desk.wait(lambda: desk.kept().defaults.temperature == 0.5)
    assert desk.dialog.isVisible()
    assert not desk.dialog.defaults.undo_button.isVisible()


def test_page_and_size_are_remembered(desk: Desk) -> None:
    desk.dialog.show_page("folders")
    desk.dialog.resize(QSize(640, 420))
    desk.reopen()
    assert desk.dialog.page == "folders"
    assert desk.dialog.size() == QSize(640, 420)


@pytest.mark.parametrize("page", ["general", "defaults", "folders"])
def test_whatever_can_be_used_has_a_name(desk: Desk, page: str) -> None:
    desk.dialog.show_page(page)
    kinds = (QAbstractButton, QAbstractSpinBox, QComboBox, QPlainTextEdit, QListWidget)
    found = [widget for kind in kinds for widget in desk.dialog.findChildren(kind) if widget.isVisible()]
    assert len(found) >= 5
    for widget in found:
        assert widget.accessibleName() or (isinstance(widget, QAbstractButton) and widget.text()), widget


def test_icons_follow_the_theme(desk: Desk) -> None:
    def colour() -> int:
        picture = desk.dialog.list.item(0).icon().pixmap(16).toImage()
        return max(
            picture.pixelColor(x, y).lightness()
            for x in range(16)
            for y in range(16)
            if picture.pixelColor(x, y).alpha() > 200
        )

    light = colour()
    theme.theme().apply("dark")
    assert colour() > light + 40
