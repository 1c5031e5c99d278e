"""Measures the chat view: `python tests/benchmarks/chat_view.py` prints its figures; it needs no display."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication

from hearth.conversations.message import Message, MessageStatus, Part, PartKind, Role
from hearth.ui.chat.chat_view import ChatView
from hearth.ui.theme import theme

PARAGRAPH = (
    "Some **words** about `code` and a [link](https://example.org), long enough to be broken once or twice. "
)
TEXT = (
    (PARAGRAPH * 3 + "\n\n- one item\n- another *item*\n\n") * 3
    + "```python\n" + "def f(x: int) -> int:\n    return x + 1\n\n\n" * 6 + "```\n\n"
)  # fmt: skip


def message(number: int, role: Role, text: str, status: MessageStatus = MessageStatus.COMPLETE) -> Message:
    return Message(
        id=f"m{number}",
        conversation_id="c",
        parent_id=None,
        role=role,
        status=status,
        parts=[Part(PartKind.TEXT, text)],
        created_at=datetime.now(UTC),
    )


def conversation(count: int) -> list[Message]:
    return [
        message(
            n, Role.ASSISTANT if n % 2 else Role.USER, TEXT if n % 2 else "What is this about? " * (1 + n % 7)
        )
        for n in range(count)
    ]


def milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def report(name: str, times: list[float]) -> None:
    ordered = sorted(times)
    print(
        f"{name:58} median {statistics.median(ordered):7.2f} ms   p99 {ordered[int(len(ordered) * 0.99)]:7.2f} ms"
        f"   worst {ordered[-1]:7.2f} ms"
    )


def stream(view: ChatView, app: QApplication, start: str, updates: int, text: str) -> list[float]:
    """Milliseconds of each update of 5 characters, painting included."""
    answer = message(1_000_000, Role.ASSISTANT, start, MessageStatus.STREAMING)
    view.append_message(answer)
    app.processEvents()
    times = []
    for number in range(updates):
        place = number * 5 % (len(text) - 5)

        def update(place: int = place) -> None:
            view.append_text(answer.id, text[place : place + 5])
            view.flush()
            app.processEvents()

        times.append(milliseconds(update))
    return times


def paced(view: ChatView, app: QApplication, updates: int, text: str) -> list[float]:
    """Milliseconds between the beats of a 5 ms timer while updates come at 60 Hz."""
    answer = message(2_000_000, Role.ASSISTANT, "", MessageStatus.STREAMING)
    view.append_message(answer)
    beats: list[float] = []
    left = iter(range(updates))

    def update() -> None:
        number = next(left, None)
        if number is None:
            app.quit()
        else:
            place = number * 5 % (len(text) - 5)
            view.append_text(answer.id, text[place : place + 5])

    beat, stream_timer = QTimer(), QTimer()
    beat.setTimerType(Qt.TimerType.PreciseTimer)
    beat.timeout.connect(lambda: beats.append(time.perf_counter() * 1000))
    stream_timer.timeout.connect(update)
    beat.start(5)
    stream_timer.start(16)
    app.exec()
    beat.stop()
    return [after - before for before, after in pairwise(beats)]


def main() -> None:
    app = QApplication(sys.argv)
    theme().apply("light")
    for count in (10, 10_000):
        messages = conversation(count)
        for size in (1_000, 100_000):
            view = ChatView()
            view.resize(1000, 800)
            view.show()
            opened = milliseconds(
                lambda view=view, messages=messages: (view.set_messages(messages), app.processEvents())
            )
            start = (TEXT * (size // len(TEXT) + 1))[:size]
            times = stream(view, app, start, 300, PARAGRAPH)
            report(f"5 characters to {size // 1000} KB, {count:,} messages (open: {opened:.0f} ms)", times)
            view.deleteLater()
    view = ChatView()
    view.resize(1000, 800)
    view.show()
    view.set_messages(conversation(10_000))
    report("2,000 updates of mixed Markdown from nothing", stream(view, app, "", 2_000, TEXT))
    report("beats of 5 ms while 2,000 updates come at 60 Hz", paced(view, app, 2_000, TEXT))
    code = "".join(f"    value_{n} = compute({n})  # a comment\n" for n in range(1000))
    report(
        "code block of 5,000 lines, 1,000 updates", stream(view, app, "```python\n" + code * 5, 1_000, code)
    )
    table = "| a | b |\n|---|---|\n" + "".join(f"| {n} | some value |\n" for n in range(400))
    report("a table without end, 1,000 updates", stream(view, app, "", 1_000, table))
    items = "".join(f"- item {n} with some words in it\n" for n in range(400))
    report("a list without end, 1,000 updates", stream(view, app, "", 1_000, items))
    bar = view.verticalScrollBar()
    steps = [-60] * 300 + [-5_000] * 60
    report(
        "scrolling up",
        [milliseconds(lambda s=s: (bar.setValue(bar.value() + s), app.processEvents())) for s in steps],
    )
    places = [bar.maximum() * n // 40 for n in range(40)]
    report(
        "jumps through 10,000 messages",
        [milliseconds(lambda p=p: (bar.setValue(p), app.processEvents())) for p in places],
    )


if __name__ == "__main__":
    main()
