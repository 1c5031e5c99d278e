"""Names of models: also folder names on every system, so the strictest system decides."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from hearth.errors import ModelNameInvalid

MAX_LENGTH = 64

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
RESERVED_ON_WINDOWS = {"con", "prn", "aux", "nul"} | {
    f"{port}{n}" for port in ("com", "lpt") for n in range(10)
}

# Folder names that say how a model is stored and not which one it is.
_SAYS_HOW = re.compile(
    r"((fp|bf|float|int|uint)\d+|(cpu|gpu|cuda|directml|mobile|onnx|models?)([-_].*)?)", re.IGNORECASE
)
# Folders of a Hugging Face cache: snapshots/<commit>.
_SAYS_NOTHING = re.compile(r"snapshots|[0-9a-f]{40}")


def check_name(name: str) -> None:
    """Raise ModelNameInvalid for a name that cannot be used."""
    if not is_name(name):
        raise ModelNameInvalid(name=name, suggestion=clean_name(name))


def is_name(name: str) -> bool:
    """Whether `name` can name a model."""
    # Windows drops a dot at the end and keeps "con.anything" for its devices.
    return (
        bool(_NAME.fullmatch(name))
        and not name.endswith(".")
        and name.split(".", maxsplit=1)[0] not in RESERVED_ON_WINDOWS
    )


def clean_name(text: str) -> str:
    """The valid name that is nearest to `text`."""
    name = re.sub(r"[^a-z0-9._-]+", "-", text.lower())
    name = re.sub(r"-{2,}", "-", name).strip("-._")[:MAX_LENGTH].rstrip("-._")
    if not name:
        return "model"
    return name if is_name(name) else f"model-{name}"[:MAX_LENGTH].rstrip("-._")


def suggest_name(folder: Path, taken: Collection[str]) -> str:
    """A free name for the model in `folder`, from the part of its path that says which model it is."""
    parts: list[str] = []
    for part in reversed(folder.parts[1:]):
        if not _SAYS_NOTHING.fullmatch(part):
            parts.insert(0, part.removeprefix("models--"))
            if not _SAYS_HOW.fullmatch(part) or part.startswith("models--"):
                break
    return free_name("-".join(parts), taken)


def free_name(text: str, taken: Collection[str]) -> str:
    """The valid name nearest to `text` that is not taken."""
    base = clean_name(text)
    name, number = base, 1
    while name in taken:
        number += 1
        ending = f"-{number}"
        name = base[: MAX_LENGTH - len(ending)].rstrip("-._") + ending
    return name
