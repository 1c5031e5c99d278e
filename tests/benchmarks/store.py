"""How long the conversation store takes with 500 conversations and 2,000 messages in one of them.

python tests/benchmarks/store.py [FOLDER]     (a temporary folder where none is given)
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "app"))

from hearth.conversations.message import MessageStatus, Part, PartKind, Role
from hearth.conversations.store import ConversationStore
from hearth.storage.database import Database

CONVERSATIONS, MESSAGES = 500, 2000
PARAGRAPH = "Once upon a time there was a small fire that kept a whole house warm. " * 12


def measure(name: str, call: Callable[[], object], times: int = 9) -> None:
    """Print the median and the longest of `times` calls, in milliseconds."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    print(
        f"{name:<42} median {statistics.median(seconds) * 1e3:8.2f} ms   longest {max(seconds) * 1e3:8.2f} ms"
    )


def main(folder: Path) -> None:
    path = folder / "hearth.db"
    measure("open, new (with migrations)", lambda: Database.open(path).close(), times=1)
    measure("open, current", lambda: Database.open(path).close())
    database = Database.open(path)
    store = ConversationStore(database)
    for at in range(CONVERSATIONS - 1):
        store.create(title=f"Conversation {at}")
    conversation = store.create(title="The long one")
    parent = None
    start = time.perf_counter()
    for at in range(MESSAGES):
        role = Role.ASSISTANT if at % 2 else Role.USER
        parts = [Part(PartKind.TEXT, f"{at}: {PARAGRAPH}")]
        parent = store.add_message(conversation.id, parent_id=parent, role=role, parts=parts).id
    print(f"{'add_message, each':<42} mean   {(time.perf_counter() - start) / MESSAGES * 1e3:8.2f} ms")
    measure("list, 200 of 500", store.list)
    measure("list, all 500", lambda: store.list(limit=500))
    measure("count", store.count)
    measure("branch, 2,000 messages", lambda: store.branch(conversation.id))
    answer = store.add_message(
        conversation.id, parent_id=parent, role=Role.ASSISTANT, parts=[], status=MessageStatus.STREAMING
    )
    for length in (1_000, 10_000, 100_000):
        parts = [Part(PartKind.TEXT, "x" * length)]
        measure(f"write_answer, {length:,} characters", partial(store.write_answer, answer.id, parts))
    measure("finish_answer", lambda: store.finish_answer(answer.id, parts, MessageStatus.COMPLETE))
    measure("select_version", lambda: store.select_version(answer.id, -1))
    print(f"{'database':<42}        {path.stat().st_size / 1e6:8.2f} MB")
    database.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
