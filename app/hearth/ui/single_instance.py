"""One window for each home folder: a second start brings the first window to the front and ends.

Who holds the lock on `window.lock` is first; the system gives it back when that process ends, however it ends. In the
file stands where the first one listens, since programs that are started differently may have different temporary
folders. The lock decides and not the socket: on Windows several servers can have one name, elsewhere a later one takes
the name of an earlier one without a word.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sys
import time
from typing import IO, Final

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from hearth import paths
from hearth.errors import WindowNotAnswering

_log = logging.getLogger(__name__)

_PATIENCE_SECONDS: Final = 8.0  # a window that was closed may still be storing its answers
_PAUSE_SECONDS: Final = 0.05
_ACTIVATION: Final = "XDG_ACTIVATION_TOKEN"  # a launcher's permission to come to the front, on Wayland
_ANSWER: Final = b"shown\n"
_LOCKED_BYTE: Final = 1 << 20  # beyond the text, which Windows would lock as well


class SingleInstance(QObject):
    """The place of the first window.

    Signals:
        asked_to_show: another start wants the window at the front.
    """

    asked_to_show = Signal()

    def __init__(self, parent: QObject | None = None, *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        super().__init__(parent)
        self._patience = patience_seconds
        self._file: IO[str] | None = None
        self._server: QLocalServer | None = None

    def claim(self) -> bool:
        """Be the first, and True; or have the first come to the front, and False.

        Raises:
            WindowNotAnswering: there is a first one, and it does neither answer nor end.
        """
        end = time.monotonic() + self._patience
        while True:
            if self._lock():
                return True
            if self._ask(max(0.0, end - time.monotonic())):
                return False
            if time.monotonic() >= end:
                raise WindowNotAnswering
            time.sleep(_PAUSE_SECONDS)

    @Slot()
    def stop_listening(self) -> None:
        """The window closes: a start from now on waits until the place is free."""
        if self._server is not None:
            self._server.close()

    def release(self) -> None:
        """The window has closed: the place is free."""
        self.stop_listening()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _lock(self) -> bool:
        """Whether there is no other; also where no lock can be had, since the window shall say why."""
        try:
            file = (paths.home() / "window.lock").open("a+", encoding="utf-8")
        except OSError as error:
            _log.warning("no lock for the window: %s", error)
            return True
        try:
            _lock_file(file)
        except (BlockingIOError, PermissionError):
            file.close()
            return False
        except OSError as error:  # some network drives have no locks
            _log.warning("no lock for the window: %s", error)
            file.close()
            return True
        self._file = file
        self._listen(file)
        return True

    def _listen(self, file: IO[str]) -> None:
        name = f"hearth-{hashlib.sha256(str(paths.home()).encode()).hexdigest()[:16]}"
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._on_connection)
        QLocalServer.removeServer(name)  # what a killed one left behind
        if not self._server.listen(name):
            _log.warning("other starts cannot reach this window: %s", self._server.errorString())
        with contextlib.suppress(OSError):  # a full disk: others do not find this one, and say so
            file.truncate(0)
            file.write(self._server.fullServerName())
            file.flush()

    def _ask(self, seconds: float) -> bool:
        """Whether the first one answered that it comes to the front."""
        try:
            name = (paths.home() / "window.lock").read_text(encoding="utf-8")
        except OSError:
            return False
        milliseconds = int(seconds * 1000)
        socket = QLocalSocket()
        socket.connectToServer(name)
        if not name or not socket.waitForConnected(milliseconds):
            return False
        _let_come_to_front()
        socket.write(os.environ.get(_ACTIVATION, "").encode() + b"\n")
        answered = socket.waitForReadyRead(milliseconds) and socket.readLine().data() == _ANSWER
        socket.close()
        return answered

    @Slot()
    def _on_connection(self) -> None:
        socket = self._server.nextPendingConnection() if self._server is not None else None
        if socket is not None:
            socket.readyRead.connect(lambda: self._on_asked(socket))
            socket.disconnected.connect(socket.deleteLater)

    def _on_asked(self, socket: QLocalSocket) -> None:
        if not socket.canReadLine():
            return
        token = bytes(socket.readLine().data()).decode(errors="replace").strip()
        if token:
            os.environ[_ACTIVATION] = token  # Qt takes it when the window is activated
        self.asked_to_show.emit()
        socket.write(_ANSWER)
        socket.flush()


def _lock_file(file: IO[str]) -> None:
    """Raises BlockingIOError or PermissionError where another process has it, OSError where there are no locks."""
    if sys.platform == "win32":
        import msvcrt

        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _let_come_to_front() -> None:
    """Windows lets no program come to the front by itself; one that is there may pass that on."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.user32.AllowSetForegroundWindow(-1)
