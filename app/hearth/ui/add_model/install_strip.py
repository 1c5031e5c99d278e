"""The slim strip above the chat that says which models are on their way, and how far."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPoint, QSize, Qt, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QProgressBar, QPushButton, QSizePolicy, QWidget

from hearth.i18n import ntr, tr
from hearth.services.install_events import InstallState, InstallStatus
from hearth.ui.add_model.install_wording import percent, short_text
from hearth.ui.elided_label import ElidedLabel
from hearth.ui.theme import Space, icon, theme

_BAR_WIDTH = 120


class InstallStrip(QPushButton):
    """Hidden while no model is on its way.

    Signals:
        wanted: id of the install that the user wants to see.
    """

    wanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("installStrip")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAutoDefault(True)  # Enter presses it too
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._statuses: Sequence[InstallStatus] = ()
        self._look = ("arrow-down", "accent")
        self._icon = QLabel(self)
        self._words = ElidedLabel(self, Qt.TextElideMode.ElideRight)
        self.bar = QProgressBar(self)
        self.bar.setRange(0, 100)
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(_BAR_WIDTH)
        self._chevron = QLabel(self)
        for part in (self._icon, self._words, self.bar, self._chevron):
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(Space.L, 0, Space.M, 0)
        layout.setSpacing(Space.M)
        layout.addWidget(self._icon)
        layout.addWidget(self._words, 1)
        layout.addWidget(self.bar)
        layout.addWidget(self._chevron)
        self.clicked.connect(self._on_clicked)
        theme().changed.connect(self._restyle)
        self._restyle()
        self.hide()

    def show_statuses(self, statuses: Sequence[InstallStatus]) -> None:
        """Where all models on their way stand, in the order of the queue."""
        self._statuses = statuses
        self.setVisible(bool(statuses))
        if not statuses:
            return
        first = next((one for one in statuses if one.state is InstallState.RUNNING), statuses[0])
        text = tr("{name}: {state}", name=first.name, state=short_text(first))
        if len(statuses) > 1:
            count = ntr("{n} model on its way", "{n} models on their way", len(statuses))
            text = tr("{text} · {detail}", text=count, detail=text)
        self.bar.setVisible(first.total > 0 and first.state is not InstallState.FAILED)
        self.bar.setValue(percent(first))
        failed = any(one.state is InstallState.FAILED for one in statuses)
        look = ("warning", "danger") if failed else ("arrow-down", "accent")
        if look != self._look:
            self._look = look
            self._restyle()
        self.setAccessibleName(text)
        self._words.show_text(text)

    def words(self) -> str:
        """All that it says."""
        return self._words.text()

    def sizeHint(self) -> QSize:
        return QSize(200, self.fontMetrics().height() + 2 * Space.S)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    @Slot()
    def _on_clicked(self) -> None:
        if len(self._statuses) == 1:
            self.wanted.emit(self._statuses[0].id)
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for status in self._statuses:
            action = menu.addAction(tr("{name}: {state}", name=status.name, state=short_text(status)))
            action.triggered.connect(lambda _on, id_=status.id: self.wanted.emit(id_))
        menu.popup(self.mapToGlobal(QPoint(Space.L, self.height())))

    @Slot()
    def _restyle(self) -> None:
        self._icon.setPixmap(icon(*self._look).pixmap(Space.ICON, Space.ICON))
        self._chevron.setPixmap(icon("chevron-right", "text_faint").pixmap(Space.ICON, Space.ICON))
