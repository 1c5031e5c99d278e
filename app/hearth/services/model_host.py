"""The engine host of one model, from finding the model to the host's end: where it stands, and what it says."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event, Thread

from hearth.engine.host.client import HostClient
from hearth.engine.host.protocol import (
    VERSION,
    Abort,
    ChatMessage,
    EngineOptions,
    HostReply,
    LoadFailed,
    ModelInfo,
    Outputs,
    Pong,
    Preparing,
    Ready,
    Refused,
    Submit,
)
from hearth.engine.outputs import ErrorInfo
from hearth.errors import (
    HearthError,
    HostCrashed,
    HostHung,
    HostProtocol,
    ModelLoadFailed,
    ModelUnloaded,
    RequestInvalid,
)
from hearth.models.registry import ModelEntry
from hearth.services.engine_options import for_model
from hearth.services.events import ModelState, ModelStatus
from hearth.services.host_watch import HostWatch, loading_progress
from hearth.services.job_queue import JobQueue
from hearth.services.load_message import load_message
from hearth.services.model_memory import expected_bytes
from hearth.services.open_requests import OnOutput, OpenRequests
from hearth.services.rest import Rest

log = logging.getLogger(__name__)


class ModelHost:
    """Belongs to the thread that does `jobs`, but for what says otherwise. A reader blocks on the host's pipe beside it.

    Attributes:
        status: where the model stands; replaced as a whole, so any thread may read it.
        entry: the model as the store has it, once it was found there.
        folder: where its files lie, from that moment.
        client: the host, from the moment it was started.
        requests: those that are open.
        settled: loading has ended, well or badly.
        is_ending: nothing comes any more.
    """

    def __init__(
        self,
        name: str,
        jobs: JobQueue,
        rest: Rest,
        *,
        find_entry: Callable[[str], ModelEntry],
        options: EngineOptions,
        on_status: Callable[[], None],
        make_room: Callable[[], str | None],
        start_host: Callable[[str], HostClient],
        hang_seconds: float,
    ) -> None:
        """Do nothing yet.

        Args:
            make_room: whether there is memory for the model (None), or what it waits for; asked until there is.
            start_host: gives a host for the model of that name.
        """
        self.status = ModelStatus(name, ModelState.LOADING)
        self.entry: ModelEntry | None = None
        self.folder: Path | None = None
        self.client: HostClient | None = None
        self.requests = OpenRequests(rest)
        self.settled = Event()
        self.is_ending = False
        self._name = name
        self._jobs = jobs
        self._rest = rest
        self._find_entry = find_entry
        self._options = options
        self._on_status = on_status
        self._make_room = make_room
        self._start_host = start_host
        self._watch = HostWatch(name, hang_seconds)
        self._on_settled: list[Callable[[], None]] = []
        self._draft: ModelEntry | None = None

    def load(self) -> None:
        """Find the model, and load it as soon as there is memory for it."""
        self._on_status()
        try:
            entry = self.entry = self._find_entry(self._name)
            self.folder = entry.path
            self._options = for_model(self._options, entry.manifest.settings)
            self._rest.use_own(entry.manifest.settings.sound().unload_minutes)
            self._draft = self._draft_entry()
        except HearthError as error:
            self._failed(error)
        else:
            if self._waits_for_room():
                self._jobs.each_tick(self._waits_for_room)

    def _draft_entry(self) -> ModelEntry | None:
        """The model that guesses for this one; the host tells of one that is not there."""
        if not self._options.draft_model or not self._options.drafts:
            return None
        try:
            return self._find_entry(self._options.draft_model)
        except HearthError:
            return None

    def _waits_for_room(self) -> bool:
        """Start the host as soon as there is memory for it; whether that is still to come."""
        reason = self._make_room()
        if reason is None:
            self._start()
        elif reason != self.status.notice:
            self._change(ModelStatus(self._name, ModelState.LOADING, notice=reason))
        return reason is not None

    def estimate_bytes(self) -> int:
        """The memory that the model is going to take, by an estimate."""
        entries = [entry for entry in (self.entry, self._draft) if entry is not None]
        return expected_bytes(entries, self._options)

    def _start(self) -> None:
        if self.entry is None:
            return
        try:
            client = self.client = self._start_host(self._name)
            client.send(load_message(self._name, self.entry, self._draft, self._options))
        except HearthError as error:
            self._failed(error)
        except Exception as error:
            log.exception("%s could not be loaded", self._name)
            self._failed(ModelLoadFailed(name=self._name, reason=str(error)))
        else:
            Thread(target=self._read, args=(client,), name=f"pipe of {self._name}", daemon=True).start()

    def _read(self, client: HostClient) -> None:
        """On a thread of its own: pass on what the host says."""
        try:
            while True:
                self._post_reply(client.receive())
        except HostCrashed as error:
            crash = error
        client.dispose()
        self._jobs.post(lambda: self._ended(crash))

    def _post_reply(self, reply: HostReply) -> None:
        self._watch.heard()  # when it came, not when the busy thread gets to it
        self._jobs.post(lambda: self._handle(reply))

    def _handle(self, reply: HostReply) -> None:
        match reply:
            case Outputs():
                for output in reply.items:
                    self._jobs.do(partial(self.requests.deliver, output))
            case Ready() if reply.version != VERSION:
                self._failed(HostProtocol(name=self._name, theirs=reply.version, ours=VERSION))
            case Ready():
                log.info("%s is ready: %s", self._name, reply.info)
                self._rest.touch()  # loading is no rest
                self._change(ModelStatus(self._name, ModelState.READY, 1.0, reply.info))
                self._settle()
            case Preparing():
                self._change(ModelStatus(self._name, ModelState.LOADING, reply.progress, is_preparing=True))
            case LoadFailed():
                self._failed(reply.error.error())
            case Pong():
                self._check(partial(self._watch.check_step, reply))
            case Refused() if reply.request_id is not None:
                self.requests.end(reply.request_id, ErrorInfo.of(RequestInvalid(reason=reply.reason)))
            case _:
                pass

    def when_settled(self, callback: Callable[[], None]) -> None:
        """Call it once loading has ended, which may be now."""
        if self.settled.is_set():
            callback()
        else:
            self._on_settled.append(callback)

    def info(self) -> ModelInfo:
        """What the loaded model is. From any thread. Raises HearthError where it is not loaded."""
        status = self.status
        if status.info is None or status.state is not ModelState.READY:
            raise status.error or ModelUnloaded(name=self._name)
        return status.info

    def ready(self) -> HostClient:
        """The host of a ready model. From any thread. Raises HearthError where it is not ready."""
        self.info()
        if self.client is None:
            raise ModelUnloaded(name=self._name)
        return self.client

    def submit(self, request: Submit, on_output: OnOutput) -> None:
        self.requests.add(request.request_id, on_output)
        try:
            self.ready().send(request)
        except HearthError as error:
            self.requests.end(request.request_id, ErrorInfo.of(error))

    def abort(self, request_id: str) -> None:
        if request_id in self.requests and self.client is not None:
            self.client.send(Abort(request_id))

    def count(self, messages: list[ChatMessage] | None, text: str | None) -> int:
        """Tokens of a prompt. Blocks for one exchange with the host. Raises HearthError."""
        try:
            return self.ready().count(messages=messages, text=text)
        except HostCrashed as crash:
            # Known here before the reader's own report has its turn: whoever asks next must not see a ready model.
            self._ended(crash)
            raise
        except HostHung as error:
            self._hung(error)
            raise

    @property
    def tick_is_due(self) -> bool:
        return self._watch.is_due

    @property
    def needs_ticks(self) -> bool:
        """Whether there is something to watch. An idle model wakes nobody: a laptop's battery would feel it."""
        return self.status.state is ModelState.LOADING or len(self.requests) > 0

    def tick(self) -> None:
        """Look how far a host is that loads, and whether one that answers still does."""
        self._watch.tick()
        if self.status.state is ModelState.LOADING:
            self._report_progress()
        elif self.status.state is ModelState.READY and self.requests:
            self._check(partial(self._watch.check, self.ready()))

    def _report_progress(self) -> None:
        if self.client is None or self.entry is None or not self.entry.bytes:
            return
        progress = loading_progress(self.client, self.entry.bytes)
        if progress >= self.status.progress + 0.01:
            self._change(ModelStatus(self._name, ModelState.LOADING, progress))

    def _check(self, check: Callable[[], None]) -> None:
        """A host that hangs by this check is ended."""
        try:
            check()
        except HostHung as error:
            self._hung(error)

    def _hung(self, error: HostHung) -> None:
        log.error("%s", error)
        if self.client is not None:
            self.client.kill()  # before anybody hears that it was ended
        self._failed(error)

    def _ended(self, crash: HostCrashed) -> None:
        if self.status.state in (ModelState.LOADING, ModelState.READY):
            log.error("%s", crash)
            self._failed(crash)

    def _failed(self, error: HearthError) -> None:
        self._change(ModelStatus(self._name, ModelState.FAILED, error=error))
        self._end_requests(ErrorInfo.of(error))
        self._settle()

    def end(self, error: ErrorInfo | None, notice: str = "") -> None:
        """End the host; open requests end with this error, or as aborted. `notice`: why, for the last status."""
        was_ready = self.status.state is ModelState.READY
        self.is_ending = True
        self._change(ModelStatus(self._name, ModelState.UNLOADED, notice=notice))
        self._end_requests(error)
        self._settle()
        if self.client is not None:
            # A host that still loads does not read its pipe.
            self.client.close() if was_ready else self.client.kill()

    def _end_requests(self, error: ErrorInfo | None) -> None:
        for request_id in self.requests.ids():
            self._jobs.do(partial(self.requests.end, request_id, error))

    def _settle(self) -> None:
        self.settled.set()
        callbacks, self._on_settled = self._on_settled, []
        for callback in callbacks:
            self._jobs.do(callback)

    def _change(self, status: ModelStatus) -> None:
        self.status = status
        self._on_status()
