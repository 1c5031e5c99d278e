"""Children: what they find in their environment, and what goes over the lines between them and their caller."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

import hearth
from hearth.child_process import ChildProcess, answer_of, child_environment
from hearth.errors import DiskFull

HERE = str(Path(hearth.__file__).parents[1])


class Job(msgspec.Struct):
    """For a child of these tests: what it shall do."""

    what: str


class Done(msgspec.Struct, tag="done"):
    """Its answer."""

    text: str


CHILD = """
import os, sys
import msgspec
from hearth.child_process import Caller, Failed
from hearth.errors import DiskFull

class Job(msgspec.Struct):
    what: str

class Done(msgspec.Struct, tag="done"):
    text: str

def work():
    if job.what == "fail":
        raise DiskFull(path="here")
    caller.tell(Done("first"))
    if job.what == "wait":
        import time
        time.sleep(600)
    print("what native code prints", flush=True)
    caller.tell(Done(os.environ["ORT_DISABLE_TELEMETRY"]))

caller = Caller()
job = caller.job(Job)
caller.end_with_it()
code = caller.answer(work)
os._exit(code)
"""


def child(what: str, log_file: Path | None = None) -> ChildProcess[Done]:
    return ChildProcess([sys.executable, "-P", "-c", CHILD], Job(what), Done, log_file)


def test_a_child_sends_no_telemetry_and_imports_hearth_from_where_it_is_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/more", HERE]))
    environment = child_environment()
    assert environment["ORT_DISABLE_TELEMETRY"] == "1"
    assert environment["PYTHONPATH"] == os.pathsep.join([HERE, "/more"])  # once, however deep its callers are
    monkeypatch.delenv("PYTHONPATH")
    assert child_environment()["PYTHONPATH"] == HERE


def test_its_lines_come_one_by_one_and_what_else_is_printed_goes_to_the_log(tmp_path: Path) -> None:
    log_file = tmp_path / "logs" / "log"
    with child("work", log_file) as process:
        assert [message.text for message in process.messages()] == ["first", "1"]
        assert process.exit_code() == 0
    assert "what native code prints" in log_file.read_text("utf-8")


def test_what_it_cannot_do_is_raised_here() -> None:
    with child("fail") as process, pytest.raises(DiskFull, match="here"):
        list(process.messages())


def test_closing_ends_it(tmp_path: Path) -> None:
    with child("wait") as process:
        assert next(process.messages()).text == "first"
    assert not psutil.pid_exists(process.pid)


def test_a_child_whose_answer_nobody_wants_any_more_is_ended(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    waits = "import os, sys, time; open(sys.argv[1], 'w').write(f'{os.getpid()}.'); time.sleep(600)"

    def has_begun() -> bool:
        return note.exists() and note.read_text().endswith(".")

    with pytest.raises(subprocess.TimeoutExpired):
        answer_of([sys.executable, "-c", waits, str(note)], 600, cancelled=has_begun)
    assert not psutil.pid_exists(int(note.read_text().rstrip(".")))


def test_a_child_that_fails_or_takes_too_long_has_no_answer() -> None:
    assert answer_of([sys.executable, "-c", "print('x' * 10**6)"], 600).strip() == b"x" * 10**6
    with pytest.raises(subprocess.CalledProcessError, match="status 3"):
        answer_of([sys.executable, "-c", "raise SystemExit(3)"], 600)
    with pytest.raises(subprocess.TimeoutExpired, match=r"after 0\.01 seconds"):
        answer_of([sys.executable, "-c", "import time; time.sleep(600)"], 0.01)


def test_a_child_that_is_killed_has_no_more_to_say() -> None:
    with child("wait") as process:
        messages = process.messages()
        next(messages)
        psutil.Process(process.pid).kill()
        assert list(messages) == []
        assert process.exit_code() != 0
