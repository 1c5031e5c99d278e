"""Small disks of memory, full or read-only, for tests of what happens there; only root may make them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A disk of `size` bytes at `folder`, which is made. Skips the test where this user may not mount one."""
    folder.mkdir()
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a small disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def make_read_only(folder: Path) -> None:
    """From now on nothing can be written to a small disk."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def make_writable(folder: Path) -> None:
    """Undo `make_read_only`."""
    subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)


def leave_no_room(folder: Path) -> None:
    """From now on a small disk takes nothing more than it holds."""
    while True:
        disk = os.statvfs(folder)
        used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
        command = ["mount", "-o", f"remount,size={used}", str(folder)]
        if not subprocess.run(command, capture_output=True, check=False).returncode:
            return  # else somebody has written meanwhile


def enlarge(folder: Path, size: int) -> None:
    """From now on a small disk has `size` bytes."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)
