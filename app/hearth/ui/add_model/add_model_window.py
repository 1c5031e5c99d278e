"""The wizard that adds a model: choose, see what you get, watch it come, and chat with it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QCloseEvent, QKeyEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from hearth.errors import MeasuringCancelled
from hearth.i18n import tr
from hearth.models.catalogue import CatalogueEntry
from hearth.services.install_events import InstallStatus
from hearth.services.model_forms import HubModel, Judged, ModelForms
from hearth.ui.add_model.add_model_style import add_model_style
from hearth.ui.add_model.add_model_work import AddModelWork
from hearth.ui.add_model.choose_page import ChoosePage
from hearth.ui.add_model.details_page import DetailsPage
from hearth.ui.add_model.page import AddModelPage
from hearth.ui.add_model.progress_page import ProgressPage
from hearth.ui.add_model.ready_page import ReadyPage
from hearth.ui.screen_room import within_screen
from hearth.ui.tasks import Tasks, Unwanted
from hearth.ui.text_scale import scale_text
from hearth.ui.theme import Space, theme
from hearth.ui.window_state import window_file

if TYPE_CHECKING:
    from hearth.model_folder.speed import SpeedReport
    from hearth.models.registry import ModelEntry
    from hearth.services.hearth import Hearth

_SIZE = QSize(820, 720)
_LEAST_SIZE = QSize(560, 440)
_WIDEST = 760
_MOST_GROWTH = 1.3  # of the least size, where text is larger


class AddModelWindow(QDialog):
    """Does its work through an open Hearth, off the main thread; what it has begun goes on when it is closed.

    Attributes:
        choose, details, progress, ready: the pages.
        text_size: what the text's usual size is multiplied with.

    Signals:
        added: an install of that id has come to be; whoever opened the wizard tells it how that goes on.
        pause_wanted, resume_wanted, cancel_wanted: with the id of an install.
        chat_wanted: a ModelEntry shall be chatted with.
        folder_wanted, file_wanted: one of this machine shall be added; the wizard has closed.
        link_activated: an address to be opened in the browser.
    """

    added = Signal(str)
    pause_wanted = Signal(str)
    resume_wanted = Signal(str)
    cancel_wanted = Signal(str)
    chat_wanted = Signal(object)
    folder_wanted = Signal()
    file_wanted = Signal()
    link_activated = Signal(str)

    def __init__(self, hearth: Hearth, tasks: Tasks, text_size: float, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("addModel")
        self.setWindowTitle(tr("Add a Model"))
        self._restyle()  # before there are widgets that would be styled again
        self._work = AddModelWork(hearth, tasks, self)
        self._source: CatalogueEntry | str = ""
        self.choose, self.details = ChoosePage(self), DetailsPage(self)
        self.progress, self.ready = ProgressPage(self), ReadyPage(self)
        self._pages: tuple[AddModelPage, ...] = (self.choose, self.details, self.progress, self.ready)
        self._build()
        self._connect()
        theme().changed.connect(self._restyle)
        self.set_text_size(text_size)
        size = window_file().value("add_model_size")
        self.resize(within_screen(self, size if isinstance(size, QSize) else _SIZE))
        self.show_page(self.choose)
        self._work.judge().success(self._on_judged)

    # What others ask for

    def page(self) -> AddModelPage:
        """The page on view."""
        return self._pages[self._stack.currentIndex()]

    def show_page(self, page: AddModelPage) -> None:
        """Turn to that page, and put the keyboard where it is needed."""
        self._stack.setCurrentIndex(self._pages.index(page))
        self._update()
        (page.focus() or self.next).setFocus(Qt.FocusReason.OtherFocusReason)

    def show_status(self, status: InstallStatus) -> None:
        """Turn to the progress of this install."""
        self.progress.show_status(status)
        if self.page() is not self.progress:
            self.show_page(self.progress)

    def show_entry(self, entry: ModelEntry) -> None:
        """Turn to the page of a model that is ready."""
        self.ready.show_entry(entry)
        self.show_page(self.ready)
        self._expect_speed(entry)

    def show_forms(self, forms: ModelForms) -> None:
        """Turn to a model that was looked at already."""
        if not self._source:  # this wizard was opened on it
            self._source = forms.entry or forms.forms[0].repository.name
        self.details.show_forms(forms)
        self.show_page(self.details)
        self._judge_forms()

    @Slot(float)
    def set_text_size(self, scale: float) -> None:
        """Show text at `scale` times its usual size."""
        self.text_size = scale
        self.setMinimumSize(within_screen(self, _LEAST_SIZE * min(max(scale, 1.0), _MOST_GROWTH)))
        scale_text(self, scale)

    def done(self, result: int) -> None:
        self._work.close()
        settings = window_file()
        settings.setValue("add_model_size", self.size())
        settings.sync()
        super().done(result)

    def closeEvent(self, event: QCloseEvent) -> None:
        """The frame's own button closes on each page, unlike Escape."""
        if self.isVisible():
            self.done(0)
        event.accept()

    # Keys

    def reject(self) -> None:
        """Escape leads back, and closes on the first page."""
        self.go_back()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter presses the button that has the keyboard, else the one that goes on."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            focused = QApplication.focusWidget()
            button = focused if isinstance(focused, QPushButton) else self.next
            if button.isVisible() and button.isEnabled():
                button.click()
            return
        super().keyPressEvent(event)

    @Slot()
    def go_back(self) -> None:
        """To the page before, or out of a search; from the first page, close."""
        page = self.page()
        if page is not self.choose:
            self._stop_measuring()
            self.show_page(self.choose)
        elif self.choose.is_search_filled():
            self.choose.show_catalogue()
            self.show_page(self.choose)
        else:
            self.done(0)

    # Building

    def _build(self) -> None:
        self._stack = QStackedWidget(self)
        for page in self._pages:
            holder = QWidget(self)
            holder.setObjectName("addModelContent")
            _centred(holder, page)
            self._stack.addWidget(holder)
        foot = QFrame(self)
        foot.setObjectName("addModelFoot")
        inner = QWidget(foot)
        row = QHBoxLayout(inner)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(Space.M)
        self.back, self.next = QPushButton(inner), QPushButton(inner)
        self.next.setProperty("kind", "primary")
        row.addStretch(1)
        row.addWidget(self.back)
        row.addWidget(self.next)
        _centred(foot, inner, Space.M)
        foot.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._stack, 1)
        layout.addWidget(foot)
        for button in self.findChildren(QPushButton):
            button.setAutoDefault(False)

    def _connect(self) -> None:
        self.back.clicked.connect(self._on_back)
        self.next.clicked.connect(lambda: self.page().go_on())
        QShortcut(QKeySequence("Alt+Left"), self, self.go_back)
        QShortcut(QKeySequence("Ctrl+F"), self, self._on_find)
        for key in QKeySequence.keyBindings(QKeySequence.StandardKey.Close):
            QShortcut(key, self, lambda: self.done(0))
        for page in self._pages:
            page.changed.connect(self._update)
        self.choose.search_wanted.connect(self._search)
        for wanted, told in (
            (self.choose.folder_wanted, self.folder_wanted),
            (self.choose.file_wanted, self.file_wanted),
        ):
            wanted.connect(lambda: self.done(0))
            wanted.connect(told)
        self.choose.went_on.connect(self._on_source)
        self.details.again_wanted.connect(self._look)
        self.details.link_activated.connect(self.link_activated)
        self.details.went_on.connect(self._add)
        self.details.gate.token_given.connect(self._log_in)
        self.details.gate.again_wanted.connect(self._look_again)
        self.progress.pause_wanted.connect(self.pause_wanted)
        self.progress.resume_wanted.connect(self.resume_wanted)
        self.progress.cancel_wanted.connect(self.cancel_wanted)
        self.progress.went_on.connect(lambda: self.done(0))
        self.ready.speed.measure_wanted.connect(self._measure)
        self.ready.speed.stop_wanted.connect(self._stop_measuring)
        self.ready.went_on.connect(self._on_chat)

    @Slot()
    def _update(self) -> None:
        page = self.page()
        self.next.setText(page.next_text)
        self.next.setVisible(bool(page.next_text))
        self.next.setEnabled(page.can_go_on)
        self.back.setText(page.back_text)
        self.back.setVisible(bool(page.back_text))

    @Slot()
    def _restyle(self) -> None:
        self.setStyleSheet(add_model_style(theme().colours))

    @Slot()
    def _on_back(self) -> None:
        if self.page() is self.choose:
            self.done(0)
        else:
            self.go_back()

    @Slot()
    def _on_find(self) -> None:
        if self.page() is self.choose:
            self.choose.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
            self.choose.search.selectAll()

    # How fast this machine is

    def _on_judged(self, judged: list[Judged]) -> None:
        self.choose.show_judged(judged)
        self._work.measure_machine().success(self._on_machine_measured)

    def _on_machine_measured(self, judged: list[Judged]) -> None:
        """What waited for this machine's speeds is filled in; what was known from another time stays as it is."""
        if not self.choose.is_measured:
            self.choose.show_judged(judged)
            if self.ready.entry is not None:
                self._expect_speed(self.ready.entry)
        self._judge_forms()

    def _judge_forms(self) -> None:
        """The forms on view with this machine's speeds, where they came before these were known."""
        forms = self.details.forms
        if forms is not None and not forms.is_measured and self._work.is_measured:
            self._work.judge_forms(forms).success(functools.partial(self._on_forms_judged, forms))

    def _on_forms_judged(self, before: ModelForms, forms: ModelForms) -> None:
        if self.details.forms is before:
            self.details.show_judged(forms)

    # Choosing

    @Slot(str)
    def _search(self, words: str) -> None:
        self.choose.show_searching(words)
        self._work.search(words).success(lambda found: self._on_found(words, found)).failure(
            self._on_search_failed
        )

    def _on_found(self, words: str, found: list[HubModel]) -> None:
        if self.choose.search.text().strip() == words and self.choose.is_searching():
            self.choose.show_found(words, found)

    def _on_search_failed(self, error: Exception) -> None:
        if not isinstance(error, Unwanted) and self.choose.is_searching():
            self.choose.show_failure(error)

    @Slot()
    def _on_source(self) -> None:
        source = self.choose.source
        if source is not None:
            self._source = source
            self._look()

    # What there is of the model

    @Slot()
    def _look(self) -> None:
        source = self._source
        self.details.show_looking(source if isinstance(source, str) else source.name)
        self.show_page(self.details)
        self._look_again()

    @Slot()
    def _look_again(self) -> None:
        """Ask the hub what there is; what is on view stays meanwhile."""
        if self.details.forms is not None:
            self.details.gate.set_busy(True)
        source = self._source
        self._work.look(source).success(functools.partial(self._on_forms, source)).failure(
            self._on_look_failed
        )

    def _on_forms(self, source: CatalogueEntry | str, forms: ModelForms) -> None:
        if self.page() is self.details and source == self._source:
            asked_again = self.details.forms is not None
            self.show_forms(forms)
            if asked_again and self.details.choices.form().refusal is not None:
                self.details.gate.say(
                    tr("The licence is not agreed to by the account of this token, or not granted yet.")
                )

    def _on_look_failed(self, error: Exception) -> None:
        if isinstance(error, Unwanted) or self.page() is not self.details:
            return
        if self.details.forms is not None:
            self.details.gate.show_failure(error)
        else:
            self.details.show_failure(error)

    @Slot(str)
    def _log_in(self, token: str) -> None:
        self._work.log_in(token).success(self._on_logged_in).failure(self.details.gate.show_failure)

    def _on_logged_in(self, _name: str) -> None:
        self.details.gate.token.clear()  # the key store has it
        self._look_again()

    @Slot()
    def _add(self) -> None:
        details = self.details
        form, recipe, context = details.choices.form(), details.choices.recipe(), details.fit.context()
        details.show_adding()
        task = self._work.add(form, recipe, details.name.text(), context)
        task.success(self._on_added).failure(details.show_problem)

    def _on_added(self, status: InstallStatus) -> None:
        self.show_status(status)
        self.added.emit(status.id)

    # The model that is ready

    def _expect_speed(self, entry: ModelEntry) -> None:
        self._work.expect_speed(entry).success(lambda speed: self._on_expected(entry, speed))

    def _on_expected(self, entry: ModelEntry, speed: float) -> None:
        if self.ready.entry is entry and not self.ready.speed.is_running():
            self.ready.show_expected(speed)

    @Slot()
    def _measure(self) -> None:
        entry = self.ready.entry
        if entry is not None:
            self._work.measure(entry, self.ready.speed.tell).success(self._on_measured).failure(
                self._on_measure_failed
            )
            self.ready.update_buttons()

    def _on_measured(self, report: SpeedReport) -> None:
        self.ready.speed.show_report(report)
        self.ready.update_buttons()

    def _on_measure_failed(self, error: Exception) -> None:
        self.ready.speed.show_not_measured(None if isinstance(error, MeasuringCancelled) else error)
        self.ready.update_buttons()

    @Slot()
    def _stop_measuring(self) -> None:
        self._work.stop_measuring()

    @Slot()
    def _on_chat(self) -> None:
        entry = self.ready.entry
        self.done(0)
        if entry is not None:
            self.chat_wanted.emit(entry)


def _centred(holder: QWidget, part: QWidget, vertical: int = 0) -> None:
    """Lay `part` into `holder`, in the middle and no wider than a column of text."""
    part.setMaximumWidth(_WIDEST)
    part.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(Space.XL, vertical, Space.XL, vertical)
    layout.addStretch(0)
    layout.addWidget(part, 1)
    layout.addStretch(0)
