"""What the pages of the settings dialog have in common."""

from __future__ import annotations

import re

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QPlainTextEdit, QVBoxLayout, QWidget

from hearth.config import Config
from hearth.ui.theme import FontSize, Space, font


class SettingsPage(QWidget):
    """Shows some of the settings and asks for changes to them; the dialog makes them.

    Attributes:
        key: the page's name in `SettingsDialog.page`.
        column: where its parts stand below each other.

    Signals:
        change_wanted: changes as `Hearth.change_settings` takes them.
        failed: an exception that the user should be told of.
    """

    key = ""
    change_wanted = Signal(object)
    failed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(Space.XL, Space.S, Space.XL, Space.L)
        self.column.setSpacing(Space.M)

    def show_config(self, config: Config) -> None:
        """Show these settings, and forget what was not asked for yet."""
        raise NotImplementedError

    def is_waiting(self) -> bool:
        """Whether the user has changed something that was not asked for yet."""
        return False

    def flush(self) -> None:
        """Ask now for what waits."""

    def stop(self) -> None:
        """Stop what the page does in the background."""


def field_grid(stretched: int) -> QGridLayout:
    """Where `add_field` puts labels and fields; `stretched` is the column that takes the room that is left."""
    grid = QGridLayout()
    grid.setHorizontalSpacing(Space.L)
    grid.setVerticalSpacing(Space.S)
    grid.setColumnStretch(stretched, 1)
    return grid


def add_field(grid: QGridLayout, page: QWidget, label: str, field: QWidget, hint: str = "") -> None:
    """A row of a page: `label` with its mnemonic on the left, `field`, and a quiet line under it."""
    row = grid.rowCount()
    name = QLabel(label, page)
    name.setBuddy(field)
    field.setAccessibleName(without_mnemonic(label))
    several_lines = isinstance(field, QPlainTextEdit)
    grid.addWidget(
        name, row, 0, Qt.AlignmentFlag.AlignTop if several_lines else Qt.AlignmentFlag.AlignVCenter
    )
    grid.addWidget(field, row, 1)
    if hint:
        grid.addWidget(hint_label(hint, page), row + 1, 1, 1, grid.columnCount() - 1)
        field.setAccessibleDescription(hint)


def hint_label(text: str, parent: QWidget) -> QLabel:
    """A quiet explanation."""
    label = QLabel(text, parent)
    label.setProperty("kind", "secondary")
    label.setFont(font(FontSize.SMALL))
    label.setWordWrap(True)
    return label


def heading_label(text: str, parent: QWidget) -> QLabel:
    """What stands over a group of settings."""
    label = QLabel(text, parent)
    label.setProperty("kind", "title")
    return label


def without_mnemonic(text: str) -> str:
    """`text` without the mark of its key, as screen readers need it; Chinese texts have it in brackets."""
    return re.sub(r"\(&\w\)|&", "", text)
