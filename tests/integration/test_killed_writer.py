"""A process killed in the middle of an answer loses at most what it had not yet stored."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import hearth
from hearth.conversations.message import MessageStatus
from hearth.conversations.store import ConversationStore
from hearth.paths import database_file
from hearth.storage.database import Database

# Adds a question and an answer, then lets the answer grow and tells the length after each time it was stored.
WRITER = """
import sys
from hearth.conversations.message import MessageStatus, Part, PartKind, Role
from hearth.conversations.store import ConversationStore
from hearth.paths import database_file
from hearth.storage.database import Database

store = ConversationStore(Database.open(database_file()))
conversation = store.create(title="told by a child")
question = store.add_message(conversation.id, parent_id=None, role=Role.USER, parts=[Part(PartKind.TEXT, "go on")])
answer = store.add_message(
    conversation.id, parent_id=question.id, role=Role.ASSISTANT, parts=[], status=MessageStatus.STREAMING
)
print(answer.id, flush=True)
text = ""
for word in range(int(sys.argv[1])):
    text += f"word {word} " * 20
    store.write_answer(answer.id, [Part(PartKind.THINKING, "hm"), Part(PartKind.TEXT, text)])
    print(len(text), flush=True)
store.finish_answer(answer.id, [Part(PartKind.TEXT, text)], MessageStatus.COMPLETE)
"""


def writer(words: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(hearth.__file__).parents[1])}
    command = [sys.executable, "-c", WRITER, str(words)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_a_killed_answer_keeps_what_was_stored_and_is_marked_interrupted() -> None:
    moments = random.Random(7)
    for _ in range(5):
        child = writer(100_000)
        assert child.stdout is not None
        answer_id = child.stdout.readline().strip()
        child.stdout.readline()
        time.sleep(moments.uniform(0.0, 0.3))
        child.kill()
        told = [int(line) for line in child.communicate(timeout=30)[0].splitlines() if line.strip()]
        with closing(sqlite3.connect(database_file())) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        with Database.open(database_file()) as database:
            store = ConversationStore(database)
            assert store.message(answer_id).status is MessageStatus.STREAMING
            assert store.mark_interrupted() == 1
            kept = store.message(answer_id)
            assert kept.status is MessageStatus.INTERRUPTED
            # What was told was stored; the last number may have been cut off by the kill.
            assert len(kept.text) >= max(told[:-1], default=1)
            assert kept.text.startswith("word 0 " * 20)
            assert [one.text for one in store.branch(kept.conversation_id)] == ["go on", kept.text]
            assert store.mark_interrupted() == 0


def test_an_answer_that_another_running_process_writes_is_left_to_it() -> None:
    child = writer(100_000)
    assert child.stdout is not None
    answer_id = child.stdout.readline().strip()
    try:
        with Database.open(database_file()) as database:
            store = ConversationStore(database)
            assert store.mark_interrupted() == 0
            assert store.message(answer_id).status is MessageStatus.STREAMING
            child.kill()  # a zombie now: it is not waited for yet
            deadline = time.monotonic() + 30
            while store.mark_interrupted() == 0 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert store.message(answer_id).status is MessageStatus.INTERRUPTED
    finally:
        child.kill()
        child.communicate(timeout=30)


def test_two_processes_write_at_once_and_nothing_is_lost() -> None:
    children = [writer(60), writer(60)]
    for child in children:
        output = child.communicate(timeout=60)[0].split()
        assert child.returncode == 0
        with Database.open(database_file()) as database:
            answer = ConversationStore(database).message(output[0])
            assert answer.status is MessageStatus.COMPLETE
            assert len(answer.text) == int(output[-1])
