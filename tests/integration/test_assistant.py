"""Questions and answers through the services: real host, real database."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hearth.conversations.message import ConversationSettings, Message, MessageStatus, Role
from hearth.engine.host.protocol import EngineOptions
from hearth.engine.sampling_params import SamplingParams
from hearth.errors import (
    HearthError,
    HostCrashed,
    HostHung,
    ModelNotFound,
    ModelUnloaded,
    RequestInvalid,
)
from hearth.services.events import (
    AnswerEnded,
    AnswerEvent,
    AnswerGrew,
    AnswerStarted,
    ModelState,
    TurnsDropped,
)
from hearth.services.hearth import Hearth
from hearth.services.model_worker import ModelWorker
from hearth.services.threads import plain_thread

OPENING = ", there was a little girl named Lily."
GREEDY = ConversationSettings(temperature=0)


class Chat:
    """A Hearth with the story model, and everything that it says.

    Attributes:
        events: in the order in which they came.
    """

    def __init__(self, folder: Path) -> None:
        self.hearth = Hearth.open()
        self.model = self.hearth.models.import_folder(folder, name="stories").name
        self.events: list[AnswerEvent] = []
        self._changed = threading.Condition()
        self.hearth.assistant.events.subscribe(self._hear)

    def _hear(self, event: AnswerEvent) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait(self, condition: Callable[[AnswerEvent], bool], *, past: int = 0) -> Any:
        """The first event after number `past` for which the condition holds."""
        with self._changed:
            found = self._changed.wait_for(lambda: [e for e in self.events[past:] if condition(e)], 30)
        assert found, f"it did not happen; this did: {self.events[past:]}"
        return found[0]

    def new(self, settings: ConversationSettings = GREEDY) -> str:
        return self.hearth.conversations.create(settings=settings).id

    def post(self, job: Callable[[], None]) -> None:
        self.hearth.pool.load(self.model).post(job)

    def send(self, conversation_id: str, text: str) -> None:
        self.post(lambda: self.hearth.assistant.send(conversation_id, text, model=self.model))

    def ended(self, past: int = 0) -> Message:
        event = self.wait(lambda event: isinstance(event, AnswerEnded), past=past)
        assert isinstance(event, AnswerEnded)
        return event.message

    def ask(self, conversation_id: str, text: str) -> Message:
        past = len(self.events)
        self.send(conversation_id, text)
        return self.ended(past)


@pytest.fixture
def chat(stories_float32: Path) -> Iterator[Chat]:
    chat = Chat(stories_float32)
    yield chat
    chat.hearth.close()


def test_a_question_is_stored_answered_and_the_answer_stored(chat: Chat) -> None:
    conversation_id = chat.new()
    answer = chat.ask(conversation_id, "Once upon a time")
    assert answer.text.startswith(OPENING)
    assert answer.status is MessageStatus.COMPLETE
    assert answer.usage is not None
    assert answer.usage.context_length == 512
    assert answer.usage.tokens_per_second > 0
    stored = chat.hearth.conversations.branch(conversation_id)
    assert [message.role for message in stored] == [Role.USER, Role.ASSISTANT]
    assert stored[1].text == answer.text
    assert stored[1].usage == answer.usage
    assert chat.hearth.conversations.get(conversation_id).title == "Once upon a time"


def test_events_tell_the_answer_piece_by_piece(chat: Chat) -> None:
    answer = chat.ask(chat.new(), "Once upon a time")
    grown = [event.text for event in chat.events if isinstance(event, AnswerGrew)]
    assert len(grown) > 10
    assert "".join(grown) == answer.text
    started = chat.wait(lambda event: isinstance(event, AnswerStarted))
    assert started.question.text == "Once upon a time"
    assert started.answer.status is MessageStatus.STREAMING


def test_answering_again_and_editing_make_versions(chat: Chat) -> None:
    conversation_id = chat.new(ConversationSettings(temperature=1.0, max_tokens=10))
    first = chat.ask(conversation_id, "Once upon a time")
    past = len(chat.events)
    chat.post(lambda: chat.hearth.assistant.answer_again(first.id, model=chat.model))
    second = chat.ended(past)
    branch = chat.hearth.conversations.branch(conversation_id)
    assert [m.id for m in branch] == [first.parent_id, second.id]
    assert (branch[1].version, branch[1].versions) == (2, 2)
    past = len(chat.events)
    question = branch[0].id
    chat.post(lambda: chat.hearth.assistant.edit(question, "The cat", model=chat.model))
    chat.ended(past)
    branch = chat.hearth.conversations.branch(conversation_id)
    assert branch[0].text == "The cat"
    assert branch[0].versions == 2


def test_stop_keeps_what_was_said(chat: Chat) -> None:
    conversation_id = chat.new(ConversationSettings(temperature=1.0, stop=("never in a story",)))
    chat.send(conversation_id, "Once upon a time")
    grew = chat.wait(lambda event: isinstance(event, AnswerGrew))
    chat.hearth.assistant.stop(grew.message_id)
    answer = chat.ended()
    assert answer.status in (MessageStatus.INTERRUPTED, MessageStatus.COMPLETE)
    assert answer.text
    assert chat.hearth.conversations.message(answer.id).text == answer.text


def test_stop_while_the_model_loads_ends_the_answer_at_once(chat: Chat) -> None:
    conversation_id = chat.new()
    chat.send(conversation_id, "Once upon a time")
    started = chat.wait(lambda event: isinstance(event, AnswerStarted))
    chat.hearth.assistant.stop(started.answer.id)
    answer = chat.ended()
    assert answer.status is MessageStatus.INTERRUPTED
    assert chat.hearth.conversations.branch(conversation_id)[0].text == "Once upon a time"


def test_older_turns_are_dropped_whole_and_it_is_said(chat: Chat) -> None:
    conversation_id = chat.new(ConversationSettings(temperature=0, max_tokens=60))
    for number in range(6):
        past = len(chat.events)
        answer = chat.ask(conversation_id, f"Story {number}. " + "The cat sat on the mat. " * 8)
        assert answer.status is MessageStatus.COMPLETE, answer.error
    dropped = [event for event in chat.events[past:] if isinstance(event, TurnsDropped)]
    assert dropped
    assert dropped[0].turns >= 1
    assert answer.usage is not None
    assert answer.usage.dropped_turns == dropped[0].turns
    assert answer.usage.context_tokens <= 512


def test_a_question_longer_than_the_context_is_refused_and_kept(chat: Chat) -> None:
    conversation_id = chat.new()
    answer = chat.ask(conversation_id, "word " * 2000)
    assert answer.status is MessageStatus.FAILED
    assert answer.error is not None
    assert answer.error.code == "prompt_too_long"
    assert chat.hearth.conversations.branch(conversation_id)[0].text.startswith("word")


def test_a_model_that_is_gone_fails_the_answer_and_keeps_the_question(chat: Chat) -> None:
    conversation_id = chat.new()
    past = len(chat.events)
    chat.hearth.pool.load("gone").post(
        lambda: chat.hearth.assistant.send(conversation_id, "Hello", model="gone")
    )
    answer = chat.ended(past)
    assert answer.error is not None
    assert answer.error.code == ModelNotFound.code
    assert chat.hearth.pool.status("gone").state is ModelState.FAILED
    assert chat.hearth.conversations.branch(conversation_id)[0].text == "Hello"


def test_a_killed_host_fails_its_answers_keeps_their_text_and_retry_works(chat: Chat) -> None:
    conversation_id = chat.new(ConversationSettings(temperature=0))
    worker = chat.hearth.pool.load(chat.model)
    worker.wait_ready()
    assert worker.client is not None
    pid = worker.client.pid
    os.kill(pid, signal.SIGSTOP)  # so that it cannot finish before it is killed
    chat.send(conversation_id, "Once upon a time")
    chat.wait(lambda event: isinstance(event, AnswerStarted))
    os.kill(pid, signal.SIGKILL)
    answer = chat.ended()
    assert answer.status is MessageStatus.FAILED
    assert answer.error is not None
    assert answer.error.code == HostCrashed.code
    assert "SIGKILL" in str(HearthError.from_code(answer.error.code, dict(answer.error.params)))
    assert chat.hearth.pool.status(chat.model).state is ModelState.FAILED

    past = len(chat.events)
    chat.post(lambda: chat.hearth.assistant.answer_again(answer.id, model=chat.model))
    again = chat.ended(past)
    assert again.status is MessageStatus.COMPLETE
    assert again.text.startswith(OPENING)


def test_unloading_ends_the_process_and_open_requests(chat: Chat) -> None:
    worker = chat.hearth.pool.load(chat.model)
    worker.wait_ready()
    assert worker.client is not None
    outputs = worker.generate(SamplingParams(temperature=1, ignore_eos=True), text="")
    next(outputs)
    chat.hearth.pool.unload(chat.model)
    with pytest.raises(ModelUnloaded):
        for _ in outputs:
            pass
    worker.join(10)
    assert worker.client.memory_bytes() == 0
    assert chat.hearth.pool.status(chat.model).state is ModelState.UNLOADED


def test_loading_twice_is_loading_once_and_a_failed_model_is_tried_anew(chat: Chat) -> None:
    pool = chat.hearth.pool
    assert pool.load(chat.model) is pool.load(chat.model)
    failed = pool.load("gone")
    with pytest.raises(ModelNotFound):
        failed.wait_ready()
    assert pool.load("gone") is not failed


def test_several_requests_at_once_from_several_threads(chat: Chat) -> None:
    worker = chat.hearth.pool.load(chat.model)
    texts: dict[int, str] = {}

    def run(number: int) -> None:
        params = SamplingParams(temperature=0, max_tokens=30)
        texts[number] = "".join(output.text for output in worker.generate(params, text="Once upon a time"))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(texts) == 12
    assert len(set(texts.values())) == 1


def test_closing_the_iterator_aborts_the_request(chat: Chat) -> None:
    worker = chat.hearth.pool.load(chat.model)
    outputs = worker.generate(SamplingParams(temperature=0, ignore_eos=True), text="")
    next(outputs)
    outputs.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 10
    while worker.stats()["open"] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert worker.stats()["open"] == 0


def test_a_host_that_hangs_is_ended_and_says_so(chat: Chat) -> None:
    statuses = []
    worker = ModelWorker(
        chat.model,
        find_entry=lambda _: chat.hearth.models.get(chat.model),
        options=EngineOptions(threads=1, kv_cache_bytes=64 << 20),
        thread_factory=plain_thread,
        on_status=lambda worker: statuses.append(worker.status),
        hang_seconds=1.0,
    )
    worker.start()
    worker.wait_ready()
    assert worker.client is not None
    os.kill(worker.client.pid, signal.SIGSTOP)
    with pytest.raises(HostHung):
        list(worker.generate(SamplingParams(temperature=0, max_tokens=5), text=""))
    assert statuses[-1].state is ModelState.FAILED
    assert worker.client.memory_bytes() == 0
    worker.close()
    worker.join(10)


def test_two_answers_to_one_question_both_come_to_an_end(chat: Chat) -> None:
    conversation_id = chat.new(ConversationSettings(temperature=0, max_tokens=30))
    first = chat.ask(conversation_id, "Once upon a time")
    past = len(chat.events)
    for _ in range(2):
        chat.post(lambda: chat.hearth.assistant.answer_again(first.id, model=chat.model))
    ended: list[str] = []

    def both(event: AnswerEvent) -> bool:
        if isinstance(event, AnswerEnded) and event.message.id not in ended:
            ended.append(event.message.id)
        return len(ended) == 2

    chat.wait(both, past=past)
    statuses = [chat.hearth.conversations.message(message_id).status for message_id in ended]
    assert statuses == [MessageStatus.COMPLETE] * 2


@pytest.mark.parametrize(
    "params", [{"seed": 2**70}, {"max_tokens": 10**20}, {"stop": ("\udcff",)}, {"top_k": 3.5}]
)
def test_a_request_that_cannot_be_sent_ends_with_an_error(chat: Chat, params: dict[str, Any]) -> None:
    worker = chat.hearth.pool.load(chat.model)
    with pytest.raises(RequestInvalid):
        list(worker.generate(SamplingParams(**params), text="Once"))
    assert list(worker.generate(SamplingParams(temperature=0, max_tokens=1), text="Once"))


def test_a_worker_that_has_ended_still_answers_that_it_has(chat: Chat) -> None:
    worker = chat.hearth.pool.load(chat.model)
    worker.wait_ready()
    chat.hearth.pool.unload(chat.model)
    worker.join(10)
    with pytest.raises(ModelUnloaded):
        list(worker.generate(SamplingParams(), text="Once"))


def test_a_listener_that_fails_takes_nothing_from_the_others(chat: Chat) -> None:
    def fail(_: AnswerEvent) -> None:
        raise ValueError

    chat.hearth.assistant.events.subscribe(fail)
    chat.hearth.pool.changes.subscribe(fail)  # type: ignore[arg-type]
    assert chat.ask(chat.new(), "Once upon a time").status is MessageStatus.COMPLETE


def test_a_closed_pool_loads_nothing(stories_float32: Path) -> None:
    chat = Chat(stories_float32)
    chat.hearth.close()
    with pytest.raises(ModelUnloaded):
        chat.hearth.pool.load(chat.model)


HANGING = "{% for i in range(99999) %}{% for j in range(99999) %}{% set x = 1 %}{% endfor %}{% endfor %}"
# A host as ever, but with less patience.
IMPATIENT_HOST = """
from hearth.engine import chat_template
from hearth.engine.host.process import main
chat_template.MAX_SECONDS = 1.0
main()
"""


def test_a_chat_template_that_never_ends_ends_its_host_alone(
    stories_float32: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "hearth.engine.host.client.host_command", lambda: [sys.executable, "-P", "-c", IMPATIENT_HOST]
    )
    folder = tmp_path / "hostile"
    shutil.copytree(stories_float32, folder)
    folder.chmod(0o755)
    (folder / "chat_template.jinja").write_text(HANGING)
    chat = Chat(folder)
    answer = chat.ask(chat.new(), "Hello")
    assert answer.status is MessageStatus.FAILED
    assert answer.error is not None
    assert answer.error.code == HostCrashed.code
    chat.hearth.close()


def test_closing_hearth_stores_open_answers_as_interrupted(stories_float32: Path) -> None:
    chat = Chat(stories_float32)
    conversation_id = chat.new(ConversationSettings(temperature=1.0))
    chat.send(conversation_id, "Once upon a time")
    chat.wait(lambda event: isinstance(event, AnswerGrew))
    chat.hearth.close()
    reopened = Hearth.open()
    answer = reopened.conversations.branch(conversation_id)[1]
    assert answer.status in (MessageStatus.INTERRUPTED, MessageStatus.COMPLETE)
    assert answer.text
    reopened.close()
