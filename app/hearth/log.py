"""The log file. It tells what Hearth did and what failed, and never what a person or a model wrote.

Several processes append to one file. A line is one write at the end of the file, so lines do not mix. Only windows and
commands rotate it; an engine host follows when the file was moved away.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from logging.handlers import WatchedFileHandler
from pathlib import Path

from hearth.errors import because
from hearth.i18n import tr
from hearth.paths import log_file

_LARGEST_BYTES = 1_000_000
_FILES = 3  # hearth.log, hearth.log.1, hearth.log.2
_FORMAT = "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s: %(message)s"

_installed: list[logging.Handler] = []


class _LogFile(WatchedFileHandler):
    """Appends to a file that others append to, and says once when it cannot."""

    def __init__(self, path: Path, *, rotate: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self._path = path
        self._rotate = rotate
        self._complained = False
        self._rotate_if_large()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
            self._rotate_if_large()
        except OSError:  # the folder is gone, or may no longer be written to
            self.handleError(record)

    def handleError(self, _record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        if not self._complained:
            self._complained = True
            _complain(self._path, str(sys.exc_info()[1]))

    def _rotate_if_large(self) -> None:
        self.reopenIfNeeded()
        if not self._rotate or self._path.stat().st_size <= _LARGEST_BYTES:
            return
        with contextlib.suppress(OSError):  # Windows does not move a file that another process has open
            for number in range(_FILES - 1, 0, -1):
                older = self._path if number == 1 else self._numbered(number - 1)
                if older.exists():
                    older.replace(self._numbered(number))
        self.reopenIfNeeded()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def setup_logging(level: str, to_stderr: bool = False, *, rotate: bool = True) -> None:
    """Log to `paths.log_file()` from now on. Never raises: without a file it logs to stderr and says so once.

    Args:
        level: “debug”, “info”, “warning” or “error”, for Hearth's own lines; others' are kept from “warning” on.
        to_stderr: log to stderr as well.
        rotate: False in an engine host.
    """
    close_logging()
    path = log_file()
    try:
        _installed.append(_LogFile(path, rotate=rotate))
    except OSError as error:
        _complain(path, because(error))
        to_stderr = True
    if to_stderr and sys.stderr is not None:  # a windowed program on Windows has none
        _installed.append(logging.StreamHandler())
    root = logging.getLogger()
    for handler in _installed:
        handler.setFormatter(logging.Formatter(_FORMAT, "%Y-%m-%d %H:%M:%S"))
        root.addHandler(handler)
    root.setLevel(logging.WARNING)
    use_level(level)


def use_level(level: str) -> None:
    """Log Hearth's own lines from this level on."""
    logging.getLogger("hearth").setLevel(level.upper())


def close_logging() -> None:
    """Undo `setup_logging`."""
    for handler in _installed:
        logging.getLogger().removeHandler(handler)
        handler.close()
    _installed.clear()


def _complain(path: Path, reason: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(
            tr("The log file {path} cannot be written ({reason}).", path=path, reason=reason) + "\n"
        )
