"""The app's side of an engine host: starts the process, talks to it, and tells how it ended."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Final

import psutil

from hearth.child_process import child_environment, own_command, start_child
from hearth.engine.host.pipe import FrameInvalid, Pipe, PipeClosed
from hearth.engine.host.protocol import ChatMessage, Count, HostReply, Reply, Shutdown, Stats
from hearth.engine.outputs import ErrorInfo
from hearth.errors import HostCrashed, HostHung
from hearth.i18n import tr

CALL_SECONDS = 60.0
# Settings of glibc's allocator: huge pages, see below; and one arena for all threads, so that what reading a tokenizer
# leaves free is used for weights (80 MB with a vocabulary of 150,000 tokens).
_TUNABLES: Final = ("glibc.malloc.hugetlb", "glibc.malloc.arena_max")


def host_command() -> list[str]:
    """How to start a host."""
    return own_command("hearth.engine.host", "--engine-host")


def host_environment() -> dict[str, str]:
    """The environment of an engine host: that of every child, and glibc set up for large weights.

    Every step reads all weights. With pages of 2 MB in place of 4 kB the processor finds them sooner: 1.5B in int4
    wrote a fifth faster in four and eight streams (AMD, two cores).
    """
    environment = child_environment()
    if sys.platform == "linux":
        given = environment.get("GLIBC_TUNABLES", "")
        missing = (f"{name}=1" for name in _TUNABLES if name not in given)
        environment["GLIBC_TUNABLES"] = ":".join(filter(None, (given, *missing)))
    return environment


class HostClient:
    """One engine host process.

    The process is a fresh interpreter with nothing but the pipe, so it shares no state with the app and could be of
    another environment. `receive` is for one reader thread, which also completes calls; all else is for any thread.

    Attributes:
        name: the model's name, for errors.
    """

    def __init__(self, name: str, log_file: Path | None = None) -> None:
        """Start the process; its log lines and whatever native code prints go to the end of `log_file`."""
        self.name = name
        self._calls: dict[int, Future[Any]] = {}
        self._calls_lock = Lock()
        self._call_ids = itertools.count(1)
        self._process = start_child(host_command(), log_file, host_environment())
        self._pipe: Pipe[HostReply] = Pipe(self._process.stdout, self._process.stdin, HostReply)
        self._crash: HostCrashed | None = None
        self._frames: SimpleQueue[bytes | None] = SimpleQueue()
        Thread(target=self._write, name=f"to the host of {name}", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def memory_bytes(self) -> int:
        """Resident memory of the process; 0 once it has ended."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def send(self, message: Any) -> None:
        """Queue a message; never blocks. A host that is gone is reported by `receive`.

        Raises:
            RequestInvalid: it cannot be encoded, or is too large.
        """
        self._frames.put(self._pipe.frame(message))

    def _write(self) -> None:
        """On a thread of its own, since a host that hangs does not read its pipe."""
        with suppress(PipeClosed):
            while (frame := self._frames.get()) is not None:
                self._pipe.write(frame)

    def receive(self) -> HostReply:
        """The next message that is not the answer to a call; blocks. Raises HostCrashed at the end."""
        while True:
            try:
                message = self._pipe.receive()
            except FrameInvalid:
                continue  # a newer host may say things that this version does not know
            except PipeClosed:
                crash = self._ended()
                self._fail_calls(crash)
                raise crash from None
            if not isinstance(message, Reply):
                return message
            with self._calls_lock:
                future = self._calls.pop(message.call_id, None)
            if future is not None:
                future.set_result(message)

    def count(self, *, messages: list[ChatMessage] | None = None, text: str | None = None) -> int:
        """Tokens of a prompt. Raises HearthError."""
        return int(self._call(lambda call_id: Count(call_id=call_id, messages=messages, text=text)))

    def stats(self) -> dict[str, int | float]:
        """The backend's figures and the memory of its process, in bytes."""
        stats: dict[str, int | float] = self._call(Stats)
        return {**stats, "memory_bytes": self.memory_bytes()}

    def _call(self, make_message: Callable[[int], Any]) -> Any:
        future: Future[Reply] = Future()
        call_id = next(self._call_ids)
        with self._calls_lock:
            if self._crash is not None:
                raise self._crash
            self._calls[call_id] = future
        try:
            self.send(make_message(call_id))
            reply = future.result(CALL_SECONDS)
        except FutureTimeout:
            raise HostHung(name=self.name, seconds=int(CALL_SECONDS)) from None
        finally:
            with self._calls_lock:
                self._calls.pop(call_id, None)
        if reply.error is not None:
            raise reply.error.error()
        return reply.value

    def _fail_calls(self, error: HostCrashed) -> None:
        with self._calls_lock:
            self._crash = error
            calls, self._calls = self._calls, {}
        for call_id, future in calls.items():
            future.set_result(Reply(call_id, error=ErrorInfo.of(error)))

    def _ended(self) -> HostCrashed:
        """How the process ended, as an error; waits a moment for it to end."""
        try:
            code: int | None = self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            code = None
        return HostCrashed(name=self.name, reason=_exit_reason(code))

    def kill(self) -> None:
        """End the process now. A host holds nothing that could be lost."""
        self._process.kill()
        self._process.wait()

    def close(self, seconds: float = 2.0) -> None:
        """Ask the process to end, and end it after `seconds`."""
        self.send(Shutdown())
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def dispose(self) -> None:
        """Close this end of the pipe, once the process has ended and nobody reads from it any more."""
        self._frames.put(None)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):  # what was still buffered for a dead host
                    stream.close()


def _exit_reason(code: int | None) -> str:
    if code is None:
        return tr("it closed its pipe")
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        return tr("it was killed by the system: {signal}", signal=name)
    return tr("exit code {code}", code=code)
