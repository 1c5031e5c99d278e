"""The wizard and the models on their way, as the main window knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QKeySequence, QShortcut

from hearth.i18n import tr
from hearth.services.install_events import InstallDone, InstallEvent, InstallRemoved, InstallStatus
from hearth.ui.tasks import Lane
from hearth.ui.to_front import bring_to_front

if TYPE_CHECKING:
    from collections.abc import Callable

    from hearth.models.registry import ModelEntry
    from hearth.services.hearth import Hearth
    from hearth.ui.add_model.add_model_window import AddModelWindow
    from hearth.ui.bridge import UiBridge
    from hearth.ui.tasks import Tasks
    from hearth.ui.window_frame import WindowFrame


class AddModelController(QObject):
    """Outlives the widgets of the window, which `attach` fills.

    Attributes:
        wizard: the open wizard; None while there is none.
        installs: where every model on its way stands, by id, in the order in which they came.

    Signals:
        arrived: a ModelEntry is new in the list.
        chat_wanted: a ModelEntry shall be chatted with.
        folder_wanted, file_wanted: one of this machine shall be added.
        help_wanted: F1 was pressed in the wizard.
    """

    arrived = Signal(object)
    chat_wanted = Signal(object)
    folder_wanted = Signal()
    file_wanted = Signal()
    help_wanted = Signal()

    def __init__(self, hearth: Hearth, bridge: UiBridge, tasks: Tasks, window: WindowFrame) -> None:
        super().__init__(window)
        self._hearth = hearth
        self._tasks = tasks
        self._window = window
        self._over: dict[str, ModelEntry | None] = {}  # what has ended, and which model it has become
        self.wizard: AddModelWindow | None = None
        self.installs: dict[str, InstallStatus] = {}
        bridge.install_changed.connect(self._on_event)
        window.text_size_changed.connect(self._on_text_size)
        tasks.run(hearth.installs.list, owner=self, lane=Lane.FILES).success(self._on_list)

    def attach(self) -> None:
        """The window's widgets are new: fill them. A wizard in another language gives way to one in this."""
        self._window.install_strip.wanted.connect(self.open_install)
        self._show_strip()
        if self.wizard is None:
            return
        old, on_view = self.wizard, self.wizard.page()
        status, forms = old.progress.status, old.details.forms
        old.done(0)
        wizard = self._open()
        if on_view is old.progress and status is not None and status.id in self.installs:
            wizard.show_status(self.installs[status.id])
        elif on_view is old.details and forms is not None:
            wizard.show_forms(forms)
        elif on_view is old.ready and old.ready.entry is not None:
            wizard.show_entry(old.ready.entry)
        wizard.show()

    @Slot()
    def open(self) -> None:
        """Bring the wizard to the front."""
        bring_to_front(self._open())

    @Slot(str)
    def open_install(self, install: str) -> None:
        """Bring the wizard to the front, on the progress of this install."""
        wizard = self._open()
        if install in self.installs:
            wizard.show_status(self.installs[install])
        bring_to_front(wizard)

    def _open(self) -> AddModelWindow:
        if self.wizard is None:
            from hearth.ui.add_model.add_model_window import AddModelWindow

            wizard = AddModelWindow(self._hearth, self._tasks, self._window.state.font_scale, self._window)
            wizard.added.connect(self._on_added)
            installs = self._hearth.installs
            wizard.pause_wanted.connect(lambda id_: self._act(lambda: installs.pause(id_)))
            wizard.resume_wanted.connect(lambda id_: self._act(lambda: self._resume(id_)))
            wizard.cancel_wanted.connect(lambda id_: self._act(lambda: installs.cancel(id_)))
            wizard.chat_wanted.connect(self.chat_wanted)
            wizard.folder_wanted.connect(self.folder_wanted)
            wizard.file_wanted.connect(self.file_wanted)
            wizard.link_activated.connect(self._window.ask_to_open)
            wizard.finished.connect(self._on_closed)
            QShortcut(QKeySequence("F1"), wizard, self.help_wanted.emit)
            self.wizard = wizard
        return self.wizard

    def close(self) -> None:
        """The main window closes; what is on its way goes on at the next start."""
        if self.wizard is not None:
            self.wizard.done(0)

    def _act(self, act: Callable[[], None]) -> None:
        self._tasks.run(act, owner=self, lane=Lane.FILES).failure(self._on_act_failed)

    def _on_act_failed(self, error: Exception) -> None:
        """The wizard may cover what the window would say."""
        wizard = self.wizard
        if wizard is not None and wizard.page() is wizard.progress:
            wizard.progress.show_failure(error)
        else:
            self._tasks.failed.emit(error)

    def _resume(self, install: str) -> None:
        self._hearth.installs.resume(install)
        self._hearth.installs.start()

    def _on_list(self, statuses: list[InstallStatus]) -> None:
        listed = {status.id: status for status in statuses if status.id not in self._over}
        self.installs = {**listed, **self.installs}  # what was told meanwhile is newer
        self._show_strip()

    @Slot(object)
    def _on_event(self, event: InstallEvent) -> None:
        if isinstance(event, InstallStatus):
            self._over.pop(event.id, None)  # added anew
            self.installs[event.id] = event
        else:
            self._over[event.id] = event.entry if isinstance(event, InstallDone) else None
            self.installs.pop(event.id, None)
        self._show_strip()
        wizard = self.wizard
        watched = (
            wizard is not None
            and wizard.page() is wizard.progress
            and wizard.progress.status is not None
            and wizard.progress.status.id == event.id
        )
        match event:
            case InstallStatus() if wizard is not None and watched:
                wizard.progress.show_status(event)
            case InstallDone():
                self._on_done(event, watched=watched)
            case InstallRemoved() if wizard is not None and watched:
                wizard.show_page(wizard.choose)

    def _on_done(self, event: InstallDone, *, watched: bool) -> None:
        entry = event.entry
        self.arrived.emit(entry)
        if self.wizard is not None and watched:
            self.wizard.show_entry(entry)
            return
        text = tr("{name} is ready.", name=entry.name)
        self._window.toast.show_message(text, tr("Chat Now"), lambda: self._chat(entry))

    def _chat(self, entry: ModelEntry) -> None:
        self.chat_wanted.emit(entry)

    @Slot(str)
    def _on_added(self, install: str) -> None:
        """The wizard shows what it was told when it was added; much may have happened since."""
        entry = self._over.get(install)
        if self.wizard is not None and install in self.installs:
            self.wizard.show_status(self.installs[install])
        elif self.wizard is not None and entry is not None:
            self.wizard.show_entry(entry)

    @Slot(float)
    def _on_text_size(self, scale: float) -> None:
        if self.wizard is not None:
            self.wizard.set_text_size(scale)

    @Slot()
    def _on_closed(self) -> None:
        if self.wizard is not None:
            self.wizard.deleteLater()
            self.wizard = None

    def _show_strip(self) -> None:
        self._window.install_strip.show_statuses(list(self.installs.values()))
