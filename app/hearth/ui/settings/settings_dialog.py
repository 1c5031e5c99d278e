"""The settings: pages in a list at the left, each change acting at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from PySide6.QtCore import QSize, Qt, QUrl, Signal, Slot
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QDesktopServices,
    QFont,
    QKeyEvent,
    QKeySequence,
    QShortcut,
)
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from hearth import i18n, paths
from hearth.config import Config
from hearth.errors import ConfigInvalid, ConfigUnknownKey, ModelFolderMissing
from hearth.i18n import tr
from hearth.ui import theme
from hearth.ui.banner import Banner
from hearth.ui.screen_room import within_screen
from hearth.ui.settings.defaults_page import DefaultsPage
from hearth.ui.settings.devices_page import DevicesPage
from hearth.ui.settings.folders_page import FoldersPage
from hearth.ui.settings.general_page import GeneralPage
from hearth.ui.settings.page import SettingsPage
from hearth.ui.tasks import Tasks
from hearth.ui.theme import FontSize, Space, font
from hearth.ui.vertical_scroll import vertical_scroll
from hearth.ui.window_state import window_file
from hearth.ui.wording import error_text

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth


_SIZE = QSize(760, 600)
_LEAST_SIZE = QSize(560, 380)
_LIST_WIDTH = 180


class SettingsDialog(QDialog):
    """There is nothing to confirm: what is chosen is kept in the settings file, and the dialog is only closed.

    What cannot be kept is said above the pages, and the controls show again what holds.

    Attributes:
        general, defaults, folders, devices: the pages.
        banner: what went wrong.

    Signals:
        text_size_chosen: one of FONT_SCALES; whoever opened the dialog applies and keeps it.
    """

    text_size_chosen = Signal(float)

    def __init__(self, hearth: Hearth, tasks: Tasks, text_size: float, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("settingsDialog")
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setMinimumSize(within_screen(self, _LEAST_SIZE))
        self._hearth = hearth
        self._tasks = tasks
        self._text_size = text_size
        self._writing = 0
        self._closing: int | None = None
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(0)
        self._build()
        for key in QKeySequence.keyBindings(QKeySequence.StandardKey.Close):
            QShortcut(key, self, self.close)
        theme.theme().changed.connect(self._tint)
        settings = window_file()
        size = settings.value("settings_size")
        self.resize(within_screen(self, size if isinstance(size, QSize) else _SIZE))
        self.show_page(str(settings.value("settings_page", GeneralPage.key)))
        if hearth.config_error and not isinstance(hearth.config_error, ModelFolderMissing):
            self._show_error(hearth.config_error)

    @property
    def page(self) -> str:
        """The page on view: “general”, “defaults”, “folders” or “devices”."""
        return self._pages[self._stack.currentIndex()].key

    def show_page(self, page: str) -> None:
        """Show the page of that name; the first where there is none."""
        names = [known.key for known in self._pages]
        self.list.setCurrentRow(names.index(page) if page in names else 0)

    def done(self, result: int) -> None:
        """Close once all that was changed is kept; what cannot be kept is said, and the dialog stays."""
        for page in self._pages:
            page.flush()
            page.stop()
        if self._writing:
            self._closing = result
            return
        settings = window_file()
        settings.setValue("settings_page", self.page)
        settings.setValue("settings_size", self.size())
        settings.sync()
        super().done(result)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter presses the button that has the keyboard and, from a field, nothing: there is nothing to confirm."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            button = QApplication.focusWidget()
            if isinstance(button, QPushButton):
                button.click()
            return
        super().keyPressEvent(event)

    # Building

    def _build(self) -> None:
        self.setWindowTitle(tr("Settings"))
        self._language = i18n.language()
        self.general = GeneralPage(self._text_size, self)
        self.general.text_size_chosen.connect(self._on_text_size)
        self.defaults = DefaultsPage(self._hearth.models.list, self._tasks, self)
        self.folders = FoldersPage(self._hearth, self._tasks, self)
        self.devices = DevicesPage(self._hearth, self._tasks, self)
        self._pages: tuple[SettingsPage, ...] = (self.general, self.defaults, self.folders, self.devices)
        self.banner = Banner(self)
        self.banner.action_triggered.connect(
            lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(paths.config_file())))
        )
        self._body = QWidget(self)
        columns = QHBoxLayout()
        columns.setSpacing(0)
        columns.addWidget(self._build_list())
        columns.addWidget(self._build_pages(), 1)
        layout = QVBoxLayout(self._body)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.banner)
        layout.addLayout(columns, 1)
        self._layout.addWidget(self._body)
        for button in self.findChildren(QPushButton):
            button.setAutoDefault(False)
        self._tint()

    def _build_list(self) -> QWidget:
        side = QFrame(self._body)
        side.setProperty("kind", "sidebar")
        side.setFixedWidth(_LIST_WIDTH)
        self.list = QListWidget(side)
        self.list.setObjectName("settingsPages")
        self.list.setAccessibleName(tr("Pages of the settings"))
        self.list.setFrameShape(QFrame.Shape.NoFrame)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        for title in (tr("General"), tr("Model Defaults"), tr("Folders"), tr("Devices")):
            self.list.addItem(QListWidgetItem(title))
        self.list.currentRowChanged.connect(self._on_page)
        layout = QVBoxLayout(side)
        layout.setContentsMargins(Space.S, Space.M, Space.S, Space.M)
        layout.addWidget(self.list)
        return side

    def _build_pages(self) -> QWidget:
        right = QWidget(self._body)
        self._heading = QLabel(right)
        self._heading.setFont(font(FontSize.TITLE, weight=QFont.Weight.DemiBold))
        self._stack = QStackedWidget(right)
        for page in self._pages:
            page.show_config(self._hearth.config)
            page.change_wanted.connect(self._on_change_wanted)
            page.failed.connect(self._show_error)
            self._stack.addWidget(vertical_scroll(page))
        self.close_button = QPushButton(tr("&Close"), right)
        self.close_button.clicked.connect(self.close)
        buttons = QHBoxLayout()
        buttons.setContentsMargins(Space.XL, Space.M, Space.XL, Space.L)
        buttons.addStretch(1)
        buttons.addWidget(self.close_button)
        layout = QVBoxLayout(right)
        layout.setContentsMargins(0, Space.L, 0, 0)
        layout.setSpacing(0)
        self._heading.setContentsMargins(Space.XL, 0, Space.XL, Space.S)
        layout.addWidget(self._heading)
        layout.addWidget(self._stack, 1)
        layout.addLayout(buttons)
        return right

    def _rebuild(self) -> None:
        """Everything again, in the language in force; what has the keyboard keeps it."""
        for known in self._pages:
            known.flush()  # what was typed a moment ago
        page = self.page
        focused = cast("QWidget | None", self.focusWidget())  # its type leaves the None out
        name = focused.objectName() if focused is not None else ""
        old = self._body
        self._build()
        self.show_page(page)
        self._layout.removeWidget(old)
        old.hide()
        old.deleteLater()
        widget = self._body.findChild(QWidget, name) if name else None
        (widget or self.list).setFocus()

    @Slot()
    def _tint(self) -> None:
        for row, name in enumerate(("settings", "panel", "folder", "model")):
            self.list.item(row).setIcon(theme.icon(name))

    # What the user does

    @Slot(int)
    def _on_page(self, row: int) -> None:
        self._heading.setText(self.list.item(row).text())
        self._stack.setCurrentIndex(row)

    @Slot(float)
    def _on_text_size(self, scale: float) -> None:
        self._text_size = scale
        self.text_size_chosen.emit(scale)

    @Slot(object)
    def _on_change_wanted(self, changes: Mapping[str, object | None]) -> None:
        hearth = self._hearth
        self._writing += 1
        self._tasks.run(lambda: hearth.change_settings(changes), owner=self).success(
            self._on_changed
        ).failure(self._on_failed)

    def _on_changed(self, config: Config) -> None:
        self._writing -= 1
        self.banner.hide()
        if i18n.language() != self._language:
            self._rebuild()
        elif not self._writing:
            for page in self._pages:
                if not page.is_waiting():
                    page.show_config(config)
        self._go_on_closing()

    def _on_failed(self, error: Exception) -> None:
        self._writing -= 1
        self._closing = None
        for page in self._pages:
            page.show_config(self._hearth.config)
        self._show_error(error)

    def _go_on_closing(self) -> None:
        if self._closing is not None and not self._writing:
            result, self._closing = self._closing, None
            self.done(result)

    @Slot(object)
    def _show_error(self, error: Exception) -> None:
        of_the_file = isinstance(error, ConfigInvalid | ConfigUnknownKey)
        self.banner.show_message(error_text(error), tr("Open the File") if of_the_file else "")
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, self.banner.text()))
