"""Backends that answer on threads: what was told comes before the end, and the end comes."""

from __future__ import annotations

from queue import SimpleQueue

import pytest

from hearth.engine.host.protocol import Submit
from hearth.engine.outputs import FinishReason, RequestOutput
from hearth.engine.sampling_params import SamplingParams
from hearth.engine.threaded_backend import Answer, End, Piece, Tell, ThreadedBackend
from hearth.errors import RequestInvalid


class Dictated(ThreadedBackend):
    """Each answer says what it is told to; an empty text ends it, and an empty prompt is refused."""

    def __init__(self) -> None:
        super().__init__("m")
        self.texts: dict[str, SimpleQueue[str]] = {}

    def _prepare(self, request: Submit) -> Answer:
        if not request.text:
            raise RequestInvalid(reason="the prompt is empty")
        self.texts[request.request_id] = SimpleQueue()
        return Answer(request, 1)

    def _begin_next(self) -> None:
        for answer in self._answers.values():
            if not answer.has_begun:
                self._begin(answer)

    def _write(self, answer: Answer, tell: Tell) -> End:
        while text := self.texts[answer.request.request_id].get():
            tell(Piece(text=text, token_ids=(-1,)))
        return End()

    def _ended(self, answer: Answer) -> None:
        """There is always room."""

    def count(self, messages: object, text: str | None) -> int:
        return 1

    def stats(self) -> dict[str, int | float]:
        return {}


def submit(backend: Dictated, request_id: str, text: str = "hello") -> None:
    backend.submit(Submit(request_id=request_id, text=text, params=SamplingParams()))


def say(backend: Dictated, request_id: str, text: str) -> None:
    """Say it, and wait until the thread has passed it on."""
    backend.texts[request_id].put(text)
    while backend._news.empty():
        pass


def rest(backend: Dictated) -> list[RequestOutput]:
    outputs = []
    while backend.has_work:
        outputs += backend.step()
    return outputs


def test_an_answer_that_ends_while_another_request_is_refused_still_tells_its_end() -> None:
    backend = Dictated()
    submit(backend, "a")
    say(backend, "a", "")
    with pytest.raises(RequestInvalid):
        submit(backend, "refused", "")
    assert [output.finish_reason for output in rest(backend)] == [FinishReason.STOP]


def test_nothing_comes_behind_the_end_of_an_answer_that_is_aborted() -> None:
    backend = Dictated()
    submit(backend, "a")
    say(backend, "a", "once")
    submit(backend, "b")
    ended = backend.abort("a")
    assert ended is not None
    assert ended.finish_reason is FinishReason.ABORT
    backend.texts["a"].put("")
    backend.texts["b"].put("")
    assert {output.request_id for output in rest(backend)} == {"b"}
