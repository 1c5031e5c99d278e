"""One loaded model as the app sees it: its thread, its engine host, its open requests.

Everything happens on the worker's own thread, one job after the other: what fronts post, what the host says, and a
regular tick. Two helpers only wait and pass on: a reader blocks on the host's pipe, and the host's process loads and
computes; so the worker's thread is always there to answer, also while the model loads.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from uuid import uuid4

from hearth.engine.host.client import HostClient
from hearth.engine.host.protocol import (
    VERSION,
    Abort,
    ChatMessage,
    EngineOptions,
    HostReply,
    Load,
    LoadFailed,
    ModelInfo,
    Outputs,
    Ping,
    Pong,
    Preparing,
    Ready,
    Refused,
    Submit,
)
from hearth.engine.outputs import ErrorInfo, FinishReason, RequestOutput
from hearth.engine.sampling_params import SamplingParams
from hearth.errors import (
    HearthError,
    HostCrashed,
    HostHung,
    HostProtocol,
    ModelLoadFailed,
    ModelUnloaded,
    RequestInvalid,
)
from hearth.i18n import language
from hearth.models.registry import ModelEntry
from hearth.models.remote_keys import read_key
from hearth.services.engine_options import for_model
from hearth.services.events import ModelState, ModelStatus
from hearth.services.model_memory import expected_bytes, measured_bytes
from hearth.services.rest import Rest
from hearth.services.threads import ThreadFactory

log = logging.getLogger(__name__)

TICK_SECONDS = 0.1
PING_SECONDS = 5.0
# Interpreter, numpy and onnxruntime before the first byte of a model.
_EMPTY_HOST_BYTES = 70 << 20

OnOutput = Callable[[RequestOutput], None]
# Whether there is memory for this model, in which case it is given it; else what it waits for, as a sentence.
MakeRoom = Callable[["ModelWorker"], "str | None"]


class ModelWorker:
    """Loads one model in an engine host of its own and passes requests and outputs.

    Attributes:
        name: the model's name.
        status: where it stands; replaced as a whole, so any thread may read it.
        folder: where its files lie, from the moment they were found.
        client: the host, from the moment it was started.
        is_closing: the app ends; open answers are interrupted, not failed.
        expected_bytes: memory that it is given while it loads, by an estimate; 0 before it may load.
        rest: who needs it, and for how long nobody has; held by every open request.
        watch: is told, on the worker's thread, every output and how many requests are open; set before `start`.
    """

    def __init__(
        self,
        name: str,
        *,
        find_entry: Callable[[str], ModelEntry],
        options: EngineOptions,
        thread_factory: ThreadFactory,
        on_status: Callable[[ModelWorker], None],
        log_file: Path | None = None,
        hang_seconds: float = 60.0,
        make_room: MakeRoom = lambda _: None,
        on_rest: Callable[[ModelWorker], None] = lambda _: None,
        rest_seconds: float = 0.0,
    ) -> None:
        """`find_entry` reads files, so it is called on the worker's thread.

        Args:
            make_room: asked on the worker's thread before the model is loaded, and again until it says yes.
            on_rest: told on the worker's thread when the loaded model had nothing to do for `rest_seconds`; 0 never.
        """
        self.name = name
        self.status = ModelStatus(name, ModelState.LOADING)
        self.folder: Path | None = None
        self.client: HostClient | None = None
        self.is_closing = False
        self.watch: Callable[[RequestOutput, int], None] | None = None
        self._find_entry = find_entry
        self._options = options
        self._on_status = on_status
        self._log_file = log_file
        self._hang_seconds = hang_seconds
        self._make_room = make_room
        self._on_rest = on_rest
        self.rest = Rest(rest_seconds)
        self.expected_bytes = 0
        self._entry: ModelEntry | None = None
        self._draft: ModelEntry | None = None
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._thread = thread_factory(self._run, f"model {name}")
        self._settled = Event()  # loading has ended, well or badly
        self._on_settled: list[Callable[[], None]] = []
        self._on_tick: list[Callable[[], bool]] = []
        self._open: dict[str, OnOutput] = {}
        self._model_bytes = 0
        self._pinged = self._heard = self._ticked = time.monotonic()
        self._ending = False
        self._ended = False
        self._post_lock = Lock()

    def start(self) -> None:
        self._thread.start()

    def post(self, job: Callable[[], None]) -> None:
        """Run `job` on the worker's thread, after what was posted before. From any thread.

        After the worker's end it runs on a thread of its own, so that whoever waits for it learns of the end.
        """
        with self._post_lock:
            if not self._ended:
                self._jobs.put(job)
                return
        Thread(target=self._do, args=(job,), name=f"after {self.name}", daemon=True).start()

    @property
    def is_idle(self) -> bool:
        """Whether the model is loaded and nobody needs it."""
        return self.status.state is ModelState.READY and not self.rest.is_held

    def use_rest(self, seconds: float) -> None:
        """Rest is so long from now on, where the owner has set nothing for this model. From any thread."""
        self.rest.seconds = seconds
        self.post(lambda: None)  # so that the thread looks at the clock anew

    def use_own_rest(self, minutes: int | None) -> None:
        """What the owner has set for this model. From any thread."""
        self.rest.own_seconds = None if minutes is None else minutes * 60.0
        self.post(lambda: None)

    def memory_bytes(self) -> int:
        """What the model takes, or is going to: measured once it is loaded, before that by an estimate."""
        measured = 0 if self.client is None else measured_bytes(self.client.pid)
        return max(measured, self.expected_bytes) if self.status.state is ModelState.LOADING else measured

    def when_settled(self, callback: Callable[[], None]) -> None:
        """Run `callback` on the worker's thread once loading has ended; `status` says how. From any thread."""
        self.post(lambda: callback() if self._settled.is_set() else self._on_settled.append(callback))

    def each_tick(self, callback: Callable[[], bool]) -> None:
        """Run `callback` on the worker's thread about ten times a second until it returns False."""
        self.post(lambda: self._on_tick.append(callback))

    def wait_ready(self) -> ModelInfo:
        """Block until the model is loaded. Not on the worker's thread. Raises the HearthError that prevented it."""
        self._settled.wait()
        return self.info()

    def info(self) -> ModelInfo:
        """What the loaded model is. Raises HearthError where it is not loaded."""
        status = self.status
        if status.info is None or status.state is not ModelState.READY:
            raise status.error or ModelUnloaded(name=self.name)
        return status.info

    def _host(self) -> HostClient:
        """The host of a ready model. Raises HearthError where it is not ready."""
        self.info()
        if self.client is None:
            raise ModelUnloaded(name=self.name)
        return self.client

    def submit(self, request: Submit, on_output: OnOutput) -> None:
        """Ask; `on_output` is called on the worker's thread until an output has a finish reason. From any thread.

        Waits for a model that still loads; where it cannot be loaded, the only output is an error.
        """
        self.rest.hold()  # until the last output
        self.when_settled(lambda: self._submit(request, on_output))

    def abort(self, request_id: str) -> None:
        """End a request; its last output says so. From any thread."""
        self.when_settled(lambda: self._abort(request_id))

    def count(self, *, messages: list[ChatMessage] | None = None, text: str | None = None) -> int:
        """Tokens of a prompt. Blocks for one exchange with the host; on the worker's thread. Raises HearthError."""
        try:
            return self._host().count(messages=messages, text=text)
        except HostCrashed as crash:
            # Known here before the reader's own report has its turn: whoever asks next must not see a ready model.
            self._host_ended(crash)
            raise
        except HostHung as error:
            self._hung(error)
            raise

    def stats(self) -> dict[str, int | float]:
        """The host's figures. Blocks for one exchange with the host. Raises HearthError."""
        return self._host().stats()

    def generate(
        self,
        params: SamplingParams,
        *,
        messages: list[ChatMessage] | None = None,
        text: str | None = None,
        token_ids: list[int] | None = None,
        priority: int = 0,
    ) -> Iterator[RequestOutput]:
        """Ask and iterate over the outputs; blocks between them. Closing the iterator aborts the request.

        Raises HearthError where the request fails.
        """
        outputs: SimpleQueue[RequestOutput] = SimpleQueue()
        request = Submit(
            request_id=uuid4().hex,
            params=params,
            messages=messages,
            text=text,
            token_ids=token_ids,
            priority=priority,
        )
        self.submit(request, outputs.put)
        finished = False
        try:
            while not finished:
                output = outputs.get()
                finished = output.finish_reason is not None
                if output.error is not None:
                    raise output.error.error()
                yield output
        finally:
            if not finished:
                self.abort(request.request_id)

    def unload(self, notice: str = "") -> None:
        """End the host; open requests end with ModelUnloaded. Returns at once. From any thread.

        Args:
            notice: why, for the last status.
        """
        self.post(lambda: self._end(ErrorInfo.of(ModelUnloaded(name=self.name)), notice))

    def close(self) -> None:
        """End the host; open requests end as aborted. Returns at once. From any thread."""
        self.is_closing = True
        self.post(lambda: self._end(None))

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has ended after `unload` or `close`."""
        self._thread.join(timeout)

    def is_alive(self) -> bool:
        """Whether the worker's thread runs."""
        return self._thread.is_alive()

    # On the worker's thread

    def _run(self) -> None:
        self._do(self._load)
        while not self._ending:
            with suppress(Empty):
                self._do(self._jobs.get(timeout=self._seconds_to_wait()))
            if time.monotonic() - self._ticked >= TICK_SECONDS:
                self._do(self._tick)
            if self._seconds_to_rest() == 0.0:
                self._on_rest(self)
        self._drain()

    def _needs_ticks(self) -> bool:
        """An idle model wakes nobody: a laptop's battery would feel it."""
        return bool(self.status.state is ModelState.LOADING or self._open or self._on_tick)

    def _seconds_to_wait(self) -> float | None:
        """For a job, until there is something else to do."""
        return TICK_SECONDS if self._needs_ticks() else self._seconds_to_rest()

    def _seconds_to_rest(self) -> float | None:
        is_ready = self.status.state is ModelState.READY and not self._ending
        return self.rest.seconds_left() if is_ready else None

    def _drain(self) -> None:
        """Run what was posted before the end; each job finds the model unloaded, and says so to whoever waits."""
        while not self._ended:
            with self._post_lock:
                self._ended = self._jobs.empty()
            with suppress(Empty):
                self._do(self._jobs.get_nowait())

    def _do(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception:
            # A defect in one answer must not take the model from all others.
            log.exception("a job for %s failed", self.name)

    def _load(self) -> None:
        self._on_status(self)
        try:
            entry = self._entry = self._find_entry(self.name)
            self.folder = entry.path
            self._model_bytes = entry.bytes
            self._options = for_model(self._options, entry.manifest.settings)
            self.use_own_rest(entry.manifest.settings.sound().unload_minutes)
            self._draft = self._draft_entry()
        except HearthError as error:
            self._failed(error)
        else:
            if self._waits_for_room():
                self._on_tick.append(self._waits_for_room)

    def _waits_for_room(self) -> bool:
        """Load the model as soon as there is memory for it; whether that is still to come."""
        reason = self._make_room(self)
        if reason is None:
            self._start_host()
        elif reason != self.status.notice:
            self._change(ModelStatus(self.name, ModelState.LOADING, notice=reason))
        return reason is not None

    def estimate_bytes(self) -> int:
        """The memory that the model is going to take, by an estimate. On the worker's thread."""
        return expected_bytes(entry for entry in (self._entry, self._draft) if entry is not None)

    def _start_host(self) -> None:
        entry, draft = self._entry, self._draft
        if entry is None:
            return
        try:
            client = self.client = HostClient(self.name, self._log_file)
            client.send(
                Load(
                    version=VERSION,
                    name=self.name,
                    folder=str(entry.file),
                    roots=_roots(entry),
                    options=self._options,
                    draft_folder=str(draft.path) if draft else "",
                    draft_roots=_roots(draft) if draft else [],
                    language=language(),
                    format=entry.format,
                    architecture=entry.manifest.facts.architecture if entry.manifest.facts else "",
                    remote=entry.manifest.remote,
                    secret=_key(entry),
                )
            )
        except HearthError as error:
            self._failed(error)
        except Exception as error:
            log.exception("%s could not be loaded", self.name)
            self._failed(ModelLoadFailed(name=self.name, reason=str(error)))
        else:
            Thread(target=self._read, args=(client,), name=f"pipe of {self.name}", daemon=True).start()

    def _draft_entry(self) -> ModelEntry | None:
        """The model that guesses for this one; the host tells of one that is not there."""
        if not self._options.draft_model or not self._options.drafts:
            return None
        try:
            return self._find_entry(self._options.draft_model)
        except HearthError:
            return None

    def _read(self, client: HostClient) -> None:
        """On a thread of its own: pass on what the host says."""
        try:
            while True:
                self._post_reply(client.receive())
        except HostCrashed as error:
            crash = error
        client.dispose()
        self.post(lambda: self._host_ended(crash))

    def _post_reply(self, reply: HostReply) -> None:
        self._heard = time.monotonic()  # when it came, not when this busy thread gets to it
        self.post(lambda: self._handle(reply))

    def _handle(self, reply: HostReply) -> None:
        match reply:
            case Outputs():
                for output in reply.items:
                    self._do(partial(self._deliver, output))
            case Ready() if reply.version != VERSION:
                self._failed(HostProtocol(name=self.name, theirs=reply.version, ours=VERSION))
            case Ready():
                log.info("%s is ready: %s", self.name, reply.info)
                self.rest.touch()  # loading is no rest
                self._change(ModelStatus(self.name, ModelState.READY, 1.0, reply.info))
                self._settle()
            case Preparing():
                self._change(ModelStatus(self.name, ModelState.LOADING, reply.progress, is_preparing=True))
            case LoadFailed():
                self._failed(reply.error.error())
            case Pong() if reply.seconds_in_step > self._hang_seconds * 5:
                self._hung(HostHung(name=self.name, seconds=round(reply.seconds_in_step)))
            case Refused() if reply.request_id is not None:
                self._deliver(
                    _error_output(reply.request_id, ErrorInfo.of(RequestInvalid(reason=reply.reason)))
                )
            case _:
                pass

    def _deliver(self, output: RequestOutput) -> None:
        on_output = self._open.get(output.request_id)
        if on_output is None:
            return
        if self.watch is not None:
            self.watch(output, len(self._open))
        if output.finish_reason is None:
            on_output(output)
            return
        del self._open[output.request_id]
        try:
            on_output(output)
        finally:
            self.rest.release()

    def _submit(self, request: Submit, on_output: OnOutput) -> None:
        self._open[request.request_id] = on_output
        try:
            self._host().send(request)
        except HearthError as error:
            self._deliver(_error_output(request.request_id, ErrorInfo.of(error)))

    def _abort(self, request_id: str) -> None:
        if request_id in self._open and self.client is not None:
            self.client.send(Abort(request_id))

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._ticked > PING_SECONDS:
            # This thread was idle or busy, or the machine slept: nothing can be said yet.
            self._pinged = self._heard = now
        self._ticked = now
        if self.status.state is ModelState.LOADING:
            self._report_progress()
        elif self.status.state is ModelState.READY and self._open:
            self._watch(self._host())
        self._on_tick = [callback for callback in self._on_tick if self._is_wanted(callback)]

    def _is_wanted(self, callback: Callable[[], bool]) -> bool:
        try:
            return callback()
        except Exception:
            log.exception("a tick of %s failed", self.name)
            return True

    def _report_progress(self) -> None:
        """Loading is mostly copying weights, so the host's memory tells how far it is."""
        if self.client is None or not self._model_bytes:
            return
        loaded = max(0, self.client.memory_bytes() - _EMPTY_HOST_BYTES)
        progress = min(0.95, loaded / self._model_bytes)
        if progress >= self.status.progress + 0.01:
            self._change(ModelStatus(self.name, ModelState.LOADING, progress))

    def _watch(self, client: HostClient) -> None:
        """A host that does not even answer its reader's ping, or is lost in one step, is ended."""
        now = time.monotonic()
        if self._pinged <= self._heard:
            if now - self._heard > min(PING_SECONDS, self._hang_seconds / 3):
                self._pinged = now
                client.send(Ping())
        elif now - self._pinged > self._hang_seconds:
            self._hung(HostHung(name=self.name, seconds=round(now - self._heard)))

    def _hung(self, error: HostHung) -> None:
        log.error("%s", error)
        if self.client is not None:
            self.client.kill()  # before anybody hears that it was ended
        self._failed(error)

    def _host_ended(self, crash: HostCrashed) -> None:
        if self.status.state in (ModelState.LOADING, ModelState.READY):
            log.error("%s", crash)
            self._failed(crash)

    def _failed(self, error: HearthError) -> None:
        self._change(ModelStatus(self.name, ModelState.FAILED, error=error))
        self._end_requests(ErrorInfo.of(error))
        self._settle()

    def _end(self, error: ErrorInfo | None, notice: str = "") -> None:
        was_ready = self.status.state is ModelState.READY
        self._ending = True
        self._change(ModelStatus(self.name, ModelState.UNLOADED, notice=notice))
        self._end_requests(error)
        self._settle()
        self._on_tick.clear()
        if self.client is not None:
            # A host that still loads does not read its pipe.
            self.client.close() if was_ready else self.client.kill()

    def _end_requests(self, error: ErrorInfo | None) -> None:
        for request_id in list(self._open):
            self._do(partial(self._deliver, _error_output(request_id, error)))

    def _settle(self) -> None:
        self._settled.set()
        callbacks, self._on_settled = self._on_settled, []
        for callback in callbacks:
            self._do(callback)

    def _change(self, status: ModelStatus) -> None:
        self.status = status
        self._on_status(self)


def _error_output(request_id: str, error: ErrorInfo | None) -> RequestOutput:
    reason = FinishReason.ABORT if error is None else FinishReason.ERROR
    return RequestOutput(request_id=request_id, finish_reason=reason, error=error)


def _roots(entry: ModelEntry) -> list[str]:
    """Where its files may lie beside its folder."""
    return [str(entry.path)] if entry.in_place else []


def _key(entry: ModelEntry) -> str:
    """For the server of a remote model. Raises KeyStoreUnusable."""
    remote = entry.manifest.remote
    return read_key(entry.name, remote.address) if remote is not None and remote.has_key else ""
