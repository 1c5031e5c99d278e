"""The forms in which a model can be had from the hub, and how each would fit this machine; `model_advice.py` finds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hearth.errors import HearthError
from hearth.models.catalogue import CatalogueEntry
from hearth.models.fit import Estimate, Fit, ModelFit, Reason
from hearth.models.hub.choices import Choice, Format
from hearth.models.hub.repository import Repository
from hearth.quantize.recipe_file import DEFAULT_RECIPE

if TYPE_CHECKING:
    from hearth.models.hub.search import Found

AS_IT_IS: Final = ""
"""In the place of a recipe: nothing is quantized here."""
OFFERED_RECIPES: Final = (DEFAULT_RECIPE, "small", "quality", "int8")
CONTEXT: Final = 4096
"""Tokens of the conversation that verdicts are for."""

QUICK: Final = 10.0
"""Tokens a second that nobody waits for."""


@dataclass(frozen=True, slots=True)
class Form:
    """One way to have a model.

    Attributes:
        repository, choice: what would be fetched.
        fits: by recipe, or under AS_IT_IS; empty where that can only be told once the files are here.
        refusal: why the hub does not give it to this user; None where it does.
    """

    repository: Repository
    choice: Choice
    fits: Mapping[str, ModelFit]
    refusal: HearthError | None = None

    @property
    def recipes(self) -> tuple[str, ...]:
        """What it can be quantized with; AS_IT_IS alone where that is done already."""
        return OFFERED_RECIPES if self.choice.format is Format.CHECKPOINT else (AS_IT_IS,)

    def estimate(self, recipe: str, context: int = CONTEXT) -> Estimate | None:
        """How it would fit; None where that is not known."""
        fit = self.fits.get(recipe)
        return None if fit is None else fit.at(context)


@dataclass(frozen=True, slots=True)
class ModelForms:
    """A model, and the forms that it can be had in.

    Attributes:
        entry: of the catalogue; None for a model that it does not have.
        title: what people call it.
        name: a free one for it in Hearth.
        taken: names and aliases in use, in small letters.
        page: where the hub describes it.
        licence_url: of a licence that is known by more than its name; may be empty.
        forms: at least one.
        advised, recipe: the form for this machine, and what it would best be quantized with.
        reason: why ONNX or GGUF, in a sentence; None where there is no choice, or nothing that speaks for one.
        disk_free_bytes: where models are kept; 0 where that is not known.
        is_measured: this machine's speeds are in the fits, as far as they can be; else they are still to be measured.
    """

    entry: CatalogueEntry | None
    title: str
    name: str
    taken: frozenset[str]
    page: str
    licence: str
    licence_url: str
    forms: tuple[Form, ...]
    advised: Form
    recipe: str
    reason: Reason | None
    disk_free_bytes: int
    is_measured: bool


@dataclass(frozen=True, slots=True)
class HubModel:
    """A repository that a search has found.

    Attributes:
        is_too_large: nothing that it has fits this machine, whatever is made of it.
    """

    found: Found
    is_too_large: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """A model of the catalogue on this machine.

    Attributes:
        recipe: the one that fits best.
        has_room: whether the disk could take it.
        is_measured: as in `ModelForms`.
    """

    entry: CatalogueEntry
    recipe: str
    estimate: Estimate
    has_room: bool
    is_measured: bool


def recommended(judged: Sequence[Judged]) -> CatalogueEntry | None:
    """What a newcomer should begin with: the largest of the first choices that is quick here, else the largest that
    runs well; None where none does."""
    running = [
        one
        for one in judged
        if one.entry.first_choice and one.estimate.fit is Fit.WELL and one.has_room and not one.entry.gated
    ]
    quick = [one for one in running if not 0 < one.estimate.write_speed < QUICK]
    return max((one.entry for one in quick or running), key=lambda entry: entry.parameters, default=None)
