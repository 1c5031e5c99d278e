"""Folders that one process works in: half-made copies and removed models.

Each is named after the process that owns it, so that the next start can tell what a killed process left behind from
what another Hearth is using at this moment.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

import psutil

from hearth.errors import writing_failed

# Of the models' folder: what is being quantized. It belongs to no process, since a later one goes on with it.
QUANTIZING = ".quantizing"
# What was fetched to be quantized, what is on its way, and what shall become models of it.
CHECKPOINTS = ".checkpoints"
DOWNLOADS = ".downloads"
INSTALLS = ".installs"
# Is held while a manifest is changed.
CHANGING = ".changing"


class Workspace:
    """A folder of such folders."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._own = _owner(os.getpid())

    def new(self) -> Path:
        """A fresh folder that belongs to this process.

        Raises:
            DiskFull, HomeUnwritable: it cannot be made.
        """
        folder = self._root / f"{self._own}.{secrets.token_hex(8)}"
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise writing_failed(self._root, error) from error
        return folder

    def sweep(self) -> None:
        """Delete what processes that are gone left behind; what cannot be deleted now waits for the next time."""
        for folder in self._folders():
            if not _is_alive(folder.name):
                shutil.rmtree(folder, ignore_errors=True)

    def clear(self) -> None:
        """Delete what belongs to this process."""
        for folder in self._folders():
            if folder.name.startswith(f"{self._own}."):
                shutil.rmtree(folder, ignore_errors=True)

    def _folders(self) -> list[Path]:
        try:
            return list(self._root.iterdir())
        except OSError:  # not made yet, or not to be read: nothing to clean up
            return []


def _owner(pid: int) -> str:
    """A name for a process that a later one with the same id does not share."""
    return f"{pid}.{int(psutil.Process(pid).create_time() * 100)}"


def _is_alive(folder_name: str) -> bool:
    pid, _, _ = folder_name.partition(".")
    try:
        return folder_name.startswith(f"{_owner(int(pid))}.")
    except (ValueError, OverflowError, psutil.NoSuchProcess):
        return False
    except psutil.AccessDenied:  # another user's process has that id; whether it is the owner cannot be told
        return True
