"""The memory that a process has for itself: what no file backs, so that the system cannot drop it and read it again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import psutil

WATCH_SECONDS = 0.01


def private_bytes(pid: int) -> int:
    """Resident memory without mapped files; 0 where there is no such process."""
    try:
        if psutil.LINUX:
            # Not psutil's `uss`: weights mapped by one process only would count in it.
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
            parts = re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+) kB$", status, flags=re.MULTILINE)
            return sum(map(int, parts)) * 1024
        return int(psutil.Process(pid).memory_full_info().uss)
    except (OSError, psutil.Error):
        return 0


class Peak:
    """The most private memory of one process while somebody watches."""

    def __init__(self) -> None:
        self.bytes = 0

    @contextmanager
    def watch(self, pid: Callable[[], int]) -> Iterator[None]:
        """Look every few milliseconds at the process that is there then.

        It costs the machine a little, so never while time counts.
        """
        done = Event()

        def look() -> None:
            while True:
                self.bytes = max(self.bytes, private_bytes(pid()))
                if done.wait(WATCH_SECONDS):
                    return

        thread = Thread(target=look, name="memory watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self.bytes = max(self.bytes, private_bytes(pid()))
