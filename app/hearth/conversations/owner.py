"""Which process writes an answer, so that a later one can tell that nobody does any more."""

from __future__ import annotations

import os

import psutil

_CLOCK_SECONDS = 2.0  # a start time is computed from the system clock, which may be set a little meanwhile


def this_process() -> str:
    """This process as `pid:start time`; a process id alone is used again by the system."""
    return f"{os.getpid()}:{psutil.Process().create_time():.2f}"


def is_running(owner: str) -> bool:
    """Whether the process of `owner` still runs; a zombie does not."""
    pid, _, started = owner.partition(":")
    try:
        process = psutil.Process(int(pid))
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return abs(process.create_time() - float(started)) < _CLOCK_SECONDS
    except psutil.AccessDenied:
        return True  # somebody's process has that id: never take an answer from one that may be writing it
    except (psutil.NoSuchProcess, ValueError):
        return False
