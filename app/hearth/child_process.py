"""Processes that Hearth starts of itself: how they are started, and what both sides say in lines of JSON.

A child is given its job on standard input, which then stays open: when it closes, whoever wanted the job done is gone,
and so is the child.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import IO, Any, Generic, Self, TypeVar, cast

import msgspec

import hearth
from hearth.errors import HearthError

T = TypeVar("T")

# On Windows no console appears for a child, and a modest one starts at low priority; elsewhere see `be_modest`.
NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)
MODEST = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
# Between two looks at whether an answer is still wanted.
LOOK_SECONDS = 0.1


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The job cannot be done: a `HearthError` as code and parameters."""

    code: str
    params: dict[str, Any]


def own_command(module: str, option: str, *arguments: str) -> list[str]:
    """How to start `python -m module`; the packaged app is its own interpreter, and is given the option."""
    if getattr(sys, "frozen", False):
        return [sys.executable, option, *arguments]
    # -P: the folder that one happens to stand in is no place to import from.
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment() -> dict[str, str]:
    """The environment of every child: ONNX Runtime sends no telemetry, and Hearth is imported from where it is here."""
    own = str(Path(hearth.__file__).parents[1])
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [own, *(path for path in given if path not in ("", own))]
    return {**os.environ, "ORT_DISABLE_TELEMETRY": "1", "PYTHONPATH": os.pathsep.join(paths)}


def answer_of(
    command: Sequence[str],
    seconds: float,
    environment: Mapping[str, str] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> bytes:
    """What a child writes that is told nothing and ends by itself.

    Args:
        seconds: that it may take.
        environment: variables that it has beside its usual ones.
        cancelled: asked every LOOK_SECONDS; True ends it.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it took too long or was cancelled, and was ended.
        subprocess.CalledProcessError: it ended with a code that is not 0.
    """
    end = time.monotonic() + seconds
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**child_environment(), **(environment or {})},
        creationflags=NO_WINDOW,
    ) as process:
        try:
            while True:
                try:
                    output, errors = process.communicate(timeout=LOOK_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    if cancelled() or time.monotonic() > end:
                        raise subprocess.TimeoutExpired(command, seconds) from None
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output, errors)
    return output


def start_child(
    command: Sequence[str],
    log_file: Path | None = None,
    environment: dict[str, str] | None = None,
    creation_flags: int = 0,
) -> subprocess.Popen[bytes]:
    """Start a child with pipes for input and output; what it says besides goes to the end of `log_file`."""
    stderr: IO[bytes] | int = subprocess.DEVNULL
    if log_file is not None:
        with suppress(OSError):  # the log is a help, not a condition
            log_file.parent.mkdir(parents=True, exist_ok=True)
            stderr = log_file.open("ab")
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=child_environment() if environment is None else environment,
            creationflags=NO_WINDOW | creation_flags,
            # Ctrl+C in a terminal is for whoever started it, which then ends it.
            start_new_session=os.name == "posix",
        )
    finally:
        if not isinstance(stderr, int):
            stderr.close()


def end_child(process: subprocess.Popen[bytes]) -> None:
    """Kill it, and close the pipes to it."""
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):  # what was still buffered for a dead process
                stream.close()


class ChildProcess(Generic[T]):
    """The caller's side of a child with one job. It ends when this is closed."""

    def __init__(
        self,
        command: Sequence[str],
        job: msgspec.Struct,
        messages: Any,
        log_file: Path | None = None,
    ) -> None:
        """Start it.

        Args:
            messages: the type of what it says, beside `Failed`.
            log_file: as in `start_child`.
        """
        self._decoder = msgspec.json.Decoder(messages | Failed)
        self._process = start_child(command, log_file, creation_flags=MODEST)
        with suppress(OSError):  # it ended at once; the end of its lines says so
            stdin = cast("IO[bytes]", self._process.stdin)
            stdin.write(msgspec.json.encode(job) + b"\n")
            stdin.flush()

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end_child(self._process)

    def messages(self) -> Iterator[T]:
        """What it says, until it ends.

        Raises:
            HearthError: what it could not do.
        """
        for line in cast("IO[bytes]", self._process.stdout):
            try:
                message = self._decoder.decode(line)
            except msgspec.MsgspecError:  # it was killed in the middle of a line
                return
            if isinstance(message, Failed):
                raise HearthError.from_code(message.code, message.params)
            yield message

    def exit_code(self) -> int:
        """How it ended; waits for that."""
        return self._process.wait()


class Caller:
    """The child's side: whoever started this process."""

    def __init__(self) -> None:
        # Not buffered by sys.stdin: a thread in a read of it would keep the interpreter from ending.
        self._reader, self._writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)  # what anybody else prints must not get between the lines
        self._lock = Lock()

    def job(self, kind: Any) -> Any:
        """What is to be done, of this type."""
        return msgspec.json.decode(self._reader.readline(), type=kind)

    def end_with_it(self, last_act: Callable[[], None] = lambda: None) -> None:
        """Have this process end when the caller does, after `last_act`."""

        def wait() -> None:
            self._reader.read()
            last_act()
            os._exit(1)

        Thread(target=wait, daemon=True).start()

    def tell(self, message: msgspec.Struct) -> None:
        """Say something, from any thread."""
        with self._lock, suppress(OSError):  # a caller that is gone ends this process by another way
            self._writer.write(msgspec.json.encode(message) + b"\n")
            self._writer.flush()

    def answer(self, work: Callable[[], None]) -> int:
        """Do the work, and tell what prevents it; the exit code."""
        try:
            work()
        except HearthError as error:
            self.tell(Failed(code=error.code, params=error.params))
            return 1
        return 0


def log_to_stderr() -> None:
    """Have lines of the log go where the caller said; see `start_child`."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s",
    )


def be_modest(niceness: int) -> None:
    """Let everybody else go first; and if memory runs out, be the one who goes."""
    if hasattr(os, "nice"):
        os.nice(niceness)
    with suppress(OSError):  # Linux only
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
