"""Models are loaded when somebody wants them, and unloaded when they rest or another one needs their memory."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hearth.conversations.message import ConversationSettings, MessageStatus
from hearth.engine.host.protocol import EngineOptions
from hearth.errors import ModelAnswering
from hearth.models.registry import ModelRegistry
from hearth.services.events import AnswerEnded, AnswerStarted, ModelState, ModelStatus
from hearth.services.hearth import Hearth
from hearth.services.model_pool import ModelPool

OPTIONS = EngineOptions(threads=1, kv_cache_bytes=64 << 20)
SECONDS = 60.0


class Watched:
    """A pool, and all that it told."""

    def __init__(self, pool: ModelPool) -> None:
        self.pool = pool
        self.told: list[ModelStatus] = []
        self._changed = threading.Condition()
        pool.changes.subscribe(self._hear)

    def _hear(self, status: ModelStatus) -> None:
        with self._changed:
            self.told.append(status)
            self._changed.notify_all()

    def wait(self, condition: Callable[[ModelStatus], bool]) -> ModelStatus:
        with self._changed:
            assert self._changed.wait_for(lambda: any(map(condition, self.told)), SECONDS), self.told
            return next(filter(condition, self.told))

    def loaded(self) -> set[str]:
        return {status.name for status in self.pool.statuses() if status.state is ModelState.READY}


@pytest.fixture
def registry(stories_float32: Path) -> ModelRegistry:
    registry = ModelRegistry()
    for name in ("first", "second", "third"):
        registry.import_folder(stories_float32, name=name, in_place=True)
    return registry


@pytest.fixture
def watched(registry: ModelRegistry, request: pytest.FixtureRequest) -> Iterator[Watched]:
    watched = Watched(ModelPool(registry, OPTIONS, **request.param))
    yield watched
    watched.pool.close()


def unloaded(name: str) -> Callable[[ModelStatus], bool]:
    return lambda status: (status.name, status.state) == (name, ModelState.UNLOADED)


@pytest.mark.parametrize("watched", [{"rest_seconds": 0.2}], indirect=True)
def test_a_model_that_rests_is_unloaded_unless_it_is_held(watched: Watched) -> None:
    worker = watched.pool.acquire("first")
    worker.wait_ready()
    watched.pool.load("second")
    watched.wait(unloaded("second"))
    assert watched.loaded() == {"first"}
    worker.rest.release()
    assert watched.wait(unloaded("first")).notice == ""
    worker.join(SECONDS)
    assert worker.client is not None
    assert worker.client.memory_bytes() == 0
    assert watched.pool.acquire("first").wait_ready().context_length == 512


@pytest.mark.parametrize("watched", [{"rest_seconds": 0.2}], indirect=True)
def test_a_model_that_its_owner_wants_to_stay_stays(watched: Watched, registry: ModelRegistry) -> None:
    registry.change_settings("first", {"unload_minutes": 0})
    watched.pool.load("first").wait_ready()
    watched.pool.load("second")
    watched.wait(unloaded("second"))
    assert watched.loaded() == {"first"}
    watched.pool.use_own_rest("first", None)
    watched.wait(unloaded("first"))


@pytest.mark.parametrize("watched", [{"limit_bytes": 1}], indirect=True)
def test_the_one_that_rested_longest_makes_room(watched: Watched) -> None:
    watched.pool.load("first").wait_ready()
    watched.pool.load("second").wait_ready()
    status = watched.wait(unloaded("first"))
    assert status.notice == "first was unloaded to make room for second."
    assert watched.loaded() == {"second"}


def test_several_stay_within_the_limit(registry: ModelRegistry) -> None:
    watched = Watched(ModelPool(registry, OPTIONS, limit_bytes=8 << 30))
    for name in ("first", "second", "third"):
        watched.pool.load(name).wait_ready()
    assert watched.loaded() == {"first", "second", "third"}
    watched.pool.load("first")  # used again, so it goes after the second
    taken = watched.pool.memory_bytes("first")
    assert taken > 10 << 20
    watched.pool.unload_and_wait(["third"])
    fits_two = watched.pool.load("second").estimate_bytes() + watched.pool.memory_bytes("first") + (8 << 20)
    watched.pool.load("first")
    watched.pool.use_limits(rest_seconds=0.0, limit_bytes=fits_two)
    watched.pool.load("third").wait_ready()
    assert watched.loaded() == {"first", "third"}
    watched.pool.close()


@pytest.mark.parametrize("watched", [{"limit_bytes": 1}], indirect=True)
def test_a_model_waits_for_one_that_is_held_and_says_so(watched: Watched) -> None:
    first = watched.pool.acquire("first")
    first.wait_ready()
    second = watched.pool.load("second")
    waits = watched.wait(lambda status: status.name == "second" and bool(status.notice))
    assert waits.notice == "second waits for the memory that first needs now."
    assert second.client is None
    first.rest.release()
    assert second.wait_ready().context_length == 512
    assert watched.loaded() == {"second"}


@pytest.mark.parametrize("watched", [{"limit_bytes": 1}], indirect=True)
def test_a_model_that_waits_can_be_given_up(watched: Watched) -> None:
    watched.pool.acquire("first").wait_ready()
    watched.pool.load("second")
    watched.wait(lambda status: status.name == "second" and bool(status.notice))
    watched.pool.unload("second")
    watched.wait(unloaded("second"))
    assert watched.loaded() == {"first"}


@pytest.mark.skipif(sys.platform == "win32", reason="no process can be halted there")
def test_an_answer_is_never_cut_for_another_model(registry: ModelRegistry) -> None:
    hearth = Hearth.open()
    hearth.pool.use_limits(rest_seconds=0.0, limit_bytes=1)
    watched = Watched(hearth.pool)
    ended: list[AnswerEnded] = []
    begun, both = threading.Event(), threading.Event()

    def hear(event: object) -> None:
        if isinstance(event, AnswerStarted):
            begun.set()
        if isinstance(event, AnswerEnded):
            ended.append(event)
            if len(ended) == 2:
                both.set()

    hearth.assistant.events.subscribe(hear)
    ids = [hearth.conversations.create(settings=ConversationSettings(temperature=0)).id for _ in range(2)]
    worker = hearth.pool.load("first")
    worker.wait_ready()
    assert worker.client is not None
    os.kill(worker.client.pid, signal.SIGSTOP)  # so that its answer is open for as long as this test wants
    worker.post(lambda: hearth.assistant.send(ids[0], "Once upon a time", model="first"))
    assert begun.wait(SECONDS)
    hearth.pool.load("second").post(lambda: hearth.assistant.send(ids[1], "Once upon a time", model="second"))
    watched.wait(lambda status: status.name == "second" and bool(status.notice))
    os.kill(worker.client.pid, signal.SIGCONT)
    assert both.wait(SECONDS)
    assert [event.message.model for event in ended] == ["first", "second"]
    assert {event.message.status for event in ended} == {MessageStatus.COMPLETE}
    assert ended[0].message.text == ended[1].message.text
    hearth.close()


@pytest.mark.parametrize("watched", [{}], indirect=True)
def test_who_wants_idle_models_unloaded_gets_all_of_them_or_none(watched: Watched) -> None:
    held = watched.pool.acquire("first")
    held.wait_ready()
    watched.pool.load("second").wait_ready()
    with pytest.raises(ModelAnswering, match="first"):
        watched.pool.unload_and_wait(["second", "first"], only_idle=True)
    assert watched.loaded() == {"first", "second"}
    held.rest.release()
    watched.pool.unload_and_wait(["second", "first"], only_idle=True)
    assert watched.pool.statuses() == []
