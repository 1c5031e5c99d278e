"""A file or folder shown in the system's file manager."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hearth.errors import FileManagerMissing, ModelFolderMissing

_SECONDS = 10


def reveal(path: Path) -> None:
    """Open the file manager where `path` lies, with `path` chosen where the system can do that. No shell sees the path.

    Blocks until the file manager has been asked.

    Raises:
        ModelFolderMissing: it is not there.
        FileManagerMissing: nothing answers.
    """
    if not path.exists():
        raise ModelFolderMissing(path=str(path))
    if not any(_run(command) for command in commands(path, sys.platform)):
        raise FileManagerMissing(path=str(path))


def commands(path: Path, system: str) -> list[Sequence[str] | str]:
    """What to try, best first, on a system as `sys.platform` spells it."""
    if system == "win32":
        # One string, which goes to the program as it is: Explorer wants quotes around the path alone, and a Windows
        # path has none. Explorer says that it failed whatever it did, so nothing is tried after it.
        return [f'explorer.exe /select,"{path}"']
    if system == "darwin":
        return [["open", "-R", str(path)]]
    show = ["dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.FileManager1"]
    show += ["/org/freedesktop/FileManager1", "org.freedesktop.FileManager1.ShowItems"]
    # Commas would part the entries of an array, and are escaped in an address.
    show += [f"array:string:{path.as_uri()}", "string:"]
    return [show, ["xdg-open", str(path if path.is_dir() else path.parent)]]


def _run(command: Sequence[str] | str) -> bool:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True  # it is there, and slow
    except OSError:
        return False
    return done.returncode == 0 or isinstance(command, str)
