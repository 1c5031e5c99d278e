"""`kill -9` of the app in the middle of an answer."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil

from hearth.conversations.message import MessageStatus
from hearth.paths import database_file
from hearth.services.hearth import Hearth

APP = """
import os, signal, sys, threading
from pathlib import Path
from hearth.conversations.message import ConversationSettings
from hearth.services.events import AnswerGrew
from hearth.services.hearth import Hearth

hearth = Hearth.open()
model = hearth.models.import_folder(Path(sys.argv[1]), name="stories").name
worker = hearth.pool.load(model)
worker.wait_ready()
host = worker.client.pid
seen = []

def hear(event):
    if isinstance(event, AnswerGrew):
        seen.append(event.text)
        if len(seen) == 20:
            # The model is too quick to be caught by hand: hold its host in the middle of the answer.
            os.kill(host, signal.SIGSTOP)

hearth.assistant.events.subscribe(hear)
conversation = hearth.conversations.create(settings=ConversationSettings(temperature=1.0, seed=3))
worker.post(lambda: hearth.assistant.send(conversation.id, "Once upon a time", model=model))
while len(seen) < 20:
    threading.Event().wait(0.01)
# What was on the screen a second before the end.
threading.Event().wait(0.2)
print(host, conversation.id, "".join(seen).encode().hex(), flush=True)
threading.Event().wait(60)
"""


def test_the_answer_survives_its_app_and_no_host_does(stories_float32: Path) -> None:
    app = subprocess.Popen(
        [sys.executable, "-c", APP, str(stories_float32)], stdout=subprocess.PIPE, text=True
    )
    assert app.stdout is not None
    host_pid, conversation_id, shown = app.stdout.readline().split()
    host = psutil.Process(int(host_pid))
    time.sleep(1.0)
    app.kill()
    app.wait()
    app.stdout.close()
    os.kill(host.pid, signal.SIGCONT)
    psutil.wait_procs([host], timeout=10)
    assert not host.is_running() or host.status() == psutil.STATUS_ZOMBIE

    with sqlite3.connect(database_file()) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    reopened = Hearth.open()
    answer = reopened.conversations.branch(conversation_id)[1]
    assert answer.status is MessageStatus.INTERRUPTED
    assert answer.text.startswith(bytes.fromhex(shown).decode())
    reopened.close()
