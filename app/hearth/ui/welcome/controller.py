"""When the welcome is on view, what it is told, and what its choices do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QStackedWidget

from hearth.ui.tasks import Lane

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth
    from hearth.ui.tasks import Tasks
    from hearth.ui.welcome.welcome import Welcome

WELCOMED = "window.welcomed"


class WelcomeController(QObject):
    """Puts the welcome among the window's pages, also before Hearth is open, and takes it away when it is read.

    Attributes:
        widget: the welcome; None while it is not on view.

    Signals:
        shown: it has come on view.
        finished: it was read, or put away.
        model_wanted: after it was read, a model for this machine shall be found.
    """

    shown = Signal()
    finished = Signal()
    model_wanted = Signal()

    def __init__(
        self, pages: QStackedWidget, tasks: Tasks, is_closing: Callable[[], bool], parent: QObject
    ) -> None:
        """`is_closing`: whether what is measured is not wanted any more; asked on any thread."""
        super().__init__(parent)
        self._pages = pages
        self._tasks = tasks
        self._is_closing = is_closing
        self._hearth: Hearth | None = None
        self._language: str | None = None  # chosen before Hearth was open
        self._read = False
        self.widget: Welcome | None = None

    def attach(self, hearth: Hearth, *, welcomed: bool) -> None:
        """Hearth is open; `welcomed`: whether the welcome was read in it."""
        self._hearth = hearth
        if self._language:
            self._choose_language(self._language)
        if self._read:
            self._remember()
        elif not welcomed and self._pages.currentWidget() is not self.widget:
            self.show(self.page() or 0)  # not there yet, or a first try to open Hearth has hidden it

    @Slot()
    def show(self, page: int = 0) -> None:
        """Bring it on view."""
        if self.widget is None:
            from hearth.ui.welcome.welcome import Welcome

            widget = Welcome(self._pages)
            widget.language_chosen.connect(self._choose_language)
            widget.finished.connect(self._on_finished)
            widget.machine.model_wanted.connect(self._on_finished)
            widget.machine.model_wanted.connect(self.model_wanted)
            self.widget = widget
            self._pages.addWidget(widget)
            self._measure(widget)
        self._pages.setCurrentWidget(self.widget)
        self.widget.show_page(page)
        self.shown.emit()

    def page(self) -> int | None:
        """The page on view, from 0; None while there is no welcome on view."""
        return self.widget.page() if self.widget is not None else None

    def _measure(self, widget: Welcome) -> None:
        from hearth.services.model_sizes import measure_model_sizes

        # It goes on when the welcome is put away: the wizard that it leads to wants the same.
        is_closing = self._is_closing
        task = self._tasks.run(lambda: measure_model_sizes(is_closing), owner=widget, lane=Lane.FILES)
        task.success(widget.machine.show_sizes)

    @Slot(str)
    def _choose_language(self, code: str) -> None:
        hearth = self._hearth
        if hearth is None:
            self._language = code
            return
        # What it changes in the window is done by whoever hears of the settings.
        task = self._tasks.run(lambda: hearth.change_settings({"language": code}), owner=self)
        task.failure(self._on_language_refused)

    def _on_language_refused(self, error: Exception) -> None:
        if self.widget is not None:
            self.widget.privacy.show_language()
        self._tasks.failed.emit(error)

    @Slot()
    def _on_finished(self) -> None:
        self._read = True
        self._remember()
        if self.widget is not None:
            self._pages.removeWidget(self.widget)
            self.widget.deleteLater()
            self.widget = None
        self.finished.emit()

    def _remember(self) -> None:
        hearth = self._hearth
        if hearth is not None:
            self._tasks.run(lambda: hearth.conversations.set_setting(WELCOMED, True))
