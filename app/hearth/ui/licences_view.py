"""The packages that Hearth is made with, to search in, and the licence of the chosen one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, Qt, Slot
from PySide6.QtGui import QKeyEvent, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from hearth.i18n import tr
from hearth.ui.tasks import Lane, Tasks
from hearth.ui.theme import FontSize, Space, mono_font
from hearth.ui.wording import error_text

if TYPE_CHECKING:
    from hearth.services.licences import Package

_log = logging.getLogger(__name__)

_LIST_WIDTH = 210
_PACKAGE = Qt.ItemDataRole.UserRole


class LicencesView(QWidget):
    """Reads the packages when it is first shown, and a text when its package is chosen.

    Attributes:
        search_field: words that name or licence must contain.
        list: the packages that do.
        text: the licence.
    """

    def __init__(self, tasks: Tasks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._asked = False
        self._wanted = ""
        self.search_field = QLineEdit(self)
        self.search_field.setObjectName("licenceSearch")
        self.search_field.setPlaceholderText(tr("Search packages"))
        self.search_field.setAccessibleName(tr("Search packages"))
        self.search_field.setClearButtonEnabled(True)
        self.search_field.textChanged.connect(self._on_search)
        self.search_field.installEventFilter(self)
        self.list = QListWidget(self)
        self.list.setObjectName("packages")
        self.list.setAccessibleName(tr("Packages"))
        self.list.setFixedWidth(_LIST_WIDTH)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.currentRowChanged.connect(self._on_chosen)
        self.nothing = QLabel(tr("No package has these words."), self)
        self.nothing.setProperty("kind", "secondary")
        self.nothing.setWordWrap(True)
        self.nothing.hide()
        self._name = QLabel(self)
        self._name.setProperty("kind", "title")
        self._name.setWordWrap(True)
        self.text = QPlainTextEdit(self)
        self.text.setObjectName("licenceText")
        self.text.setProperty("kind", "field")
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setFont(mono_font(FontSize.SMALL))
        self.text.setAccessibleName(tr("Text of the licence"))
        left = QVBoxLayout()
        left.setSpacing(Space.S)
        for widget in (self.search_field, self.nothing, self.list):
            left.addWidget(widget)
        self.search_field.setFixedWidth(_LIST_WIDTH)
        right = QVBoxLayout()
        right.setSpacing(Space.S)
        right.addWidget(self._name)
        right.addWidget(self.text, 1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, Space.M, 0, 0)
        layout.setSpacing(Space.M)
        layout.addLayout(left)
        layout.addLayout(right, 1)

    def show_package(self, name: str) -> None:
        """Choose the package of that name, as soon as the packages are read."""
        self._wanted = name
        self.search_field.clear()
        self._choose_wanted()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._asked:
            return
        from hearth.services.licences import bundled_packages

        self._asked = True
        self._tasks.run(bundled_packages, owner=self, lane=Lane.FILES).success(self._on_packages).failure(
            self._on_failed
        )

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Up and Down in the search field move through the list."""
        keys = (Qt.Key.Key_Up, Qt.Key.Key_Down)
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress and event.key() in keys:
            self.list.event(event)
            return True
        return super().eventFilter(watched, event)

    def _on_packages(self, packages: list[Package]) -> None:
        for package in packages:
            item = QListWidgetItem(f"{package.name} {package.version}", self.list)
            item.setData(_PACKAGE, package)
            item.setToolTip(package.licence)
        self._on_search(self.search_field.text())
        self._choose_wanted()

    def _choose_wanted(self) -> None:
        for row in range(self.list.count()):
            if self.list.item(row).data(_PACKAGE).name == self._wanted:
                self.list.setCurrentRow(row)

    @Slot(str)
    def _on_search(self, text: str) -> None:
        words = text.lower().split()
        shown: list[int] = []
        for row in range(self.list.count()):
            item = self.list.item(row)
            package: Package = item.data(_PACKAGE)
            found = all(word in f"{package.name} {package.licence}".lower() for word in words)
            item.setHidden(not found)
            if found:
                shown.append(row)
        self.nothing.setVisible(not shown and bool(words))
        if self.list.currentRow() not in shown:
            self.list.setCurrentRow(shown[0] if shown else -1)

    @Slot(int)
    def _on_chosen(self, row: int) -> None:
        if row < 0:
            self._name.clear()
            self.text.clear()
            return
        from hearth.services.licences import licence_text

        package: Package = self.list.item(row).data(_PACKAGE)
        self._name.setText(f"{package.name} {package.version} · {package.licence}")
        self._tasks.run(lambda: licence_text(package), owner=self, view="licence", lane=Lane.FILES).success(
            self.text.setPlainText
        ).failure(self._on_failed)

    def _on_failed(self, error: Exception) -> None:
        _log.error("a licence could not be read", exc_info=error)
        self.text.setPlainText(error_text(error))
