"""Backends whose requests are each answered on a thread of its own, by something that does its own batching.

What the threads tell is put in order here: the texts are cut before stop strings, tokens are counted, and an answer
ends once, whatever its thread still does.
"""

from __future__ import annotations

import abc
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from hearth.engine.host.protocol import ModelInfo, Submit
from hearth.engine.outputs import ErrorInfo, FinishReason, RequestOutput, TokenLogprobs, Usage
from hearth.engine.sampling_params import SamplingParams
from hearth.engine.stream_decoder import StopMatcher
from hearth.errors import HearthError, ModelRunFailed, RequestInvalid
from hearth.i18n import tr

# How long a step waits for news: the host hears of new requests and aborts in between.
_PATIENCE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Piece:
    """What an answer has gained.

    Attributes:
        token_ids: of new tokens; -1 for one whose id is not told.
        prefilled: prompt tokens read so far.
    """

    text: str = ""
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprobs, ...] = ()
    prefilled: int = 0


@dataclass(frozen=True, slots=True)
class End:
    """How an answer has ended by itself.

    Attributes:
        prompt_tokens, cached_tokens, generated_tokens: as far as they are told; None leaves what was counted.
    """

    reason: FinishReason = FinishReason.STOP
    error: HearthError | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    generated_tokens: int | None = None


@dataclass(eq=False)
class Answer:
    """A request while it is answered.

    Attributes:
        key: its own, also where an id is used again.
        is_wanted: cleared where nobody waits for it any more; its thread then stops.
        body: what is asked, in the words of whatever answers.
        has_begun: its thread has been started.
        interrupt: called when nobody waits for it any more, so that a thread that waits for news hears of it.
    """

    request: Submit
    prompt_tokens: int
    body: dict[str, Any] = field(default_factory=dict)
    key: int = field(default_factory=itertools.count(1).__next__)
    is_wanted: threading.Event = field(default_factory=threading.Event)
    has_begun: bool = False
    interrupt: Callable[[], None] = lambda: None
    generated: int = 0
    cached: int = 0
    submitted: float = field(default_factory=time.perf_counter)
    first_token: float = 0.0
    last_token: float = 0.0

    def __post_init__(self) -> None:
        self.is_wanted.set()
        self.matcher = StopMatcher(self.request.params.stop)

    @property
    def params(self) -> SamplingParams:
        return self.request.params

    def usage(self) -> Usage:
        decoding = self.last_token - self.first_token
        return Usage(
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached,
            generated_tokens=self.generated,
            seconds_to_first_token=self.first_token - self.submitted if self.first_token else 0.0,
            seconds=time.perf_counter() - self.submitted,
            tokens_per_second=(self.generated - 1) / decoding if self.generated > 1 and decoding > 0 else 0.0,
        )


Tell = Callable[[Piece], bool]


