"""From threads to the main thread: events are merged and keep their order; jobs and results keep their lanes."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from PySide6.QtCore import QObject, QThread
from pytestqt.qtbot import QtBot

from hearth.conversations.message import Message, MessageStatus, Role
from hearth.errors import ModelNotFound
from hearth.services.events import AnswerEnded, AnswerGrew, Listeners, PromptProgress
from hearth.ui.bridge import EventQueue, UiBridge
from hearth.ui.tasks import Lane, Tasks, Unwanted
from hearth.ui.worker_thread import qt_thread


def ended(message_id: str) -> AnswerEnded:
    return AnswerEnded(
        "c",
        Message(
            id=message_id,
            conversation_id="c",
            parent_id=None,
            role=Role.ASSISTANT,
            status=MessageStatus.COMPLETE,
            parts=[],
            created_at=datetime.now(UTC),
        ),
    )


class Services:
    """The listener lists that the bridge subscribes to."""

    def __init__(self) -> None:
        self.events: Listeners[Any] = Listeners()
        self.changes: Listeners[Any] = Listeners()
        self.settings_changed: Listeners[Any] = Listeners()
        self.assistant = self
        self.pool = self
        self.installs = self


def test_growth_of_one_answer_is_merged_and_order_is_kept() -> None:
    queue = EventQueue()
    woken = [
        queue.put(event)
        for event in (
            PromptProgress("c", "1", 1, 2),
            AnswerGrew("c", "1", "a"),
            AnswerGrew("c", "2", "x"),
            AnswerGrew("c", "1", "b"),
            ended("2"),
        )
    ]
    assert woken == [True, False, False, False, False]
    first, grew, other, last = queue.take()
    assert first == PromptProgress("c", "1", 1, 2)
    assert grew == AnswerGrew("c", "1", "ab")
    assert other == AnswerGrew("c", "2", "x")
    assert isinstance(last, AnswerEnded)
    assert queue.put(AnswerGrew("c", "1", "c"))
    assert queue.take() == [AnswerGrew("c", "1", "c")]


def test_events_of_many_threads_arrive_whole_on_the_main_thread(qtbot: QtBot, qapp: QObject) -> None:
    services = Services()
    bridge = UiBridge(services)  # type: ignore[arg-type]
    texts: dict[str, str] = {}
    main = QThread.currentThread()
    deliveries = 0

    def grew(event: AnswerGrew) -> None:
        nonlocal deliveries
        assert QThread.currentThread() is main
        deliveries += 1
        texts[event.message_id] = texts.get(event.message_id, "") + event.text

    bridge.answer_grew.connect(grew)

    def stream(name: str) -> None:
        for number in range(2000):
            services.events.emit(AnswerGrew("c", name, f"{number} "))

    threads = [qt_thread(lambda name=name: stream(name), name) for name in "abc"]
    for thread in threads:
        thread.start()
    whole = "".join(f"{number} " for number in range(2000))
    qtbot.waitUntil(lambda: texts == dict.fromkeys("abc", whole), timeout=30_000)
    assert deliveries < 6000
    for thread in threads:
        thread.join()
        assert not thread.is_alive()
    bridge.close()
    services.events.emit(AnswerGrew("c", "a", "late"))
    qtbot.wait(50)
    assert texts["a"] == whole


@pytest.fixture
def tasks(qtbot: QtBot) -> Any:
    tasks = Tasks()
    yield tasks
    tasks.close()


def test_store_jobs_run_in_order_and_off_the_main_thread(qtbot: QtBot, tasks: Tasks) -> None:
    ran: list[int] = []
    results: list[int] = []
    threads: set[int] = set()

    def job(number: int) -> int:
        threads.add(threading.get_ident())
        ran.append(number)
        return number

    for number in range(50):
        tasks.run(lambda number=number: job(number)).success(results.append)
    qtbot.waitUntil(lambda: len(results) == 50)
    assert ran == results == list(range(50))
    assert threading.get_ident() not in threads


def test_a_newer_task_for_a_view_supersedes_the_older(qtbot: QtBot, tasks: Tasks) -> None:
    shown: list[str] = []
    tasks.run(lambda: "old", view="chat").success(shown.append)
    tasks.run(lambda: "other", view="list").success(shown.append)
    tasks.run(lambda: "new", view="chat").success(shown.append)
    qtbot.waitUntil(lambda: "new" in shown)
    assert shown == ["other", "new"]


def test_a_failure_goes_to_its_callback_or_to_the_signal(qtbot: QtBot, tasks: Tasks) -> None:
    def fail() -> None:
        raise ModelNotFound(name="x")

    caught: list[Exception] = []
    tasks.run(fail).failure(caught.append)
    qtbot.waitUntil(lambda: len(caught) == 1)
    with qtbot.waitSignal(tasks.failed) as failed:
        tasks.run(fail)
    assert isinstance(failed.args[0], ModelNotFound)


def test_what_nobody_expected_is_logged_whoever_is_told_of_it(
    qtbot: QtBot, tasks: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("a defect")

    def end() -> None:
        raise Unwanted

    caught: list[Exception] = []
    for job in (end, fail):
        tasks.run(job).failure(caught.append)
    qtbot.waitUntil(lambda: len(caught) == 2)
    assert [record.exc_text for record in caplog.records if "a defect" in (record.exc_text or "")]
    assert len(caplog.records) == 1


def test_a_result_for_a_widget_that_is_gone_is_dropped(qtbot: QtBot, tasks: Tasks) -> None:
    owner = QObject()
    shown: list[int] = []
    gate = threading.Event()
    tasks.run(lambda: gate.wait() and 1, owner=owner).success(shown.append)
    tasks.run(lambda: 2).success(shown.append)
    owner.deleteLater()
    qtbot.wait(20)
    gate.set()
    qtbot.waitUntil(lambda: 2 in shown)
    assert shown == [2]


def test_a_long_job_does_not_hold_up_the_store(qtbot: QtBot, tasks: Tasks) -> None:
    gate = threading.Event()
    shown: list[str] = []
    tasks.run(lambda: gate.wait() and "long", lane=Lane.FILES).success(shown.append)
    tasks.run(lambda: "short").success(shown.append)
    qtbot.waitUntil(lambda: shown == ["short"])
    gate.set()
    qtbot.waitUntil(lambda: shown == ["short", "long"])


def test_closing_finishes_what_was_asked_for(qapp: QObject) -> None:
    tasks = Tasks()
    written: list[int] = []
    for number in range(20):
        tasks.run(lambda number=number: written.append(number))
    tasks.close()
    assert written == list(range(20))
