"""About: the version, every package's licence, and diagnostics to copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from hearth import __version__
from hearth.paths import config_file
from hearth.services import diagnostics as diagnostics_module
from hearth.services.hearth import Hearth
from hearth.services.licences import bundled_packages
from hearth.ui.about_dialog import AboutDialog
from hearth.ui.tasks import Tasks
from hearth.ui.worker_thread import qt_thread

SECRET = "xylophone-7341"
PATIENCE = 60_000


@pytest.fixture
def show(qtbot: QtBot) -> Iterator[Callable[[Hearth | None], AboutDialog]]:
    tasks = Tasks()
    shown: list[AboutDialog] = []

    def show_(hearth: Hearth | None = None) -> AboutDialog:
        dialog = AboutDialog(hearth, tasks)
        shown.append(dialog)
        dialog.show()
        dialog.activateWindow()
        qtbot.waitUntil(dialog.isActiveWindow, timeout=PATIENCE)
        return dialog

    yield show_
    for dialog in shown:
        dialog.close()
        dialog.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    tasks.close()


@pytest.fixture
def dialog(show: Callable[[], AboutDialog]) -> AboutDialog:
    return show()


@pytest.fixture
def licences(dialog: AboutDialog, qtbot: QtBot) -> AboutDialog:
    """The dialog with its list of packages filled."""
    qtbot.keyClick(dialog, Qt.Key.Key_L, Qt.KeyboardModifier.AltModifier)
    assert dialog.tabs.currentWidget() is dialog.licences
    qtbot.waitUntil(lambda: dialog.licences.list.count() > 0, timeout=PATIENCE)
    return dialog


def _packages(dialog: AboutDialog) -> list[str]:
    rows = [dialog.licences.list.item(row) for row in range(dialog.licences.list.count())]
    return [row.text().rpartition(" ")[0] for row in rows if not row.isHidden()]


def test_the_version_and_the_licence_are_told(dialog: AboutDialog) -> None:
    texts = [label.text() for label in dialog.findChildren(QLabel) if label.isVisible()]
    assert f"Version {__version__}" in texts
    assert any("Apache License 2.0" in text for text in texts)


def test_the_licence_of_hearth_is_one_click_away(dialog: AboutDialog, qtbot: QtBot) -> None:
    qtbot.mouseClick(dialog.licence_button, Qt.MouseButton.LeftButton)
    assert dialog.tabs.currentWidget() is dialog.licences
    qtbot.waitUntil(lambda: "Apache License" in dialog.licences.text.toPlainText(), timeout=PATIENCE)
    assert dialog.licences.list.currentItem().text() == f"Hearth {__version__}"


def test_every_package_is_listed_with_its_licence(licences: AboutDialog, qtbot: QtBot) -> None:
    assert _packages(licences) == [package.name for package in bundled_packages()]
    for row, package in enumerate(bundled_packages()[:4]):
        licences.licences.list.setCurrentRow(row)
        qtbot.waitUntil(lambda: bool(licences.licences.text.toPlainText()), timeout=PATIENCE)
        assert licences.licences.list.item(row).toolTip() == package.licence


def test_packages_are_searched_by_name_and_by_licence(licences: AboutDialog, qtbot: QtBot) -> None:
    view = licences.licences
    view.search_field.setFocus()
    qtbot.keyClicks(view.search_field, "LGPL")
    assert _packages(licences) == ["PySide6_Essentials", "shiboken6"]
    qtbot.waitUntil(lambda: "GNU LESSER" in view.text.toPlainText(), timeout=PATIENCE)
    qtbot.keyClick(view.search_field, Qt.Key.Key_Down)
    assert view.list.currentItem().text().startswith("shiboken6")
    assert QApplication.focusWidget() is view.search_field
    view.search_field.clear()
    qtbot.keyClicks(view.search_field, "numpy")
    assert _packages(licences) == ["numpy"]
    qtbot.keyClicks(view.search_field, " nowhere")
    assert _packages(licences) == []
    assert view.nothing.isVisible()
    assert view.text.toPlainText() == ""
    view.search_field.clear()
    assert not view.nothing.isVisible()
    assert len(_packages(licences)) == view.list.count()


def test_diagnostics_are_gathered_when_they_are_looked_at_and_copied(
    show: Callable[[Hearth | None], AboutDialog], qtbot: QtBot, hearth_home: Path
) -> None:
    hearth_home.mkdir()
    config_file().write_text(f'theme = "dark"\n[defaults]\nsystem_prompt = "{SECRET}"\n', encoding="utf-8")
    hearth = Hearth.open(thread_factory=qt_thread)
    try:
        dialog = show(hearth)
        assert dialog.diagnostics.toPlainText() == ""
        assert not dialog.copy_button.isEnabled()
        qtbot.keyClick(dialog, Qt.Key.Key_D, Qt.KeyboardModifier.AltModifier)
        qtbot.waitUntil(dialog.copy_button.isEnabled, timeout=PATIENCE)
        qtbot.mouseClick(dialog.copy_button, Qt.MouseButton.LeftButton)
    finally:
        hearth.close()
    copied = QGuiApplication.clipboard().text()
    assert copied == dialog.diagnostics.toPlainText()
    assert copied.startswith(f"Hearth: {__version__}\n")
    assert 'theme = "dark"' in copied
    assert SECRET not in copied


def test_where_hearth_does_not_open_the_diagnostics_still_do(dialog: AboutDialog, qtbot: QtBot) -> None:
    dialog.tabs.setCurrentIndex(2)
    qtbot.waitUntil(dialog.copy_button.isEnabled, timeout=PATIENCE)
    assert "could not be opened" in dialog.diagnostics.toPlainText()


def test_what_keeps_diagnostics_from_being_gathered_is_said(
    dialog: AboutDialog, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(hearth: Hearth | None) -> str:
        raise OSError("no processor")

    monkeypatch.setattr(diagnostics_module, "diagnostics", fail)
    dialog.tabs.setCurrentIndex(2)
    qtbot.waitUntil(lambda: "went wrong" in dialog.diagnostics.toPlainText(), timeout=PATIENCE)
    assert not dialog.copy_button.isEnabled()


def test_esc_closes(dialog: AboutDialog, qtbot: QtBot) -> None:
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
