"""A block of code: its language, a copy button, and highlighted lines that scroll sideways and never wrap."""

from __future__ import annotations

from math import ceil

from PySide6.QtCore import QPoint, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QEnterEvent,
    QFontMetricsF,
    QGuiApplication,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QResizeEvent,
    QTextBlock,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextLayout,
    QTextOption,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QAbstractScrollArea,
    QFrame,
    QLabel,
    QPlainTextDocumentLayout,
    QPlainTextEdit,
    QScrollBar,
    QToolButton,
    QWidget,
)

from hearth.i18n import tr
from hearth.ui.chat.chat_style import ChatStyle
from hearth.ui.chat.dragged_text import DraggedText
from hearth.ui.chat.highlight import LEXERS, PAGE_LINES, colour_page
from hearth.ui.chat.markdown import Block
from hearth.ui.theme import Space, colour, icon

HEADER = 34
BOTTOM = 14
MAX_LINE = 4_000  # characters; a longer line is broken for the eye only
MAX_HEIGHT = 16_000_000  # Qt's limit for a widget is near
_COPIED_MS = 1_500
_HIGHLIGHT_MS = 80
_LEXER_MS = 20


class _EvenLines(QPlainTextDocumentLayout):
    """Lines of one height, whatever fonts a line falls back to, so that a height is known without a layout."""

    def __init__(self, document: QTextDocument, line: int) -> None:
        super().__init__(document)
        self.line = line

    def blockBoundingRect(self, block: QTextBlock) -> QRectF:
        rect = super().blockBoundingRect(block)
        if rect.isValid():
            rect.setHeight(self.line)
        return rect


class CodeLines(DraggedText, QPlainTextEdit):
    """The lines of code; the chat view decides which of them it shows."""

    def __init__(self, style: ChatStyle, parent: QWidget) -> None:
        super().__init__(parent)
        document = QTextDocument(self)
        document.setDefaultFont(style.code)
        document.setDocumentMargin(0)
        document.setUndoRedoEnabled(False)
        document.setDocumentLayout(_EvenLines(document, style.code_line))
        self.setDocument(document)
        self.setFont(style.code)
        option = document.defaultTextOption()
        option.setWrapMode(QTextOption.WrapMode.NoWrap)
        option.setTabStopDistance(QFontMetricsF(style.code).horizontalAdvance(" ") * 4)
        document.setDefaultTextOption(option)
        self.setReadOnly(True)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizeAdjustPolicy(QAbstractScrollArea.SizeAdjustPolicy.AdjustIgnored)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.Base, colour("code"))
        palette.setColor(QPalette.ColorRole.Text, colour("code_text"))
        self.setPalette(palette)
        self._first = 0
        self.verticalScrollBar().valueChanged.connect(self._stay)

    def show_from(self, line: int) -> None:
        """Show the lines from `line` on."""
        self._first = line
        if self.verticalScrollBar().value() != line:
            self.verticalScrollBar().setValue(line)

    def _stay(self, value: int) -> None:
        if value != self._first:
            self.verticalScrollBar().setValue(min(self._first, self.verticalScrollBar().maximum()))

    def wheelEvent(self, event: QWheelEvent) -> None:
        delta = event.angleDelta()
        if abs(delta.x()) > abs(delta.y()) and self.horizontalScrollBar().maximum() > 0:
            super().wheelEvent(event)
            return
        event.ignore()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        event.ignore()


