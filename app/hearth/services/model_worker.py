"""One loaded model as the app sees it: its thread, and what can be asked of it.

Everything happens on the worker's own thread, one job after the other: what fronts post, what the host says
(`model_host.py`), and a regular tick. Two helpers only wait and pass on: a reader blocks on the host's pipe, and the
host's process loads and computes; so the worker's thread is always there to answer, also while the model loads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from uuid import uuid4

from hearth.engine.host.client import HostClient
from hearth.engine.host.protocol import ChatMessage, EngineOptions, ModelInfo, Submit
from hearth.engine.outputs import ErrorInfo, RequestOutput
from hearth.engine.sampling_params import SamplingParams
from hearth.errors import ModelUnloaded
from hearth.models.registry import ModelEntry
from hearth.services.benchmark.private_memory import private_bytes
from hearth.services.events import ModelState, ModelStatus
from hearth.services.host_watch import TICK_SECONDS
from hearth.services.job_queue import JobQueue
from hearth.services.model_host import ModelHost
from hearth.services.open_requests import OnOutput, OpenRequests
from hearth.services.rest import Rest
from hearth.services.threads import ThreadFactory

# Whether there is memory for this model, in which case it is given it; else what it waits for, as a sentence.
MakeRoom = Callable[["ModelWorker"], "str | None"]


class ModelWorker:
    """Loads one model in an engine host of its own and passes requests and outputs.

    Attributes:
        name: the model's name.
        is_closing: the app ends; open answers are interrupted, not failed.
        expected_bytes: memory that it is given while it loads, by an estimate; 0 before it may load.
        rest: who needs it, and for how long nobody has; held by every open request.
    """

    def __init__(
        self,
        name: str,
        *,
        find_entry: Callable[[str], ModelEntry],
        options: EngineOptions,
        thread_factory: ThreadFactory,
        on_status: Callable[[ModelWorker], None],
        start_host: Callable[[str], HostClient] = HostClient,
        hang_seconds: float = 60.0,
        make_room: MakeRoom = lambda _: None,
        on_rest: Callable[[ModelWorker], None] = lambda _: None,
        rest_seconds: float = 0.0,
    ) -> None:
        """`find_entry` reads files, so it is called on the worker's thread.

        Args:
            start_host: gives a host for the model of that name; called on the worker's thread.
            make_room: asked on the worker's thread before the model is loaded, and again until it says yes.
            on_rest: told on the worker's thread when the loaded model had nothing to do for `rest_seconds`; 0 never.
        """
        self.name = name
        self.is_closing = False
        self.expected_bytes = 0
        self.rest = Rest(rest_seconds)
        self._on_rest = on_rest
        self._jobs = JobQueue(name)
        self._host = ModelHost(
            name,
            self._jobs,
            self.rest,
            find_entry=find_entry,
            options=options,
            on_status=lambda: on_status(self),
            make_room=lambda: make_room(self),
            start_host=start_host,
            hang_seconds=hang_seconds,
        )
        self._thread = thread_factory(self._run, f"model {name}")

    def start(self) -> None:
        self._thread.start()

    @property
    def status(self) -> ModelStatus:
        """Where it stands. From any thread."""
        return self._host.status

    @property
    def folder(self) -> Path | None:
        """Where its files lie, from the moment they were found."""
        return self._host.folder

    @property
    def client(self) -> HostClient | None:
        """The host, from the moment it was started."""
        return self._host.client

    @property
    def requests(self) -> OpenRequests:
        """That are open; belongs to the worker's thread, but what watches them is set before `start`."""
        return self._host.requests

    @property
    def is_idle(self) -> bool:
        """Whether the model is loaded and nobody needs it."""
        return self.status.state is ModelState.READY and not self.rest.is_held

    def post(self, job: Callable[[], None]) -> None:
        """Run `job` on the worker's thread, after what was posted before. From any thread.

        After the worker's end it runs on a thread of its own, so that whoever waits for it learns of the end.
        """
        self._jobs.post(job)

    def use_rest(self, seconds: float) -> None:
        """Rest is so long from now on, where the owner has set nothing for this model. From any thread."""
        self.rest.seconds = seconds
        self.post(lambda: None)  # so that the thread looks at the clock anew

    def use_own_rest(self, minutes: int | None) -> None:
        """What the owner has set for this model. From any thread."""
        self.rest.use_own(minutes)
        self.post(lambda: None)

    @property
    def entry(self) -> ModelEntry | None:
        """The model as the store has it, once it was found there."""
        return self._host.entry

    def estimate_bytes(self) -> int:
        """The memory that the model is going to take, by an estimate. On the worker's thread."""
        return self._host.estimate_bytes()

    def memory_bytes(self) -> int:
        """What the model takes, or is going to: measured once it is loaded, before that by an estimate."""
        measured = 0 if self.client is None else private_bytes(self.client.pid)
        return max(measured, self.expected_bytes) if self.status.state is ModelState.LOADING else measured

    def when_settled(self, callback: Callable[[], None]) -> None:
        """Run `callback` on the worker's thread once loading has ended; `status` says how. From any thread."""
        self.post(lambda: self._host.when_settled(callback))

    def each_tick(self, callback: Callable[[], bool]) -> None:
        """Run `callback` on the worker's thread about ten times a second until it returns False."""
        self.post(lambda: self._jobs.each_tick(callback))

    def wait_ready(self) -> ModelInfo:
        """Block until the model is loaded. Not on the worker's thread. Raises the HearthError that prevented it."""
        self._host.settled.wait()
        return self.info()

    def info(self) -> ModelInfo:
        """What the loaded model is. Raises HearthError where it is not loaded."""
        return self._host.info()

    def submit(self, request: Submit, on_output: OnOutput) -> None:
        """Ask; `on_output` is called on the worker's thread until an output has a finish reason. From any thread.

        Waits for a model that still loads; where it cannot be loaded, the only output is an error.
        """
        self.rest.hold()  # until the last output
        self.when_settled(lambda: self._host.submit(request, on_output))

    def abort(self, request_id: str) -> None:
        """End a request; its last output says so. From any thread."""
        self.when_settled(lambda: self._host.abort(request_id))

    def count(self, *, messages: list[ChatMessage] | None = None, text: str | None = None) -> int:
        """Tokens of a prompt. Blocks for one exchange with the host; on the worker's thread. Raises HearthError."""
        return self._host.count(messages, text)

    def stats(self) -> dict[str, int | float]:
        """The host's figures. Blocks for one exchange with the host. Raises HearthError."""
        return self._host.ready().stats()

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
        self.post(lambda: self._host.end(ErrorInfo.of(ModelUnloaded(name=self.name)), notice))

    def close(self) -> None:
        """End the host; open requests end as aborted. Returns at once. From any thread."""
        self.is_closing = True
        self.post(lambda: self._host.end(None))

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has ended after `unload` or `close`."""
        self._thread.join(timeout)

    def is_alive(self) -> bool:
        """Whether the worker's thread runs."""
        return self._thread.is_alive()

    # On the worker's thread

    def _run(self) -> None:
        self._jobs.do(self._host.load)
        while not self._host.is_ending:
            self._jobs.do_next(self._seconds_to_wait())
            if self._host.tick_is_due:
                self._jobs.do(self._tick)
            if self._seconds_to_rest() == 0.0:
                self._on_rest(self)
        self._jobs.drain()  # each job finds the model unloaded, and says so to whoever waits

    def _tick(self) -> None:
        self._host.tick()
        self._jobs.tick()

    def _seconds_to_wait(self) -> float | None:
        """For a job, until there is something else to do."""
        needs_ticks = self._host.needs_ticks or self._jobs.needs_ticks
        return TICK_SECONDS if needs_ticks else self._seconds_to_rest()

    def _seconds_to_rest(self) -> float | None:
        is_ready = self.status.state is ModelState.READY and not self._host.is_ending
        return self.rest.seconds_left() if is_ready else None
