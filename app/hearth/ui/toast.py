"""A short word at the foot of the window, with at most one thing to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, QTimer, Slot
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QEnterEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from hearth.ui.wording import breakable

_SECONDS = 8
_GAP = 16
_LONG = re.compile(r"[!-~]{33,}")  # such as a path: longer than a line may be


class Toast(QFrame):
    """Lies over the window, shows one message at a time and leaves by itself, but not while the pointer is on it."""

    def __init__(self, parent: QWidget, over: QWidget) -> None:
        """`over`: the part of `parent` whose foot the toast lies on; all of it while that part is hidden."""
        super().__init__(parent)
        self._window = parent
        self._over = over
        self.setObjectName("toast")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._text = QLabel(self)
        self._text.setObjectName("toastText")
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setWordWrap(True)
        self.button = QPushButton(self)
        self.button.setObjectName("toastAction")
        self.button.setCursor(Qt.CursorShape.PointingHandCursor)
        self.button.clicked.connect(self._on_clicked)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 10, 10, 10)
        layout.setSpacing(12)
        layout.addWidget(self._text, 1)
        layout.addWidget(self.button)
        self._said = ""
        self._action: Callable[[], None] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SECONDS * 1000)
        self._timer.timeout.connect(self.hide)
        over.installEventFilter(self)
        self.hide()

    def show_message(self, text: str, label: str = "", action: Callable[[], None] | None = None) -> None:
        """Show `text`, and a button `label` that does `action`."""
        self._said = text
        self._text.setText(_LONG.sub(lambda word: breakable(word[0]), text))
        self._action = action
        self.button.setText(label)
        self.button.setVisible(action is not None)
        self.setAccessibleName(text)
        self.show()
        self._place()
        self.raise_()
        self._timer.start()
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, text))

    def text(self) -> str:
        return self._said

    def enterEvent(self, event: QEnterEvent) -> None:
        self._timer.stop()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._timer.start()
        super().leaveEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and watched is self._over:
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        over = self._over if self._over.isVisible() else self._window
        widest = max(200, over.width() - 2 * _GAP)
        wanted = self._text.fontMetrics().horizontalAdvance(self._text.text()) + 70
        width = min(widest, wanted + (self.button.sizeHint().width() if self._action else 0), 560)
        self.setFixedWidth(width)
        self.setFixedHeight(max(self.heightForWidth(width), self.minimumSizeHint().height()))
        corner = QPoint((over.width() - width) // 2, over.height() - self.height() - _GAP)
        self.move(over.mapTo(self._window, corner))

    @Slot()
    def _on_clicked(self) -> None:
        action, self._action = self._action, None
        self.hide()
        if action:
            action()
