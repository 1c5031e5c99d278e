"""A message on its way to the screen: its rows and their heights. It owns no widget.

A message that was never near the viewport is only an estimate of its height. When it comes near, its text is cut
into blocks, each a row; a row's height is an estimate until it was laid out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from PySide6.QtWidgets import QWidget

from hearth.conversations.message import Message, MessageStatus, Role
from hearth.errors import HearthError
from hearth.i18n import ntr, tr
from hearth.ui.chat.chat_style import ChatStyle
from hearth.ui.chat.code_block import CodeBlock
from hearth.ui.chat.footer import Footer
from hearth.ui.chat.heights import Heights
from hearth.ui.chat.markdown import Block, BlockKind, MarkdownStream
from hearth.ui.theme import Space

BUBBLE_PART = 4_000  # characters of what the user wrote that are one row


class RowKind(StrEnum):
    NOTICE = "notice"
    BUBBLE = "bubble"
    EDITOR = "editor"
    TEXT = "text"
    CODE = "code"
    RULE = "rule"
    PROGRESS = "progress"
    FAILED = "failed"
    FOOTER = "footer"


@dataclass(slots=True, eq=False)
class Row:
    """One row of a message.

    Attributes:
        gap: empty pixels above it; part of its height.
        first, last: whether it is the first or last part of a bubble.
        measured: whether its height is that of a layout.
        changed: whether its widget shows something older.
    """

    kind: RowKind
    block: Block | None = None
    text: str = ""
    gap: int = 0
    first: bool = True
    last: bool = True
    measured: bool = False
    changed: bool = True
    widget: QWidget | None = None


class MessageItem:
    """One message of the chat view.

    Attributes:
        rows: its rows; empty until `open` was called.
        heights: their heights.
        editing: whether the user edits it.
    """

    def __init__(self, message: Message) -> None:
        self.message = message
        self.rows: list[Row] = []
        self.heights = Heights()
        self.editing = False
        self.notice = ""
        self._stream: MarkdownStream | None = None
        self._pieces: list[str] = []  # streamed, and not yet in the message
        self._progress = ""
        self._block_rows = 0  # rows before the first one that shows a block
        self._seen_finished = 0  # finished blocks that have their final rows
        self._footer_shows: Message | None = None
        self.dropped: list[Row] = []  # rows that are gone and whose widgets the view has to take back

    @property
    def source(self) -> str:
        """The message as it was written; Markdown in an answer."""
        return self.message.text + "".join(self._pieces)

    @property
    def is_user(self) -> bool:
        return self.message.role is Role.USER

    def estimate(self, style: ChatStyle, width: int) -> int:
        """A guess at the height of a message that was never opened."""
        text = self.message.text
        if self.is_user:
            width = int(width * 0.8)
        return self._text_height(text, style, width) + Footer.HEIGHT + Space.XL

    @staticmethod
    def _text_height(text: str, style: ChatStyle, width: int) -> int:
        per_line = max(10, int(width / style.character))
        return (text.count("\n") + ceil(len(text) / per_line)) * style.line

    # What arrives

    def append(self, text: str) -> None:
        self._pieces.append(text)
        self._progress = ""
        if self._stream is not None:
            self._stream.feed(text)

    def set_progress(self, done: int, total: int) -> None:
        self._progress = ntr(
            "Reading the prompt… {done} of {n} token",
            "Reading the prompt… {done} of {total} tokens",
            total,
            done=f"{done:,}",
            total=f"{total:,}",
        )

    def replace(self, message: Message) -> None:
        """Take the final state; the blocks on view stay if the text is the one that streamed."""
        same = message.text == self.source
        self.message = message
        self._pieces = []
        self._progress = ""
        if self._stream is None:
            return
        if not same:
            self._cut(self._block_rows)
            self._seen_finished = 0
            self._stream = MarkdownStream()
            self._stream.feed(message.text)
        if message.status is not MessageStatus.STREAMING:
            self._stream.finish()

    # Rows

    def open(self, style: ChatStyle, width: int) -> None:
        """Make the rows, if there are none."""
        if self.rows:
            return
        if not self.is_user and self._stream is None:
            self._stream = MarkdownStream()
            self._stream.feed(self.source)
            if self.message.status is not MessageStatus.STREAMING:
                self._stream.finish()
        self.refresh(style, width)

    def refresh(self, style: ChatStyle, width: int) -> None:
        """Bring the rows up to date with the message; what did not change keeps its row."""
        head: list[Row] = [Row(RowKind.NOTICE, text=self.notice)] if self.notice else []
        tail: list[Row] = []
        message = self.message
        blocks: list[Block] = []
        finished = 0
        if self.editing:
            head.append(Row(RowKind.EDITOR, text=self.source))
        elif self._stream is None:
            head.extend(_bubbles(self.source))
        else:
            finished = len(self._stream.blocks)
            blocks = self._stream.open_blocks
        if message.status is MessageStatus.STREAMING and not self.is_user:
            if not finished and not blocks:
                tail.append(Row(RowKind.PROGRESS, text=self._progress or tr("Waiting for the model…")))
        elif message.status is MessageStatus.FAILED:
            tail.append(Row(RowKind.FAILED, text=self._failure()))
        if not self.editing:
            tail.append(Row(RowKind.FOOTER))
        self._merge_head(head, style, width)
        self._merge_blocks(finished, blocks, style, width)
        self._merge_tail(tail, style, width)

    def _failure(self) -> str:
        error = self.message.error
        return str(HearthError.from_code(error.code, error.params)) if error else tr("The answer failed.")

    def _merge_head(self, head: list[Row], style: ChatStyle, width: int) -> None:
        old = self.rows[: self._block_rows]
        if [(row.kind, row.text) for row in old] == [(row.kind, row.text) for row in head]:
            return
        rest = self.rows[self._block_rows :]
        self._drop(old)
        self.rows = []
        self.heights = Heights()
        for row in head:
            self._append(row, style, width)
        self._block_rows = len(head)
        for row in rest:
            row.measured = False
            self._append(row, style, width)

    def _merge_blocks(self, finished: int, blocks: list[Block], style: ChatStyle, width: int) -> None:
        if self._stream is None:
            self._cut(self._block_rows)
            return
        total = finished + len(blocks)
        # Rows of finished blocks that show the same source stay; at most the open ones of last time differ.
        index = max(0, self._seen_finished)
        while index < total:
            block = self._stream.blocks[index] if index < finished else blocks[index - finished]
            place = self._block_rows + index
            row = self.rows[place] if place < len(self.rows) else None
            if row is None or row.block is None or not _same_kind(row, block):
                self._cut(place)
                self._append(Row(_row_kind(block), block), style, width)
            elif row.block is not block or block.kind is BlockKind.CODE:
                changed = row.block is not block and row.block.source != block.source
                grown = block.kind is BlockKind.CODE
                row.block = block
                if changed or grown:
                    row.changed = True
                    row.measured = False
                    if row.widget is None:
                        self.heights[place] = self._row_estimate(row, style, width)
            index += 1
        place = self._block_rows + total
        if place < len(self.rows) and self.rows[place].block is not None:
            self._cut(place)
        self._seen_finished = finished

    def _merge_tail(self, tail: list[Row], style: ChatStyle, width: int) -> None:
        place = next(
            (
                index
                for index in range(len(self.rows) - 1, -1, -1)
                if self.rows[index].kind not in (RowKind.PROGRESS, RowKind.FAILED, RowKind.FOOTER)
            ),
            -1,
        )
        old = self.rows[place + 1 :]
        if [row.kind for row in old] == [row.kind for row in tail]:
            for row, new in zip(old, tail, strict=True):
                if row.text != new.text:
                    row.text, row.changed, row.measured = new.text, True, False
                elif row.kind is RowKind.FOOTER and self._footer_shows is not self.message:
                    row.changed = True
            self._footer_shows = self.message
            return
        self._footer_shows = self.message
        self._cut(place + 1)
        for row in tail:
            self._append(row, style, width)

    def forget_heights(self, style: ChatStyle, width: int) -> None:
        """All heights are estimates again: the column or the font changed."""
        for row in self.rows:
            row.measured = False
        self.heights = Heights(self._row_estimate(row, style, width) for row in self.rows)

    def _append(self, row: Row, style: ChatStyle, width: int) -> None:
        before = self.rows[-1] if self.rows else None
        row.gap = _gap(row, before)
        self.rows.append(row)
        self.heights.append(self._row_estimate(row, style, width))

    def _cut(self, place: int) -> None:
        self._drop(self.rows[place:])
        del self.rows[place:]
        self.heights.truncate(place)

    def _drop(self, rows: list[Row]) -> None:
        self.dropped.extend(row for row in rows if row.widget is not None)

    def _row_estimate(self, row: Row, style: ChatStyle, width: int) -> int:
        match row.kind:
            case RowKind.FOOTER:
                height = Footer.HEIGHT
            case RowKind.CODE:
                height = CodeBlock.estimate(row.block, style) if row.block else 0
            case RowKind.TEXT:
                height = self._text_height(row.block.source, style, width) if row.block else 0
            case RowKind.BUBBLE:
                height = self._text_height(row.text, style, int(width * 0.8)) + 18
            case _:
                height = style.line
        return row.gap + max(1, height)


def _row_kind(block: Block) -> RowKind:
    return RowKind(block.kind.value)


def _same_kind(row: Row, block: Block) -> bool:
    return row.kind is _row_kind(block)


def _bubbles(text: str) -> list[Row]:
    """Rows of what the user wrote: one, or several when it is long."""
    parts: list[str] = []
    rest = text
    while len(rest) > BUBBLE_PART:
        cut = rest.rfind("\n", BUBBLE_PART // 2, BUBBLE_PART)
        parts.append(rest[:cut] if cut > 0 else rest[:BUBBLE_PART])
        rest = rest[cut + 1 :] if cut > 0 else rest[BUBBLE_PART:]
    parts.append(rest)
    last = len(parts) - 1
    return [
        Row(RowKind.BUBBLE, text=part, first=index == 0, last=index == last)
        for index, part in enumerate(parts)
    ]


def _gap(row: Row, before: Row | None) -> int:
    """Pixels between a row and the one before it."""
    if before is None:
        return Space.L if row.kind in (RowKind.BUBBLE, RowKind.EDITOR) else 0
    match row.kind:
        case RowKind.FOOTER:
            return Space.XS
        case RowKind.BUBBLE:
            return 0 if not row.first else Space.S
        case RowKind.CODE | RowKind.FAILED:
            return Space.M
        case RowKind.TEXT:
            if row.block is not None and row.block.source.lstrip().startswith("#"):
                return Space.XL
            return Space.L if before.kind is RowKind.CODE else Space.M
    return Space.S
