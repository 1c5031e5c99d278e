"""A folder in the settings: where it is, how large, and what can be done about it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QDir, Qt, QUrl, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from hearth.i18n import tr
from hearth.ui.elided_label import ElidedLabel
from hearth.ui.settings.page import heading_label
from hearth.ui.theme import Space


class FolderRow(QFrame):
    """One folder, with the button Open Folder and room for others.

    Attributes:
        path: the folder.
    """

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "card")
        self.path = Path()
        self._heading = heading_label(title, self)
        self._path = ElidedLabel(self)
        self._state = QLabel(self)
        self._state.setWordWrap(True)
        self._state.setTextFormat(Qt.TextFormat.PlainText)
        self.open_button = QPushButton(tr("Open Folder"), self)
        self.open_button.setAccessibleName(f"{tr('Open Folder')}: {title}")
        self.open_button.clicked.connect(self._on_open)
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(Space.S)
        self._buttons.addWidget(self.open_button)
        self._buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Space.L, Space.M, Space.L, Space.M)
        layout.setSpacing(Space.XS)
        layout.addWidget(self._heading)
        layout.addWidget(self._path)
        layout.addWidget(self._state)
        layout.addSpacing(Space.XS)
        layout.addLayout(self._buttons)

    def add_button(self, button: QPushButton) -> None:
        """Put `button` beside the others."""
        self._buttons.insertWidget(self._buttons.count() - 1, button)

    def show_path(self, path: Path) -> None:
        """The row is about this folder now."""
        self.path = path
        self._path.show_text(QDir.toNativeSeparators(str(path)))

    def show_state(self, text: str, *, exists: bool, wrong: bool = False) -> None:
        """Say how the folder is: whether it can be opened, and whether something is wrong."""
        self._state.setText(text)
        kind = "danger" if wrong else "secondary"
        if self._state.property("kind") != kind:
            self._state.setProperty("kind", kind)
            self._state.style().polish(self._state)
        self.open_button.setEnabled(exists)
        self.setAccessibleDescription(text)

    def state_text(self) -> str:
        return self._state.text()

    @Slot()
    def _on_open(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.path)))
