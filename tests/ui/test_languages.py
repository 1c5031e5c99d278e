"""Every window speaks the language that was chosen, and no word of it is cut off."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QTabWidget,
    QTextEdit,
    QWidget,
)

from hearth import i18n
from hearth.config_file import change_config
from hearth.home import ensure_home
from hearth.paths import config_file
from hearth.ui.qt_language import use_qt_language

OpenWindow = Callable[..., Any]

HAN = re.compile("[\u4e00-\u9fff]")
NAMES = frozenset(
    {
        *(
            "Hearth",
            "hearth",
            "starter",
            "stories",
            "float",
            "AI",
            "English",
            "Apache",
            "License",
            *("GGUF", "ONNX", "CPU", "GPU", "NVIDIA", "CUDA", "DirectML", "DirectX", "ML", "Mac", "WebGPU"),
            "llama",
            "onnxruntime",
            "genai",
        ),
        *("Top", "Min", "kB", "MB", "GB", "Ctrl", "Shift", "Alt", "Enter", "Esc", "End"),
    }
)
"""What is called the same in Chinese."""


@pytest.fixture(autouse=True, params=sorted(i18n.LANGUAGES))
def language(request: pytest.FixtureRequest, qapp: QApplication, english: None, _hearth_looks: None) -> str:
    ensure_home()
    change_config(config_file(), {"language": request.param})
    i18n.use_language(request.param)
    use_qt_language(qapp)
    return str(request.param)


@pytest.fixture
def hand(open_window: OpenWindow, starter: str) -> Any:
    """A window in which the starter answers."""
    hand = open_window()
    hand.wait(lambda: hand.window.models.current == starter)
    return hand


def shown(root: QWidget) -> list[QWidget]:
    """What can be seen of a window, itself included; others that belong to it are not part of it."""
    return [
        widget
        for widget in (root, *root.findChildren(QWidget))
        if widget.isVisible() and (widget is root or widget.window() is root.window())
    ]


def texts(widget: QWidget) -> Iterator[str]:
    """What a widget shows, tells on hovering, or has read out."""
    yield widget.toolTip()
    yield widget.accessibleName()
    yield widget.accessibleDescription()
    if widget.isWindow():
        yield widget.windowTitle()
    match widget:
        case QLabel() | QAbstractButton():
            yield widget.text()
        case QLineEdit() | QPlainTextEdit() | QTextEdit():
            yield widget.placeholderText()
        case QComboBox():
            yield from (widget.itemText(row) for row in range(widget.count()))
        case QTabWidget():
            yield from (widget.tabText(tab) for tab in range(widget.count()))
        case _:
            pass


def english_in(text: str) -> list[str]:
    """Words in Latin letters that are not names, keys, paths or what is told of this machine."""
    text = re.sub(r"<[^>]*>|\(?&\w\)?|\S*/\S+|AMD.*|Intel.*|Apple.*", " ", text)
    return [word for word in re.findall(r"[A-Za-z]{2,}", text) if word not in NAMES]


def check(root: QWidget) -> None:
    """What is shown is in the language that was chosen, and nothing is cut off."""
    # The layouts follow the texts, from the innermost to the window, which may have to grow.
    for _ in range(100):
        QApplication.processEvents()
        if not any(map(is_cut_off, shown(root))):
            break
        QTest.qWait(20)
    widgets = shown(root)
    said = [text for widget in widgets for text in texts(widget) if text]
    if i18n.language() == "zh":
        assert any(HAN.search(text) for text in said)
        assert [text for text in said if english_in(text)] == []
    else:
        assert [text for text in said if HAN.search(text) and text not in i18n.LANGUAGES.values()] == []
    cut = [widget for widget in widgets if is_cut_off(widget)]
    assert [text for widget in cut for text in texts(widget)] == []


def is_cut_off(widget: QWidget) -> bool:
    """Whether a label or button has less room than its text needs."""
    if not isinstance(widget, QLabel | QAbstractButton) or not widget.text():
        return False
    if isinstance(widget, QLabel) and widget.wordWrap():
        return widget.heightForWidth(widget.width()) > widget.height()
    return widget.sizeHint().width() > widget.width() or widget.sizeHint().height() > widget.height()


def test_the_menus(hand: Any, language: str) -> None:
    actions = [action for action in hand.window.findChildren(QAction) if action.text()]
    assert len(actions) > 25
    chinese = [action.text() for action in actions if HAN.search(action.text())]
    assert len(chinese) == (len(actions) if language == "zh" else 0)
    assert [text for text in chinese if english_in(text)] == []


def test_the_welcome(open_window: OpenWindow, starter: str) -> None:
    hand = open_window(welcome=True)
    welcome = hand.window.welcome.widget
    check(hand.window)
    hand.click(welcome.next)
    hand.wait(lambda: all(value.text() for value in welcome.machine.values.values()))
    check(hand.window)
    hand.click(welcome.next)
    hand.wait_loaded(starter)
    check(hand.window)


def test_a_chat_and_its_parameters(hand: Any) -> None:
    hand.set_parameter("max_tokens", "3")
    hand.ask("1 + 1")
    hand.wait_answer()
    hand.wait(lambda: not hand.window.session.is_busy())
    for widget in (hand.window.panel, hand.window.sidebar, hand.window.composer):
        check(widget)
    hand.window.picker.open()
    check(hand.window.picker.popup)
    hand.window.picker.popup.hide()


@pytest.mark.parametrize("page", ["general", "defaults", "folders", "devices"])
def test_the_settings(hand: Any, page: str) -> None:
    hand.window.actions_.settings.trigger()
    hand.wait(lambda: hand.window.side_windows.settings)
    settings = hand.window.side_windows.settings
    settings.show_page(page)
    hand.wait(lambda: i18n.tr("Measuring…") not in [label.text() for label in settings.findChildren(QLabel)])
    check(settings)
    settings.close()


def test_about(hand: Any) -> None:
    hand.window.actions_.about.trigger()
    hand.wait(lambda: hand.window.side_windows.about)
    about = hand.window.side_windows.about
    check(about)
    about.close()


def test_the_help(hand: Any) -> None:
    hand.key(Qt.Key.Key_F1, widget=hand.window)
    hand.wait(lambda: hand.window.side_windows.help and hand.window.side_windows.help.page)
    check(hand.window.side_windows.help)


def test_importing_a_model(hand: Any, stories_float32: Path, tmp_path: Path) -> None:
    hand.window.models.import_folder(stories_float32)
    dialog = hand.dialog()
    hand.wait(dialog.import_button.isEnabled)
    dialog.name_field.setText("a b")
    check(dialog)
    dialog.reject()
    hand.wait(lambda: hand.window.models.dialog is None)
    hand.window.models.import_folder(tmp_path / "7")
    hand.wait(lambda: hand.window.models.dialog and hand.window.models.dialog.error())
    check(hand.dialog())
    hand.dialog().reject()