class ThreadedBackend(abc.ABC):
    """See `Backend`.

    Attributes:
        info: what the model is and how it runs here.
    """

    info: ModelInfo

    def __init__(self, name: str) -> None:
        self._name = name
        self._answers: dict[str, Answer] = {}
        self._news: SimpleQueue[tuple[Answer, Piece | End]] = SimpleQueue()
        self._outputs: list[RequestOutput] = []

    @abc.abstractmethod
    def _prepare(self, request: Submit) -> Answer:
        """Check a request and make its answer, which does not begin yet. Raises HearthError."""

    @abc.abstractmethod
    def _begin_next(self) -> None:
        """Begin the answers that may begin now, each by `_begin`. On the host's loop."""

    @abc.abstractmethod
    def _write(self, answer: Answer, tell: Tell) -> End:
        """Answer; blocks, on a thread of its own. What `tell` gives says whether to go on. Raises HearthError."""

    @abc.abstractmethod
    def _ended(self, answer: Answer) -> None:
        """The thread of an answer has ended, or will not begin. On the host's loop."""

    @property
    def has_work(self) -> bool:
        return bool(self._answers)

    def submit(self, request: Submit) -> None:
        request.params.check()
        if request.request_id in self._answers:
            raise RequestInvalid(reason=tr("a request with this id is open already"))
        answer = self._prepare(request)
        self._answers[request.request_id] = answer
        self._begin_next()

    def abort(self, request_id: str) -> RequestOutput | None:
        answer = self._answers.get(request_id)
        if answer is None:
            return None
        output = self._finish(answer, FinishReason.ABORT, RequestOutput(request_id=request_id))
        if not answer.has_begun:
            self._ended(answer)
        return output

    def step(self) -> list[RequestOutput]:
        self._take_news()
        self._begin_next()
        outputs, self._outputs = self._outputs, []
        return outputs

    def tidy(self) -> bool:
        return False

    def rest(self) -> None:  # noqa: B027 (nothing can be done beside)
        """See `Backend`."""

    def _begin(self, answer: Answer) -> None:
        answer.has_begun = True
        name = f"answer {answer.request.request_id}"
        threading.Thread(target=self._run, args=(answer,), name=name, daemon=True).start()

    def _run(self, answer: Answer) -> None:
        def tell(piece: Piece) -> bool:
            self._news.put((answer, piece))
            return answer.is_wanted.is_set()

        try:
            end = self._write(answer, tell)
        except HearthError as error:
            end = End(FinishReason.ERROR, error)
        except Exception as error:  # noqa: BLE001 (one request must not end all others)
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
            end = End(FinishReason.ERROR, ModelRunFailed(name=self._name, reason=reason))
        self._news.put((answer, end))

    def _take_news(self) -> None:
        """Take in what the threads have told; wait a moment where that is nothing."""
        try:
            news = self._news.get(timeout=_PATIENCE_SECONDS)
            while True:
                self._take(*news)
                news = self._news.get_nowait()
        except Empty:
            return

    def _take(self, answer: Answer, news: Piece | End) -> None:
        is_open = self._answers.get(answer.request.request_id) is answer
        if isinstance(news, End):
            self._ended(answer)
            if is_open:
                self._outputs.append(self._ending(answer, news))
        elif is_open:
            self._outputs.append(self._gained(answer, news))

    def _gained(self, answer: Answer, piece: Piece) -> RequestOutput:
        output = RequestOutput(request_id=answer.request.request_id, prefilled=piece.prefilled)
        if piece.token_ids:
            answer.last_token = time.perf_counter()
            answer.first_token = answer.first_token or answer.last_token
        output.token_ids = list(piece.token_ids)
        output.logprobs = list(piece.logprobs)
        answer.generated += len(piece.token_ids)
        if answer.params.stop_token_ids and set(piece.token_ids) & set(answer.params.stop_token_ids):
            return self._finish(answer, FinishReason.STOP, output)  # the token itself is not shown
        output.text = answer.matcher.push(piece.text)
        if answer.matcher.matched is not None:
            return self._finish(answer, FinishReason.STOP, output)
        return output

    def _ending(self, answer: Answer, end: End) -> RequestOutput:
        output = RequestOutput(request_id=answer.request.request_id)
        if end.prompt_tokens is not None:
            answer.prompt_tokens = end.prompt_tokens
        if end.cached_tokens is not None:
            answer.cached = end.cached_tokens
        if end.generated_tokens is not None:
            answer.generated = end.generated_tokens
        if end.error is not None:
            output.error = ErrorInfo.of(end.error)
        return self._finish(answer, end.reason, output)

    def _finish(self, answer: Answer, reason: FinishReason, output: RequestOutput) -> RequestOutput:
        answer.is_wanted.clear()
        answer.interrupt()
        del self._answers[answer.request.request_id]
        if answer.matcher.matched is None:
            output.text += answer.matcher.flush()
        output.finish_reason = reason
        output.usage = answer.usage()
        return output
