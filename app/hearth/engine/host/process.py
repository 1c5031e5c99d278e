"""The engine host: a process that holds one model and answers requests on its standard input.

The reader thread only reads: it answers pings and queues the rest, calls to the counter thread, work to the loop.
The loop works: apply what was queued, compute one step, send what it gave. When the pipe closes, the reader ends the
process on the spot, so a host never outlives the app, however the app died.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from hearth.child_process import log_to_stderr
from hearth.engine.backend import Backend
from hearth.engine.host.loading import import_backend, load_backend
from hearth.engine.host.pipe import FrameInvalid, Pipe, PipeClosed
from hearth.engine.host.protocol import (
    VERSION,
    Abort,
    Count,
    HostRequest,
    Import,
    Imported,
    Load,
    LoadFailed,
    Outputs,
    Ping,
    Pong,
    Preparing,
    Ready,
    Refused,
    Reply,
    Shutdown,
    Stats,
    Submit,
)
from hearth.engine.outputs import ErrorInfo, FinishReason, RequestOutput
from hearth.errors import HearthError, HostProtocol, ModelLoadFailed, RequestInvalid
from hearth.i18n import tr, use_language

log = logging.getLogger(__name__)

# Without a request for so long, there is time to tidy; and so much of it when the host is told to end.
QUIET_SECONDS = 2.0
CLOSING_SECONDS = 1.0

LoopRequest = Submit | Abort | Stats | Shutdown


class EngineHost:
    """One model's host: its pipe, its reader thread and its loop."""

    def __init__(
        self, pipe: Pipe[HostRequest], load_backend: Callable[[Load, Callable[[float], None]], Backend]
    ) -> None:
        """`load_backend` is given a function to tell how far it is where loading takes more than reading weights."""
        self._pipe = pipe
        self._load_backend = load_backend
        self._queue: SimpleQueue[LoopRequest] = SimpleQueue()
        self._counts: SimpleQueue[Count] = SimpleQueue()
        self._backend: Backend | None = None
        self._step_started = 0.0

    def serve(self) -> int:
        """Load the model that the first message names, then answer until told to end; the exit code.

        Before that message another one may come, to get ready for any model.
        """
        load = self._pipe.receive()
        if isinstance(load, Import):
            import_backend()
            self._pipe.send(Imported())
            load = self._pipe.receive()
        if not isinstance(load, Load):
            self._pipe.send(Refused("the first message must be load"))
            return 1
        for target in (self._read, self._answer_counts):
            threading.Thread(target=target, name=target.__name__, daemon=True).start()
        try:
            self._backend = self._open(load)
        except HearthError as error:
            log.warning("loading %s failed: %s", load.name, error)
            self._pipe.send(LoadFailed(ErrorInfo.of(error)))
            return 1
        self._pipe.send(Ready(VERSION, self._backend.info))
        return self._loop(self._backend)

    def _open(self, load: Load) -> Backend:
        if load.version != VERSION:
            raise HostProtocol(name=load.name, theirs=VERSION, ours=load.version)
        use_language(load.language)
        try:
            return self._load_backend(load, lambda progress: self._pipe.send(Preparing(progress)))
        except MemoryError as error:
            raise ModelLoadFailed(name=load.name, reason=tr("there is not enough memory")) from error
        except HearthError:
            raise
        except Exception as error:
            # A model folder is untrusted: whatever it breaks is its fault, and is said as such.
            log.exception("loading %s failed", load.name)
            raise ModelLoadFailed(name=load.name, reason=_first_line(error)) from error

    def _loop(self, backend: Backend) -> int:
        while True:
            request = self._next(0.0) if backend.has_work else self._idle(backend)
            while request is not None:
                if isinstance(request, Shutdown):
                    self._tidy(backend, until=time.monotonic() + CLOSING_SECONDS)
                    return 0
                self._step_started = time.monotonic()
                self._apply(backend, request)
                self._step_started = 0.0
                request = self._next(0.0)
            if backend.has_work:
                self._step_started = time.monotonic()
                outputs = backend.step()
                self._step_started = 0.0
                if outputs:
                    self._pipe.send(Outputs(outputs))

    def _idle(self, backend: Backend) -> LoopRequest | None:
        """Wait for the next request; what can wait is done once it has been quiet for a while."""
        request = self._next(QUIET_SECONDS)
        if request is None:
            self._tidy(backend)
            request = self._next(0.0)
        if request is None:
            backend.rest()
            request = self._next(None)
        return request

    def _tidy(self, backend: Backend, until: float = math.inf) -> None:
        while self._queue.empty() and time.monotonic() < until and backend.tidy():
            pass

    def _next(self, seconds: float | None) -> LoopRequest | None:
        """The next request; None where none comes in so many seconds. Without a number, wait for it."""
        try:
            return self._queue.get(timeout=seconds) if seconds != 0 else self._queue.get_nowait()
        except Empty:
            return None

    def _apply(self, backend: Backend, request: LoopRequest) -> None:
        match request:
            case Submit():
                try:
                    backend.submit(request)
                except Exception as error:  # noqa: BLE001 (one request must not end all others)
                    failed = RequestOutput(
                        request_id=request.request_id,
                        finish_reason=FinishReason.ERROR,
                        error=ErrorInfo.of(_as_hearth_error(error)),
                    )
                    self._pipe.send(Outputs([failed]))
            case Abort():
                output = backend.abort(request.request_id)
                if output is not None:
                    self._pipe.send(Outputs([output]))
            case Stats():
                self._pipe.send(Reply(request.call_id, backend.stats()))

    def _read(self) -> None:
        try:
            while True:
                try:
                    request = self._pipe.receive()
                except FrameInvalid as error:
                    self._pipe.send(Refused(str(error)[:500], error.request_id))
                    continue
                match request:
                    case Ping():
                        started = self._step_started
                        self._pipe.send(Pong(time.monotonic() - started if started else 0.0))
                    case Count():
                        self._counts.put(request)
                    case Load() | Import():
                        self._pipe.send(Refused("a model is loaded already"))
                    case _:
                        self._queue.put(request)
        except PipeClosed:
            pass
        finally:
            # The app is gone. The loop may be deep in native code: only this ends it at once.
            os._exit(0)

    def _answer_counts(self) -> None:
        while True:
            reply = self._count(self._counts.get())
            try:
                self._pipe.send(reply)
            except PipeClosed:
                return

    def _count(self, request: Count) -> Reply:
        try:
            if self._backend is None:
                raise RequestInvalid(reason=tr("the model is still loading"))
            return Reply(request.call_id, self._backend.count(request.messages, request.text))
        except Exception as error:  # noqa: BLE001 (one request must not end all others)
            return Reply(request.call_id, error=ErrorInfo.of(_as_hearth_error(error)))


def _as_hearth_error(error: Exception) -> HearthError:
    """What one request broke is told to that request; the host lives on."""
    if isinstance(error, HearthError):
        return error
    log.error("a request failed", exc_info=error)
    return RequestInvalid(reason=_first_line(error))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def main() -> int:
    """Serve on standard input and output. What native code prints must not get between the frames."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    reader = os.fdopen(os.dup(0), "rb")
    writer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    log_to_stderr()
    pipe: Pipe[Any] = Pipe(reader, writer, HostRequest)
    try:
        code = EngineHost(pipe, load_backend).serve()
    except PipeClosed:
        code = 0
    # Not a return: onnxruntime's threads and 100 MB frees are not worth waiting for.
    sys.stderr.flush()
    os._exit(code)
