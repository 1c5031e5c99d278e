"""What Hearth is: its version, the licences of what it is made with, and diagnostics to copy."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Slot
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QFont,
    QGuiApplication,
    QKeySequence,
    QShortcut,
)
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from hearth import __version__
from hearth.i18n import tr
from hearth.ui import theme
from hearth.ui.licences_view import LicencesView
from hearth.ui.screen_room import within_screen
from hearth.ui.settings.page import hint_label
from hearth.ui.tasks import Lane, Tasks
from hearth.ui.theme import FontSize, Space, font, mono_font
from hearth.ui.wording import error_text

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth

_log = logging.getLogger(__name__)

_SIZE = QSize(900, 600)
_LEAST_SIZE = QSize(520, 380)
_LOGO = 72


class AboutDialog(QDialog):
    """Three tabs; the diagnostics are gathered when they are first looked at.

    Attributes:
        tabs: About, Licences, Diagnostics.
        licences: the list of packages.
        diagnostics: the text that Copy Diagnostics copies.
    """

    def __init__(self, hearth: Hearth | None, tasks: Tasks, parent: QWidget | None = None) -> None:
        """`hearth`: None where it could not be opened; the diagnostics are of use then most of all."""
        super().__init__(parent)
        self.setObjectName("aboutDialog")
        self.setWindowTitle(tr("About Hearth"))
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setMinimumSize(within_screen(self, _LEAST_SIZE))
        self.resize(within_screen(self, _SIZE))
        self._hearth = hearth
        self._tasks = tasks
        self._asked = False
        self.tabs = QTabWidget(self)
        self.tabs.setDocumentMode(True)
        self.licences = LicencesView(tasks, self)
        self._diagnostics_page = self._build_diagnostics()
        self.tabs.addTab(self._build_about(), tr("&About"))
        self.tabs.addTab(self.licences, tr("&Licences"))
        self.tabs.addTab(self._diagnostics_page, tr("&Diagnostics"))
        self.tabs.currentChanged.connect(self._on_tab)
        self.close_button = QPushButton(tr("&Close"), self)
        self.close_button.clicked.connect(self.close)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Space.XL, Space.L, Space.XL, Space.L)
        layout.setSpacing(Space.M)
        layout.addWidget(self.tabs, 1)
        layout.addLayout(buttons)
        self.close_button.setDefault(True)
        for key in QKeySequence.keyBindings(QKeySequence.StandardKey.Close):
            QShortcut(key, self, self.close)
        theme.theme().changed.connect(self._tint)
        self._tint()

    def _build_about(self) -> QWidget:
        page = QWidget(self)
        self._logo = QLabel(page)
        name = QLabel("Hearth", page)
        name.setFont(font(FontSize.LARGE_TITLE, weight=QFont.Weight.DemiBold))
        version = QLabel(tr("Version {version}", version=__version__), page)
        version.setProperty("kind", "secondary")
        version.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        what = QLabel(
            tr("A private AI assistant for the machine you already own. What you write stays here."), page
        )
        licence = QLabel(tr("Free software under the Apache License 2.0."), page)
        licence.setProperty("kind", "secondary")
        self.licence_button = QPushButton(tr("&Read the Licence"), page)
        self.licence_button.clicked.connect(self._on_licence)
        layout = QVBoxLayout(page)
        layout.setSpacing(Space.S)
        layout.addStretch(2)
        for widget in (self._logo, name, version, what, licence, self.licence_button):
            if isinstance(widget, QLabel):
                widget.setAlignment(Qt.AlignmentFlag.AlignHCenter)
                widget.setWordWrap(True)
                layout.addWidget(widget)
            else:
                layout.addSpacing(Space.S)
                layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(3)
        return page

    def _build_diagnostics(self) -> QWidget:
        page = QWidget(self)
        hint = hint_label(
            tr("Of use when you report a fault. Nothing that you or a model wrote is in it."), page
        )
        self.diagnostics = QPlainTextEdit(page)
        self.diagnostics.setObjectName("diagnostics")
        self.diagnostics.setProperty("kind", "field")
        self.diagnostics.setReadOnly(True)
        self.diagnostics.setTabChangesFocus(True)
        self.diagnostics.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        self.diagnostics.setFont(mono_font(FontSize.SMALL))
        self.diagnostics.setAccessibleName(tr("Diagnostics"))
        self.diagnostics.setPlaceholderText(tr("Looking at this machine…"))
        self.copy_button = QPushButton(tr("C&opy Diagnostics"), page)
        self.copy_button.setEnabled(False)
        self.copy_button.clicked.connect(self._on_copy)
        self._copied = QLabel(page)
        self._copied.setProperty("kind", "secondary")
        row = QHBoxLayout()
        row.addWidget(self.copy_button)
        row.addWidget(self._copied, 1)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, Space.M, 0, 0)
        layout.setSpacing(Space.S)
        layout.addWidget(hint)
        layout.addWidget(self.diagnostics, 1)
        layout.addLayout(row)
        return page

    @Slot()
    def _tint(self) -> None:
        self._logo.setPixmap(theme.icon("hearth", "accent", size=_LOGO).pixmap(_LOGO))

    @Slot()
    def _on_tab(self) -> None:
        if self.tabs.currentWidget() is not self._diagnostics_page or self._asked:
            return
        from hearth.services.diagnostics import diagnostics

        self._asked = True
        hearth = self._hearth
        self._tasks.run(lambda: diagnostics(hearth), owner=self, lane=Lane.FILES).success(
            self._on_diagnostics
        ).failure(self._on_failed)

    def _on_diagnostics(self, text: str) -> None:
        self.diagnostics.setPlainText(text)
        self.copy_button.setEnabled(True)

    def _on_failed(self, error: Exception) -> None:
        _log.error("the diagnostics could not be gathered", exc_info=error)
        self.diagnostics.setPlainText(error_text(error))

    @Slot()
    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self.diagnostics.toPlainText())
        self._copied.setText(tr("Copied"))
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, tr("Copied")))

    @Slot()
    def _on_licence(self) -> None:
        self.licences.show_package("Hearth")
        self.tabs.setCurrentWidget(self.licences)
