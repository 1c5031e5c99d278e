"""A group of facts on the page of a model: a heading, lines of name and value, and buttons that belong to them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from hearth.ui.elided_label import ElidedLabel
from hearth.ui.models.facts import Fact
from hearth.ui.settings.page import heading_label
from hearth.ui.theme import Space


class FactsCard(QWidget):
    """Hidden while it has neither facts nor a note."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._facts: list[Fact] | None = None
        self.heading = heading_label(title, self)
        self._frame = QFrame(self)
        self._frame.setProperty("kind", "card")
        self._frame.setAccessibleName(title)
        self._note = QLabel(self._frame)
        self._note.setWordWrap(True)
        self._note.setTextFormat(Qt.TextFormat.PlainText)
        self._lines = QWidget(self._frame)
        self._foot = QWidget(self._frame)
        self._foot.hide()
        self._buttons = QHBoxLayout(self._foot)
        self._buttons.setContentsMargins(0, Space.XS, 0, 0)
        self._buttons.setSpacing(Space.S)
        self._buttons.addStretch(1)
        self._inner = QVBoxLayout(self._frame)
        self._inner.setContentsMargins(Space.L, Space.M, Space.L, Space.M)
        self._inner.setSpacing(Space.S)
        self._inner.addWidget(self._note)
        self._inner.addWidget(self._lines)
        self._inner.addWidget(self._foot)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Space.S)
        layout.addWidget(self.heading)
        layout.addWidget(self._frame)

    def add_button(self, button: QPushButton) -> None:
        """Put a button at the foot, beside those that are there."""
        self._buttons.insertWidget(self._buttons.count() - 1, button)
        self._foot.show()

    def show_buttons(self, shown: bool) -> None:
        """Whether what the buttons do can be done at all."""
        self._foot.setVisible(shown)

    def show_facts(self, facts: Sequence[Fact], note: str = "") -> None:
        """Show these lines, and a sentence above them."""
        self._note.setText(note)
        self._note.setVisible(bool(note))
        self.setVisible(bool(facts or note))
        if list(facts) == self._facts:
            return  # what somebody has selected in them stays
        self._facts = list(facts)
        old, self._lines = self._lines, QWidget(self._frame)
        self._inner.replaceWidget(old, self._lines)
        old.hide()
        old.deleteLater()
        grid = QGridLayout(self._lines)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(Space.L)
        grid.setVerticalSpacing(Space.S)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 2)
        for fact in facts:
            self._add(grid, fact)
        self._lines.setVisible(bool(facts))

    def facts(self) -> dict[str, str]:
        """What is on view, by name."""
        return {fact.label: fact.value for fact in self._facts or ()}

    def note(self) -> str:
        return self._note.text()

    def _add(self, grid: QGridLayout, fact: Fact) -> None:
        row = grid.rowCount()
        if row > 1 and fact.label:
            line = QFrame(self._lines)
            line.setObjectName("factLine")
            grid.addWidget(line, row, 0, 1, 2)
            row += 1
        label = QLabel(fact.label, self._lines)
        label.setProperty("kind", "secondary")
        label.setWordWrap(True)
        grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
        if fact.is_long:
            value: QWidget = _long(fact.value, self._lines)
        else:
            value = _short(fact.value, self._lines, quiet=not fact.label)
        value.setAccessibleName(f"{fact.label}: {fact.value}" if fact.label else fact.value)
        grid.addWidget(value, row, 1)


def quiet_label(text: str, parent: QWidget) -> QLabel:
    """A sentence beside what matters more, as large as the rest of the window's text."""
    label = QLabel(text, parent)
    label.setProperty("kind", "secondary")
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def _long(text: str, parent: QWidget) -> QWidget:
    label = ElidedLabel(parent)
    label.show_text(text)
    return label


def _short(text: str, parent: QWidget, *, quiet: bool) -> QWidget:
    label = QLabel(text, parent)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if quiet:
        label.setProperty("kind", "secondary")
    return label