class CodeBlock(QWidget):
    """A block of code in the chat view.

    Its height is that of all its lines; the editor inside is only as tall as what can be seen of it.

    Signals:
        entered: the mouse came in.
    """

    entered = Signal()

    def __init__(self, style: ChatStyle, parent: QWidget) -> None:
        super().__init__(parent)
        self._style = style
        self._block: Block | None = None
        self._taken = 0  # characters of the block that are in the document
        self._line_length = 0
        self._page_block = 0  # first line of the page that is not coloured for good
        self._coloured = False  # at least once; what is added then can wait
        self._slice = (0, 0)
        self.lines = CodeLines(style, self)
        self._header = _Header(self)
        self._language = QLabel(self._header)
        self._language.setFont(style.small)
        self._language.setProperty("kind", "faint")
        self._language.setTextFormat(Qt.TextFormat.PlainText)
        self.copy_button = QToolButton(self._header)
        self.copy_button.setFont(style.small)
        self.copy_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.copy_button.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.copy_button.setCursor(Qt.CursorShape.ArrowCursor)
        self.copy_button.clicked.connect(self._copy)
        self._bar = QScrollBar(Qt.Orientation.Horizontal, self)
        inner = self.lines.horizontalScrollBar()
        inner.rangeChanged.connect(self._set_range)
        inner.valueChanged.connect(self._bar.setValue)
        self._bar.valueChanged.connect(inner.setValue)
        self._bar.hide()
        self._copied = QTimer(self)
        self._copied.setSingleShot(True)
        self._copied.setInterval(_COPIED_MS)
        self._copied.timeout.connect(self._show_copy)
        self._colouring = QTimer(self)
        self._colouring.setSingleShot(True)
        self._colouring.timeout.connect(self._colour_more)
        self._formats = {
            role: _format(f"code_{role}")
            for role in ("comment", "keyword", "string", "number", "name", "type")
        }
        self._show_copy()

    def bind(self, block: Block) -> None:
        """Show `block`; code that was added to the block on view is appended."""
        if block is not self._block:
            self.clear()
            self._block = block
            self._language.setText(block.language)
            self._language.adjustSize()
            self.lines.setAccessibleName(
                tr("Code in {language}", language=block.language) if block.language else tr("Code")
            )
        added = block.code_after(self._taken)
        if added:
            self._append(added)

    def clear(self) -> None:
        self._block = None
        self._taken = self._line_length = self._page_block = 0
        self._coloured = False
        self.lines.document().clear()
        self._colouring.stop()
        self._copied.stop()
        self._show_copy()

    def height_for(self, _width: int) -> int:
        lines = self.lines.document().blockCount()
        return min(MAX_HEIGHT, HEADER + lines * self._style.code_line + BOTTOM)

    @staticmethod
    def estimate(block: Block, style: ChatStyle) -> int:
        """The height that `block` will have."""
        return min(MAX_HEIGHT, HEADER + block.lines * style.code_line + BOTTOM)

    def set_slice(self, top: int, bottom: int) -> None:
        """Show what lies between `top` and `bottom`, in pixels from the top of the block."""
        self._slice = (top, bottom)
        self._place()

    # Drawing and geometry

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour("code"))
        painter.drawRoundedRect(self.rect(), Space.RADIUS, Space.RADIUS)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._place()

    def enterEvent(self, event: QEnterEvent) -> None:
        self.entered.emit()

    def _place(self) -> None:
        width, height = self.width(), self.height()
        line = self._style.code_line
        count = self.lines.document().blockCount()
        top, bottom = self._slice if self._slice[1] > 0 else (0, height)
        header_y = max(0, min(top, height - HEADER - BOTTOM - line))
        # The corners stay round: the header's own background is inset.
        self._header.setGeometry(Space.S, header_y + 2, width - 2 * Space.S, HEADER - 2)
        self._language.move(Space.XS, (HEADER - 2 - self._language.height()) // 2)
        button = self.copy_button.sizeHint()
        self.copy_button.setGeometry(
            self._header.width() - button.width(),
            (HEADER - 2 - button.height()) // 2,
            button.width(),
            button.height(),
        )
        first = max(0, min(count - 1, (top - HEADER) // line))
        shown = max(1, min(count - first, ceil((bottom - HEADER) / line) - first + 1))
        self.lines.setGeometry(Space.M, HEADER + first * line, width - 2 * Space.M, shown * line)
        self.lines.show_from(first)
        extent = 12
        self._bar.setGeometry(
            Space.S,
            min(height, max(bottom, HEADER + line + BOTTOM)) - extent - 1,
            width - 2 * Space.S,
            extent,
        )
        self._header.raise_()
        self._bar.raise_()

    def _set_range(self, low: int, high: int) -> None:
        inner = self.lines.horizontalScrollBar()
        self._bar.setPageStep(inner.pageStep())
        self._bar.setSingleStep(inner.singleStep())
        self._bar.setRange(low, high)
        self._bar.setVisible(high > low)

    # Text

    def _append(self, text: str) -> None:
        self._taken += len(text)
        shown: list[str] = []
        for number, line in enumerate(text.split("\n")):
            if number:
                shown.append("\n")
                self._line_length = 0
            rest = line
            while self._line_length + len(rest) > MAX_LINE:
                head = MAX_LINE - self._line_length
                shown.extend((rest[:head], "\n"))
                rest = rest[head:]
                self._line_length = 0
            shown.append(rest)
            self._line_length += len(rest)
        cursor = QTextCursor(self.lines.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.insertText("".join(shown))
        if not self._colouring.isActive() and self._block is not None and self._block.language:
            self._colouring.start(_HIGHLIGHT_MS if self._coloured else 0)

    def _colour_more(self) -> None:
        """Colour one page; the last page again as it grows."""
        if self._block is None:
            return
        if not LEXERS.has(self._block.language):
            self._colouring.start(_LEXER_MS)
            return
        self._coloured = True
        lexer = LEXERS.get(self._block.language)
        if lexer is None:
            return
        document = self.lines.document()
        first = document.findBlockByNumber(self._page_block)
        texts: list[str] = []
        block = first
        while block.isValid() and len(texts) < 2 * PAGE_LINES:
            texts.append(block.text())
            block = block.next()
        spans, boundary = colour_page(lexer, "\n".join(texts))
        lengths = [len(text) + 1 for text in texts]
        ranges: list[list[QTextLayout.FormatRange]] = [[] for _ in texts]
        number = start_of_line = 0
        for start, length, role in spans:
            end = start + length
            while number < len(lengths) - 1 and start >= start_of_line + lengths[number]:
                start_of_line += lengths[number]
                number += 1
            line, line_start, place = number, start_of_line, start
            while place < end and line < len(lengths):
                stop = min(end, line_start + lengths[line] - 1)
                if stop > place:
                    ranges[line].append(_range(place - line_start, stop - place, self._formats[role]))
                line_start += lengths[line]
                place = line_start
                line += 1
        block = first
        for entry in ranges:
            if block.layout().formats() != entry:
                block.layout().setFormats(entry)
                document.markContentsDirty(block.position(), block.length())
            block = block.next()
        if len(texts) >= PAGE_LINES:
            done = "\n".join(texts).count("\n", 0, boundary) if boundary else len(texts)
            if done < len(texts) or len(texts) == 2 * PAGE_LINES:
                self._page_block += done if done >= PAGE_LINES // 4 else len(texts)
        if self._page_block < document.blockCount() and block.isValid():
            self._colouring.start(0)

    # Copy

    def _copy(self) -> None:
        if self._block is None:
            return
        QGuiApplication.clipboard().setText(self._block.code)
        self.copy_button.setText(tr("Copied"))
        self.copy_button.setIcon(icon("check", "success", size=14))
        self._place()
        self._copied.start()

    def _show_copy(self) -> None:
        self.copy_button.setText(tr("Copy"))
        self.copy_button.setAccessibleName(tr("Copy code"))
        self.copy_button.setIcon(icon("copy", "text_faint", size=14))
        self._place()

    # Selection, as the chat view moves it over several blocks

    def position_at(self, point: QPoint) -> int:
        """The text position at `point`, in this widget's coordinates."""
        return self.lines.cursorForPosition(self.lines.viewport().mapFrom(self, point)).position()


class _Header(QWidget):
    """Covers the lines that scroll under it."""

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(self.rect(), colour("code"))


def _format(name: str) -> QTextCharFormat:
    made = QTextCharFormat()
    made.setForeground(colour(name))
    return made


def _range(start: int, length: int, char_format: QTextCharFormat) -> QTextLayout.FormatRange:
    made = QTextLayout.FormatRange()
    made.start = start
    made.length = length
    made.format = char_format
    return made
