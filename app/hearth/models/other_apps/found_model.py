"""A model that another app keeps on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from hearth.models.other_apps.places import Places


class Format(StrEnum):
    """What its files are, and so what Hearth can do with them where they lie."""

    GGUF = "gguf"
    GENAI = "onnxruntime-genai"
    CHECKPOINT = "checkpoint"  # unquantized: `hearth quantize` makes a model of it


@dataclass(frozen=True, slots=True)
class FoundModel:
    """One model of another app. Nobody vouches for any of this: names and texts are the files' own.

    Attributes:
        app: the id of the app.
        name: what the app calls it; printable, and unique within the app.
        good_name: what to call it in Hearth; a valid name, though it may be taken.
        path: its file for GGUF (the first of several), else its folder.
        bytes: of all its files.
        kind: the architecture of a checkpoint, as its `model_type`.
        licence: a short name or the first line of its text; empty where the app does not tell.
        source: where the app has it from, such as a repository; may be empty.
        revision: of the source; may be empty.
        template: its prompt template in the app's own language.
        sampling: what its maker recommends, by key of the settings file's `[defaults]`.
    """

    app: str
    name: str
    good_name: str
    path: Path
    format: Format
    bytes: int
    kind: str = ""
    licence: str = ""
    source: str = ""
    revision: str = ""
    template: str = ""
    system_prompt: str = ""
    sampling: dict[str, float] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """What names it among all that were found."""
        return f"{self.app}/{self.name}"


class OtherApp(Protocol):
    """An app whose models Hearth can find.

    Attributes:
        id: short, for references.
        title: its name.
    """

    id: str
    title: str

    def find(self, places: Places) -> Iterator[FoundModel]:
        """Its models on this machine; what cannot be read or understood is left out."""
