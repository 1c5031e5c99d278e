"""What lies in a models folder before and after a move."""

from __future__ import annotations

from pathlib import Path

from hearth.services.hearth import Hearth

MODELS = ("one", "two")


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != ".changing"
    }


def check_models(opened: Hearth, root: Path) -> None:
    """All models are whole in `root`, and nothing half-made lies beside them."""
    assert opened.models.root == root
    assert [(entry.name, entry.path) for entry in opened.models.list()] == [(n, root / n) for n in MODELS]
    assert opened.models.get("zwei").name == "two"
    for name in MODELS:
        opened.models.verify(name)
    assert not (root / ".moving").exists()
