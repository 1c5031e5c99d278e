"""The catalogue: models that Hearth knows by name, and where each of their forms is on the Hugging Face hub.

It lies in `resources/catalogue.toml`, where a person reads and reviews it. Nothing here reaches the network.
"""

from __future__ import annotations

import functools
from typing import Annotated

import msgspec
from msgspec import Meta

from hearth.errors import HearthError
from hearth.i18n import language, mark, tr
from hearth.models.shape import ModelShape
from hearth.paths import resource

_Repository = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")]
_Text = Annotated[str, Meta(min_length=1)]
_Bytes = Annotated[int, Meta(ge=1, le=1 << 50)]

USES = {
    "general": mark("general"),
    "small": mark("small"),
    "code": mark("code"),
    "chinese": mark("Chinese"),
    "multilingual": mark("many languages"),
    "reasoning": mark("reasoning"),
}
"""What a model may be for, and how that is called."""


class ModelNotInCatalogue(HearthError):
    code = "model_not_in_catalogue"
    what = mark("The catalogue has no model “{name}”.")
    remedy = mark("See “hearth models catalogue” for those it has.")


class GgufFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model as one GGUF file.

    Attributes:
        bytes: rounded to three digits.
    """

    repository: _Repository
    revision: _Text
    file: Annotated[str, Meta(pattern=r"^[\w./-]+\.gguf$")]
    bytes: _Bytes


class GenaiFolder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model as a folder in onnxruntime-genai's format.

    Attributes:
        folder: in the repository; empty where it is the repository itself.
        bytes: rounded to three digits.
    """

    repository: _Repository
    revision: _Text
    folder: str = ""
    bytes: _Bytes


class CatalogueEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model.

    Attributes:
        id: what it is called on the command line; also a good name for the model here.
        repository, revision: of its checkpoint in safetensors, which Hearth quantizes.
        licence: an SPDX identifier, or the licence's own name.
        licence_url: where it is, for one that SPDX does not know.
        gated: whether the checkpoint is given only to who has agreed to its licence on the hub.
        parameters: weights of the text model.
        checkpoint_bytes: of the checkpoint's files, rounded to three digits.
        first_choice: what people are advised to begin with, where it runs well: the best of its size.
        uses: keys of USES, the first the most fitting.
        languages: that it is good at, as ISO 639-1 codes.
        good_at: a plain sentence in each language of Hearth.
        gguf, genai: the same model in other formats; may be empty.
    """

    id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    name: _Text
    repository: _Repository
    revision: _Text
    licence: _Text
    licence_url: str = ""
    gated: bool = False
    parameters: Annotated[int, Meta(ge=1)]
    checkpoint_bytes: _Bytes
    first_choice: bool = False
    uses: Annotated[tuple[str, ...], Meta(min_length=1)]
    languages: Annotated[tuple[Annotated[str, Meta(pattern=r"^[a-z]{2}$")], ...], Meta(min_length=1)]
    good_at: dict[str, _Text]
    shape: ModelShape
    gguf: tuple[GgufFile, ...] = ()
    genai: tuple[GenaiFolder, ...] = ()

    @property
    def good_at_text(self) -> str:
        """What it is good at, in the reader's language."""
        return self.good_at.get(language()) or self.good_at["en"]

    @property
    def uses_text(self) -> str:
        """What it is for, in a few words of the reader's language."""
        return tr(", ").join(tr(USES[use]) for use in self.uses)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    models: tuple[CatalogueEntry, ...]


@functools.cache
def catalogue() -> tuple[CatalogueEntry, ...]:
    """Every entry, in the order of the file."""
    return msgspec.toml.decode(resource("catalogue.toml").read_bytes(), type=_File).models


def find_in_catalogue(name: str) -> CatalogueEntry:
    """The entry with this id or repository, ignoring case.

    Raises:
        ModelNotInCatalogue: there is none.
    """
    wanted = name.lower()
    for entry in catalogue():
        if wanted in (entry.id, entry.repository.lower()):
            return entry
    raise ModelNotInCatalogue(name=name)
