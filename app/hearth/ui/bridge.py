"""From the services' events, on any thread, to typed Qt signals on the main thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from PySide6.QtCore import QElapsedTimer, QObject, Qt, QTimer, Signal, Slot

from hearth.services.events import (
    AnswerEnded,
    AnswerEvent,
    AnswerGrew,
    AnswerStarted,
    ConversationChanged,
    ModelStatus,
    PromptProgress,
    TurnsDropped,
)
from hearth.services.install_events import InstallDone, InstallEvent, InstallRemoved, InstallStatus

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth

_FRAME_MILLISECONDS = 17  # at most 60 deliveries a second

UiEvent = AnswerEvent | ModelStatus | InstallEvent


@dataclass(slots=True)
class _Growth:
    """Growth of one answer that waits, in pieces."""

    conversation_id: str
    message_id: str
    texts: list[str]


class EventQueue:
    """Events waiting for the main thread; what one answer grew by is merged."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._events: list[UiEvent | _Growth] = []
        self._growing: dict[str, _Growth] = {}
        self._awake = False

    def put(self, event: UiEvent) -> bool:
        """Add an event; True where the main thread must be woken for it."""
        with self._lock:
            self._add(event)
            asleep, self._awake = not self._awake, True
            return asleep

    def take(self) -> list[UiEvent]:
        """All events so far, in order; the next `put` wakes again."""
        with self._lock:
            events, self._events = self._events, []
            self._growing = {}
            self._awake = False
        return [_whole(event) if isinstance(event, _Growth) else event for event in events]

    def _add(self, event: UiEvent) -> None:
        if not isinstance(event, AnswerGrew):
            self._events.append(event)
            return
        growth = self._growing.get(event.message_id)
        if growth is None:
            growth = self._growing[event.message_id] = _Growth(event.conversation_id, event.message_id, [])
            self._events.append(growth)
        growth.texts.append(event.text)


def _whole(growth: _Growth) -> AnswerGrew:
    return AnswerGrew(growth.conversation_id, growth.message_id, "".join(growth.texts))


class UiBridge(QObject):
    """Turns the events of one Hearth into signals, at most 60 times a second.

    Signals:
        answer_started: AnswerStarted.
        turns_dropped: TurnsDropped.
        prompt_progress: PromptProgress.
        answer_grew: AnswerGrew, with all that was added since the last one.
        answer_ended: AnswerEnded.
        conversation_changed: the conversation's id.
        model_changed: ModelStatus.
        install_changed: InstallStatus, InstallDone or InstallRemoved.
        settings_changed: Config.
    """

    answer_started = Signal(object)
    turns_dropped = Signal(object)
    prompt_progress = Signal(object)
    answer_grew = Signal(object)
    answer_ended = Signal(object)
    conversation_changed = Signal(str)
    model_changed = Signal(object)
    install_changed = Signal(object)
    settings_changed = Signal(object)
    _wake = Signal()
    _settings = Signal(object)

    def __init__(self, hearth: Hearth, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._queue = EventQueue()
        self._clock = QElapsedTimer()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._flush)
        self._wake.connect(self._on_wake, Qt.ConnectionType.QueuedConnection)
        self._settings.connect(self.settings_changed, Qt.ConnectionType.QueuedConnection)
        self._unsubscribe: list[Callable[[], None]] = [
            hearth.assistant.events.subscribe(self._put),
            hearth.pool.changes.subscribe(self._put),
            hearth.installs.changes.subscribe(self._put),
            hearth.settings_changed.subscribe(self._settings.emit),
        ]

    def close(self) -> None:
        """Stop listening; what was not delivered is dropped."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._timer.stop()
        self._queue.take()

    def _put(self, event: UiEvent) -> None:
        if self._queue.put(event):
            self._wake.emit()

    @Slot()
    def _on_wake(self) -> None:
        since = self._clock.elapsed() if self._clock.isValid() else _FRAME_MILLISECONDS
        if since >= _FRAME_MILLISECONDS:
            self._flush()
        elif not self._timer.isActive():
            self._timer.start(_FRAME_MILLISECONDS - since)

    @Slot()
    def _flush(self) -> None:
        self._clock.start()
        for event in self._queue.take():
            match event:
                case AnswerStarted():
                    self.answer_started.emit(event)
                case TurnsDropped():
                    self.turns_dropped.emit(event)
                case PromptProgress():
                    self.prompt_progress.emit(event)
                case AnswerGrew():
                    self.answer_grew.emit(event)
                case AnswerEnded():
                    self.answer_ended.emit(event)
                case ConversationChanged():
                    self.conversation_changed.emit(event.conversation_id)
                case ModelStatus():
                    self.model_changed.emit(event)
                case InstallStatus() | InstallDone() | InstallRemoved():
                    self.install_changed.emit(event)
