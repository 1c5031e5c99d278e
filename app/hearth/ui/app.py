"""The application around the window: Qt, theme, language, unexpected errors, signals of the system."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING

import shiboken6
from PySide6.QtCore import QCoreApplication, QObject, QSocketNotifier, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from hearth import __version__, i18n
from hearth.config import Config, load_config
from hearth.errors import HearthError
from hearth.ui import theme
from hearth.ui.garbage import MainThreadGarbage
from hearth.ui.main_window import MainWindow
from hearth.ui.qt_language import use_qt_language
from hearth.ui.single_instance import SingleInstance
from hearth.ui.to_front import bring_to_front
from hearth.ui.worker_thread import qt_thread

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth

_log = logging.getLogger(__name__)


class UnexpectedErrors(QObject):
    """Catches what nothing else caught, in any thread: it is logged, and the user is told once in a while.

    Signals:
        happened: the exception; emitted on the thread that raised it.
    """

    happened = Signal(object)

    def install(self) -> None:
        sys.excepthook = self._on_main
        threading.excepthook = lambda args: self._report(args.exc_value, args.exc_traceback)

    def _on_main(
        self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            QCoreApplication.quit()
        else:
            self._report(error, traceback)

    def _report(self, error: BaseException | None, traceback: TracebackType | None) -> None:
        if error is not None:
            _log.critical("unexpected error", exc_info=(type(error), error, traceback))
            self.happened.emit(error)


class SystemSignals(QObject):
    """Turns Ctrl+C and a request of the system to end into a Qt signal; Python alone would only see them later.

    Signals:
        asked_to_end: SIGINT or SIGTERM came.
    """

    asked_to_end = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)
        signal.set_wakeup_fd(self._writing.fileno())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        notifier = QSocketNotifier(self._reading.fileno(), QSocketNotifier.Type.Read, self)
        notifier.activated.connect(self._on_activated)

    def _on_activated(self) -> None:
        try:
            self._reading.recv(64)
        except BlockingIOError:
            return
        self.asked_to_end.emit()


def run_window() -> int:
    """Show the window until it is closed; the exit status of the program.

    Where this home's window is open already, that one comes to the front, and this returns at once.

    Raises:
        WindowNotAnswering: it is open already, and hangs.
    """
    QCoreApplication.setApplicationName("Hearth")
    QCoreApplication.setApplicationVersion(__version__)
    QGuiApplication.setDesktopFileName("hearth")
    app = QApplication(sys.argv[:1])
    app.setQuitOnLastWindowClosed(False)
    MainThreadGarbage(app)
    instance = SingleInstance(app)
    if not instance.claim():
        return 0
    config = _config_or_defaults()
    i18n.use_language(config.language)
    use_qt_language(app)
    theme.theme().apply(config.theme)
    errors = UnexpectedErrors(app)
    errors.install()
    window = MainWindow(_open_hearth)
    errors.happened.connect(window.show_error)
    window.ready.connect(settle_memory)
    window.closing.connect(instance.stop_listening)
    window.closed.connect(app.quit)
    instance.asked_to_show.connect(lambda: bring_to_front(window))
    SystemSignals(app).asked_to_end.connect(window.close)
    window.show()
    window.start()
    status = app.exec()
    sys.excepthook = sys.__excepthook__
    # The window dies here, and not when the interpreter gathers its last garbage, after the application.
    shiboken6.delete(window)
    instance.release()
    return status


def settle_memory() -> None:
    """Leave what is there by now, the libraries above all, out of every later garbage collection.

    A full one halts every thread for about 50 ms otherwise, again and again while answers stream.
    """
    gc.freeze()


def _config_or_defaults() -> Config:
    """The settings that the first picture needs; what is wrong with the file is said once Hearth is open."""
    try:
        return load_config()
    except HearthError:
        return Config()


def _open_hearth() -> Hearth:
    # Brings the database's libraries with it, so not before the window is shown.
    from hearth.services.hearth import Hearth as Services

    return Services.open(thread_factory=qt_thread)
