"""The caller's side of the process that quantizes: starts it, hears how far it is, and ends it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self, cast

import msgspec

from hearth.errors import HearthError, QuantizeCrashed
from hearth.quantize.protocol import Done, Failed, Job, Message, Progress


def quantize_command() -> list[str]:
    """How to start it; the packaged app is its own interpreter."""
    if getattr(sys, "frozen", False):
        return [sys.executable, "--quantize"]
    # -P: the folder that one happens to stand in is no place to import from.
    return [sys.executable, "-P", "-m", "hearth.quantize"]


class QuantizeProcess:
    """One process with one job. It ends when this is closed, and by itself when its caller does."""

    def __init__(self, job: Job, log_file: Path | None = None) -> None:
        """Start it; what it has to say besides goes to the end of `log_file`."""
        self._name = job.name
        self._process = _start(log_file)
        self._lines = cast("IO[bytes]", self._process.stdout)
        with suppress(OSError):  # it ended at once; `messages` says so
            stdin = cast("IO[bytes]", self._process.stdin)
            stdin.write(msgspec.json.encode(job) + b"\n")
            stdin.flush()

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # what was still buffered for a dead process
                cast("Any", stream).close()

    def messages(self) -> Iterator[Progress | Done]:
        """What it says, the last of which is `Done`.

        Raises:
            QuantizeCrashed: it ended before that.
            HearthError: what it could not do.
        """
        decoder = msgspec.json.Decoder(Message)
        for line in self._lines:
            try:
                message = decoder.decode(line)
            except msgspec.MsgspecError:  # the process was killed in the middle of a line
                break
            if isinstance(message, Failed):
                raise HearthError.from_code(message.code, message.params)
            yield message
            if isinstance(message, Done):
                return
        raise QuantizeCrashed(name=self._name, reason=str(self._process.wait()))


def _start(log_file: Path | None) -> subprocess.Popen[bytes]:
    stderr: IO[bytes] | int = subprocess.DEVNULL
    if log_file is not None:
        with suppress(OSError):  # the log is a help, not a condition
            log_file.parent.mkdir(parents=True, exist_ok=True)
            stderr = log_file.open("ab")
    try:
        return subprocess.Popen(
            quantize_command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0)
            | getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0),
            # Ctrl+C in a terminal is for the caller, which then asks what shall become of the work.
            start_new_session=os.name == "posix",
        )
    finally:
        if not isinstance(stderr, int):
            stderr.close()
