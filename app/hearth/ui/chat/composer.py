"""The field at the foot of the window in which a question is written."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from hearth.i18n import tr
from hearth.ui.chat.growing_edit import GrowingEdit
from hearth.ui.theme import FontSize, Space, colour, font, icon, theme


class Composer(QWidget):
    """A rounded field with a Send button that becomes Stop while an answer streams.

    Signals:
        submitted: text to send; the field was emptied.
        stop_requested: Stop was pressed.
        edit_last_requested: the up arrow was pressed in the empty field.
    """

    submitted = Signal(str)
    stop_requested = Signal()
    edit_last_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._busy = False
        self._reason: str | None = None
        self.edit = GrowingEdit(font(FontSize.CHAT), 10, self)
        self.edit.setAccessibleName(tr("Message"))
        self.edit.send.connect(self._send)
        self.edit.cancelled.connect(self._escape)
        self.edit.up_when_empty.connect(self.edit_last_requested)
        self.edit.textChanged.connect(self._refresh)
        self.button = QToolButton(self)
        self.button.setFixedSize(34, 34)
        self.button.setIconSize(QSize(18, 18))
        self.button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.button.clicked.connect(self._pressed)
        row = QHBoxLayout()
        row.setContentsMargins(Space.L, 7, 7, 7)
        row.setSpacing(Space.S)
        row.addWidget(self.edit, 1, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.button, 0, Qt.AlignmentFlag.AlignBottom)
        self._field = _Field(self.edit)
        self._field.setLayout(row)
        self._field.setMaximumWidth(Space.COLUMN + 2 * Space.S)
        column = QHBoxLayout()
        column.addStretch(0)
        column.addWidget(self._field, 1)
        column.addStretch(0)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(Space.XL - Space.S, 0, Space.XL - Space.S, Space.L)
        outer.addLayout(column)
        theme().changed.connect(self._refresh)
        self._refresh()

    def set_busy(self, busy: bool) -> None:
        """Whether an answer streams: Send becomes Stop."""
        self._busy = busy
        self._refresh()

    def set_enabled_reason(self, reason: str | None) -> None:
        """Say why nothing can be sent; None when it can. What was written stays."""
        self._reason = reason
        self._refresh()

    def set_font_scale(self, scale: float) -> None:
        self.edit.set_font(font(FontSize.CHAT, scale=scale))

    def set_text(self, text: str) -> None:
        """Put `text` in the field, for example a draft."""
        self.edit.setPlainText(text)
        self.edit.moveCursor(self.edit.textCursor().MoveOperation.End)

    def text(self) -> str:
        return self.edit.text

    def focus(self) -> None:
        """Put the keyboard into the field."""
        self.edit.setFocus(Qt.FocusReason.OtherFocusReason)

    @property
    def can_send(self) -> bool:
        return self._reason is None and not self._busy and bool(self.edit.text.strip())

    def _send(self) -> None:
        if not self.can_send:
            return
        text = self.edit.text.strip()
        self.edit.clear()
        self.submitted.emit(text)

    def _pressed(self) -> None:
        if self._busy:
            self.stop_requested.emit()
        else:
            self._send()
        self.focus()

    def _escape(self) -> None:
        if self._busy:
            self.stop_requested.emit()

    def _refresh(self) -> None:
        colours = theme().colours
        self.edit.setPlaceholderText(self._reason if self._reason is not None else tr("Write a message"))
        # Qt repaints a changed placeholder only with the next event of the field, which may be long in coming.
        self.edit.viewport().update()
        enabled = self._busy or self.can_send
        self.button.setEnabled(enabled)
        name = tr("Stop") if self._busy else tr("Send")
        self.button.setAccessibleName(name)
        self.button.setToolTip(tr("Stop the answer (Esc)") if self._busy else tr("Send (Enter)"))
        self.button.setIcon(
            icon("stop" if self._busy else "send", "accent_text" if enabled else "text_faint", size=18)
        )
        ground = colours.accent if enabled else colours.hover
        hover = colours.accent_hover if enabled else colours.hover
        self.button.setStyleSheet(
            f"QToolButton {{ background: {ground}; border-radius: 17px; border: 2px solid {ground}; padding: 0; }}"
            f"QToolButton:hover {{ background: {hover}; border-color: {hover}; }}"
            f"QToolButton:focus {{ border-color: {colours.text}; }}"
        )


class _Field(QWidget):
    """The rounded ground of the field; its border tells whether the keyboard is in it."""

    RADIUS = 24

    def __init__(self, edit: GrowingEdit) -> None:
        super().__init__()
        self._edit = edit
        edit.installEventFilter(self)
        self.setCursor(Qt.CursorShape.IBeamCursor)

    def eventFilter(self, watched: object, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self.update()
        return False

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._edit.setFocus(Qt.FocusReason.MouseFocusReason)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        focused = self._edit.hasFocus()
        painter.setPen(QPen(colour("text_faint" if focused else "field_border"), 1))
        painter.setBrush(colour("field"))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), self.RADIUS, self.RADIUS)
