"""A host that waits for a model: it is the one that loads, and nothing is lost where it is not there."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event

import psutil
import pytest

from hearth.engine.host import spare
from hearth.engine.host.client import HostClient
from hearth.engine.host.protocol import EngineOptions
from hearth.engine.host.spare import SpareHost
from hearth.models.registry import ModelRegistry
from hearth.services.model_pool import ModelPool
from hearth.services.model_worker import ModelWorker

OPTIONS = EngineOptions(threads=1, kv_cache_bytes=64 << 20)
SECONDS = 60.0


@pytest.fixture
def pool(stories_float32: Path) -> Iterator[ModelPool]:
    registry = ModelRegistry()
    for name in ("first", "second"):
        registry.import_folder(stories_float32, name=name, in_place=True)
    pool = ModelPool(registry, OPTIONS)
    yield pool
    pool.close()


def pid_that_waits(pool: ModelPool) -> int:
    client = pool.prepare().result(SECONDS)
    assert client is not None
    return client.pid


def pid_of(worker: ModelWorker) -> int:
    worker.wait_ready()
    assert worker.client is not None
    return worker.client.pid


def ends(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(SECONDS)
    return not psutil.pid_exists(pid)


def test_the_host_that_waits_is_the_one_that_loads_the_next_model(pool: ModelPool) -> None:
    waiting = pid_that_waits(pool)
    assert pid_that_waits(pool) == waiting, "one is enough"
    first = pool.load("first")
    assert pid_of(first) == waiting
    assert pid_of(pool.load("second")) != waiting
    assert first.count(text="Once upon a time") > 0
    pool.unload_and_wait(["first"])
    assert ends(waiting)


def test_errors_name_the_model_that_the_waiting_host_took(pool: ModelPool) -> None:
    pid_that_waits(pool)
    worker = pool.load("first")
    worker.wait_ready()
    assert worker.client is not None
    assert worker.client.name == "first"


def test_a_model_that_is_wanted_while_the_host_starts_gets_that_host(pool: ModelPool) -> None:
    starting = pool.prepare()
    pid = pid_of(pool.load("first"))
    client = starting.result(SECONDS)
    assert client is not None
    assert client.pid == pid


@pytest.mark.skipif(sys.platform == "win32", reason="kills with a signal")
def test_one_that_was_killed_while_it_waited_is_replaced(pool: ModelPool) -> None:
    waiting = pid_that_waits(pool)
    os.kill(waiting, signal.SIGKILL)
    psutil.Process(waiting).wait(SECONDS)
    assert pid_of(pool.load("first")) != waiting


def test_nobody_waits_for_ever(pool: ModelPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "WAITING_SECONDS", 0.05)
    assert ends(pid_that_waits(pool))
    pid_of(pool.load("first"))


def test_the_one_that_waits_ends_with_the_pool(pool: ModelPool) -> None:
    waiting = pid_that_waits(pool)
    pool.close()
    assert ends(waiting)
    assert pool.prepare().result(SECONDS) is None


def test_one_that_cannot_be_started_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hearth.engine.host.client.host_command", lambda: [sys.executable, "-c", "pass"])
    waiting = SpareHost()
    assert waiting.prepare().result(SECONDS) is None
    monkeypatch.undo()
    client = waiting.take("first")
    assert client.is_alive()
    client.kill()
    client.dispose()


def test_one_that_starts_too_slowly_is_not_waited_for_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "_START_SECONDS", 0.01)
    go_on = Event()

    def slow(name: str, log_file: Path | None) -> object:
        if not name:  # the one that waits
            go_on.wait(SECONDS)
        return HostClient(name, log_file)

    monkeypatch.setattr("hearth.engine.host.spare.HostClient", slow)
    host = SpareHost()
    starting = host.prepare()
    taken = host.take("first")
    go_on.set()
    late = starting.result(SECONDS)
    assert late is not None
    assert ends(late.pid)
    assert taken.is_alive()
    assert taken.pid != late.pid
    taken.kill()
    taken.dispose()
