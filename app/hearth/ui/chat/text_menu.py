"""The context menu of a text field, in words that are translated like all others."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QMenu, QPlainTextEdit

from hearth.i18n import tr


def text_menu(field: QPlainTextEdit) -> QMenu:
    """The menu of an editable field; it deletes itself when it closes."""
    menu = QMenu(field)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    selected = field.textCursor().hasSelection()
    document = field.document()

    def add(text: str, key: QKeySequence.StandardKey, enabled: bool, act: Callable[[], object]) -> None:
        action = menu.addAction(text)
        action.setShortcut(QKeySequence(key))
        action.setEnabled(enabled)
        action.triggered.connect(act)

    add(tr("Undo"), QKeySequence.StandardKey.Undo, document.isUndoAvailable(), field.undo)
    add(tr("Redo"), QKeySequence.StandardKey.Redo, document.isRedoAvailable(), field.redo)
    menu.addSeparator()
    add(tr("Cut"), QKeySequence.StandardKey.Cut, selected, field.cut)
    add(tr("Copy"), QKeySequence.StandardKey.Copy, selected, field.copy)
    add(tr("Paste"), QKeySequence.StandardKey.Paste, field.canPaste(), field.paste)
    menu.addSeparator()
    add(tr("Select all"), QKeySequence.StandardKey.SelectAll, True, field.selectAll)
    return menu
