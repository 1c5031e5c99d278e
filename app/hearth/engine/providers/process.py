"""How to start `python -m hearth.engine.providers`. No ONNX Runtime in here."""

from __future__ import annotations

import sys


def process_command(*task: str) -> list[str]:
    """The command for a task and what belongs to it; the packaged app is its own interpreter."""
    if getattr(sys, "frozen", False):
        return [sys.executable, "--devices", *task]
    # -P: the folder that one happens to stand in is no place to import from.
    return [sys.executable, "-P", "-m", "hearth.engine.providers", *task]
