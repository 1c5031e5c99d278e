"""A plain text field that grows with its text; Enter sends it."""

from __future__ import annotations

from math import ceil

from PySide6.QtCore import QEvent, QMimeData, QSize, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QFont, QFontMetricsF, QInputMethodEvent, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QFrame, QMenu, QPlainTextEdit, QSizePolicy, QWidget

from hearth.ui.chat.text_menu import text_menu


class GrowingEdit(QPlainTextEdit):
    """A text field of one line that grows to at most `max_lines`, then scrolls.

    Enter and Ctrl+Enter send, Shift+Enter breaks the line; while an input method is composing, Enter belongs to it.

    Signals:
        send: Enter was pressed.
        cancelled: Escape was pressed.
        up_when_empty: the up arrow was pressed while there is no text.
    """

    send = Signal()
    cancelled = Signal()
    up_when_empty = Signal()

    def __init__(self, font: QFont, max_lines: int = 10, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._max_lines = max_lines
        self._composing = False
        self.set_font(font)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabChangesFocus(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.viewport().setAutoFillBackground(False)
        self.document().setDocumentMargin(2)
        self.textChanged.connect(self._grow)
        self.document().documentLayout().documentSizeChanged.connect(self._grow)
        self._grow()

    def set_font(self, font: QFont) -> None:
        self.setFont(font)
        self.viewport().setFont(font)  # which the placeholder is written in
        self._grow()

    def sizeHint(self) -> QSize:
        return QSize(240, self.wanted_height())

    def minimumSizeHint(self) -> QSize:
        return QSize(80, self.wanted_height())

    def wanted_height(self) -> int:
        """The height that shows all lines, or as many as are allowed."""
        line = QFontMetricsF(self.font()).lineSpacing()
        # The document's size of a plain text field is counted in lines.
        lines = max(1.0, min(self._max_lines, self.document().size().height()))
        return ceil(line * lines + 2 * self.document().documentMargin())

    def _grow(self) -> None:
        height = self.wanted_height()
        fits = self.document().size().height() <= self._max_lines
        self.setVerticalScrollBarPolicy(
            Qt.ScrollBarPolicy.ScrollBarAlwaysOff if fits else Qt.ScrollBarPolicy.ScrollBarAsNeeded
        )
        if height != self.height() or self.minimumHeight() != height:
            self.setFixedHeight(height)
            self.updateGeometry()

    def event(self, event: QEvent) -> bool:
        """Leave the key for Undo to the window where there is nothing to undo in here."""
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.matches(QKeySequence.StandardKey.Undo)
            and not self.document().isUndoAvailable()
        ):
            event.ignore()
            return False
        return super().event(event)

    def inputMethodEvent(self, event: QInputMethodEvent) -> None:
        self._composing = bool(event.preeditString())
        super().inputMethodEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not self._composing:
            if modifiers in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier):
                self.send.emit()
                return
            if modifiers == Qt.KeyboardModifier.ShiftModifier:
                self.insertPlainText("\n")
                self.ensureCursorVisible()
                return
        elif event.key() == Qt.Key.Key_Escape and not self._composing:
            self.cancelled.emit()
            return
        elif (
            event.key() == Qt.Key.Key_Up and not self.document().characterCount() > 1 and not self._composing
        ):
            self.up_when_empty.emit()
            return
        super().keyPressEvent(event)

    def insertFromMimeData(self, source: QMimeData) -> None:
        if source.hasText():
            self.insertPlainText(source.text())

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        self.menu().popup(event.globalPos())

    def menu(self) -> QMenu:
        """The context menu, in Hearth's own words."""
        return text_menu(self)

    @property
    def text(self) -> str:
        return self.toPlainText()
