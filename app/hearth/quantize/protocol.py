"""What the process that quantizes and its caller say to each other: lines of JSON. No numpy in here."""

from __future__ import annotations

import msgspec

from hearth.quantize.recipe import Recipe


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Build this model.

    Attributes:
        source: the checkpoint's folder.
        work: the folder to work in; its subfolder `model` becomes the model.
        memory_bytes: what may be taken now.
        note_seconds: between two notes of what is done; 0 is as usual.
    """

    name: str
    source: str
    work: str
    recipe: Recipe
    threads: int
    memory_bytes: int
    language: str
    note_seconds: float = 0


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """How far it is; sent several times a second.

    Attributes:
        done, total: in numbers of the checkpoint.
        seconds_left: None where that cannot be told yet.
    """

    done: int
    total: int
    seconds_left: float | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """The model is whole, and on the disk.

    Attributes:
        seconds: since the process started.
        recipe: with every choice made.
        key: of what was built; see `builder.Plan.key`.
    """

    seconds: float
    recipe: Recipe
    key: str
