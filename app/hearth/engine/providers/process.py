"""How to start `python -m hearth.engine.providers`. No ONNX Runtime in here."""

from __future__ import annotations

from hearth.child_process import own_command


def process_command(*task: str) -> list[str]:
    """The command for a task and what belongs to it."""
    return own_command("hearth.engine.providers", "--devices", *task)
