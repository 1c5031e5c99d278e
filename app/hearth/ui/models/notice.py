"""A sentence in a frame on the page of a model: what its user should know before anything else."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QWidget

from hearth.ui import theme
from hearth.ui.theme import Space


class Notice(QFrame):
    """Hidden while it has nothing to say."""

    def __init__(self, parent: QWidget | None = None, *, danger: bool = False) -> None:
        super().__init__(parent)
        self.setObjectName("notice")
        self.setProperty("tone", "danger" if danger else "")
        self._icon_name = "warning" if danger else "info"
        self._icon = QLabel(self)
        self._icon.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.label = QLabel(self)
        self.label.setWordWrap(True)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(Space.M, Space.S, Space.M, Space.S)
        layout.setSpacing(Space.S)
        layout.addWidget(self._icon)
        layout.addWidget(self.label, 1)
        self.tint()
        self.hide()

    def say(self, text: str) -> None:
        """Show `text`; nothing where it is empty."""
        self.label.setText(text)
        self.tint()
        self.setAccessibleName(text)
        self.setVisible(bool(text))

    def text(self) -> str:
        return self.label.text()

    def tint(self) -> None:
        """The theme's colours have changed."""
        name = "danger" if self.property("tone") else "text_secondary"
        size = max(Space.ICON, self.label.fontMetrics().height())
        self._icon.setPixmap(theme.icon(self._icon_name, name, size=size).pixmap(QSize(size, size)))
