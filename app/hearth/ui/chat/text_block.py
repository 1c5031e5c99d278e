"""Rich text that can be selected and never fetches anything."""

from __future__ import annotations

from math import ceil

from PySide6.QtCore import QPoint, Qt, QUrl, Signal
from PySide6.QtGui import (
    QEnterEvent,
    QKeyEvent,
    QMouseEvent,
    QPalette,
    QTextBlockFormat,
    QTextCursor,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QTextBrowser, QTextEdit, QWidget

from hearth.ui.chat.chat_style import ChatStyle
from hearth.ui.chat.dragged_text import DraggedText
from hearth.ui.chat.markdown_html import may_follow
from hearth.ui.theme import colour


class TextBlock(DraggedText, QTextBrowser):
    """One block of rich text in the chat view.

    Signals:
        entered: the mouse came in.
        link_clicked: a web or mail link was clicked.
        left_by_key: Tab (True) or Shift+Tab found no further link.
    """

    entered = Signal()
    link_clicked = Signal(str)
    left_by_key = Signal(bool)

    def __init__(self, style: ChatStyle, parent: QWidget) -> None:
        super().__init__(parent)
        self._style = style
        self._html: str | None = None
        self.has_links = False
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setLineWrapMode(QTextEdit.LineWrapMode.FixedPixelWidth)
        self.setOpenLinks(False)
        self.setOpenExternalLinks(False)
        self.setUndoRedoEnabled(False)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
            | Qt.TextInteractionFlag.LinksAccessibleByMouse
            | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
        )
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.viewport().setAutoFillBackground(False)
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.Base, Qt.GlobalColor.transparent)
        palette.setColor(QPalette.ColorRole.Text, colour("text"))
        self.setPalette(palette)
        document = self.document()
        document.setDocumentMargin(0)
        document.setIndentWidth(24)
        document.setDefaultFont(style.body)
        document.setDefaultStyleSheet(style.css)
        self.anchorClicked.connect(self._clicked)
        self.highlighted.connect(self._hovered)

    def show_html(self, html: str) -> None:
        """Show HTML made by `markdown_html`."""
        if html == self._html:
            return
        self._html = html
        self.setHtml(html)
        self.has_links = "<a " in html

    def show_plain(self, text: str) -> None:
        """Show text as it is."""
        self._html = None
        self.has_links = False
        self.setPlainText(text)
        spaced = QTextBlockFormat()
        spaced.setLineHeight(ChatStyle.LINE_HEIGHT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        cursor = QTextCursor(self.document())
        cursor.select(QTextCursor.SelectionType.Document)
        cursor.mergeBlockFormat(spaced)

    def height_for(self, width: int) -> int:
        document = self.document()
        if self.lineWrapColumnOrWidth() != width:
            self.setLineWrapColumnOrWidth(width)
        if document.textWidth() != width:
            document.setTextWidth(width)
        return ceil(document.size().height())

    def position_at(self, point: QPoint) -> int:
        """The text position at `point`, in this widget's coordinates."""
        return self.cursorForPosition(point).position()

    def loadResource(self, _kind: int, _name: QUrl | str) -> object:
        """Nothing is ever loaded for a text that a model wrote."""
        return None

    def enterEvent(self, event: QEnterEvent) -> None:
        self.entered.emit()
        super().enterEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            super().keyPressEvent(event)
        else:
            event.ignore()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        event.accept()

    def focus_link(self, forward: bool) -> None:
        """Take the keyboard, at the first or last link."""
        self.setFocus(Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason)
        self.moveCursor(QTextCursor.MoveOperation.Start if forward else QTextCursor.MoveOperation.End)
        super().focusNextPrevChild(forward)

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Go to the next link, and from the last one out of the block."""
        before = self.textCursor()
        done = super().focusNextPrevChild(forward)
        after = self.textCursor()
        stayed = (before.selectionStart(), before.selectionEnd()) == (
            after.selectionStart(),
            after.selectionEnd(),
        )
        if self.hasFocus() and stayed:  # backwards, Qt finds the first link again and again
            self.left_by_key.emit(forward)
        return done

    def scrollContentsBy(self, _dx: int, _dy: int) -> None:
        """The whole block is always in view."""

    def _clicked(self, url: QUrl) -> None:
        if may_follow(url.toString()):
            self.link_clicked.emit(url.toString())

    def _hovered(self, url: QUrl) -> None:
        self.setToolTip(url.toDisplayString() if not url.isEmpty() else "")
