"""What can be had of a model on the hub, how it would fit this machine, and which form of it is advised.

All of it waits for the network or measures the machine: not on a window's main thread.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from hearth.errors import HearthError, HubOffline, RepositoryGated
from hearth.model_folder.manifest import GGUF
from hearth.models.catalogue import (
    CatalogueEntry,
    GenaiFolder,
    GgufFile,
    ModelNotInCatalogue,
    catalogue,
    find_in_catalogue,
)
from hearth.models.fit import REST_OF_SYSTEM_BYTES, Fit, ModelFit, Reason
from hearth.models.hub.address import page
from hearth.models.hub.choices import Choice, Format
from hearth.models.hub.patience import TEMPORARY
from hearth.models.hub.repository import NEWEST
from hearth.models.hub.search import Found
from hearth.models.names import free_name
from hearth.models.registry import ModelEntry
from hearth.models.shape import ModelShape
from hearth.quantize.recipe_file import DEFAULT_RECIPE
from hearth.services import hub
from hearth.services.hub import Wait
from hearth.services.model_fit import RECIPES, Fits
from hearth.services.model_formats import FormatAdvice, best_format
from hearth.services.model_forms import (
    AS_IT_IS,
    CONTEXT,
    OFFERED_RECIPES,
    Form,
    HubModel,
    Judged,
    ModelForms,
)

log = logging.getLogger(__name__)

SHORT_PROMPT: Final = 512
"""Tokens before an answer whose speed is measured."""

# Of the types of GGUF files, those that lose little for their size come first.
_GGUF_ORDER = ("q4_k_m", "q4_k_s", "q5_k_m", "q4_0", "q6_k", "q5_k_s", "q8_0", "q3_k_m")
_SAYS_GGUF = re.compile(r"[-_.]?gguf$", re.IGNORECASE)
_RANKS = {Fit.WELL: 0, Fit.SLOWLY: 1, Fit.NOT: 3}
_UNKNOWN_RANK = 2
_NO_ROOM, _REFUSED = 4, 8
# Of a checkpoint with 16 bits a weight, what is left of it with 4.
_LEAST_SHARE = 0.25
# Somebody watches.
_TRIES = 2


def judge(fits: Fits) -> list[Judged]:
    """Every model of the catalogue, in its order, with a conversation of CONTEXT tokens."""
    found = []
    free = fits.spec.disk_free_bytes
    for entry in catalogue():
        by_recipe = fits.of_catalogue(entry)
        recipe = min(by_recipe, key=lambda name: _RANKS[by_recipe[name].at(CONTEXT).fit])
        fit = by_recipe[recipe]
        has_room = not free or fit.disk.most <= free
        found.append(Judged(entry, recipe, fit.at(CONTEXT), has_room, fits.is_measured))
    return found


def search(words: str, fits: Fits, *, wait: Wait = lambda _seconds: None) -> list[HubModel]:
    """What the hub has for these words. Raises as `hub.search` does."""
    room = fits.spec.memory_bytes - REST_OF_SYSTEM_BYTES
    found = hub.search(words, wait=wait, tries=_TRIES)
    return [HubModel(one, bool(one.models) and _least_memory(one) > room) for one in found]


def _least_memory(found: Found) -> float:
    """What the weights alone take of the smallest model that can be had there."""
    return min(
        model.bytes * (_LEAST_SHARE if model.format is Format.CHECKPOINT else 1.0) for model in found.models
    )


def forms_of(
    source: CatalogueEntry | str, fits: Fits, taken: Collection[str], *, wait: Wait = lambda _seconds: None
) -> ModelForms:
    """What can be had of a model, or of a repository by its name.

    Args:
        taken: names and aliases of the models here.
        wait: how to spend the seconds between tries; may raise to stop.

    Raises:
        HearthError: whatever `hub.look` raises; of the other repositories that the catalogue names, one that cannot
            be looked at is left out.
    """
    entry = _entry_of(source) if isinstance(source, str) else source
    names = [(source, NEWEST)] if isinstance(source, str) else _repositories(source)
    forms: list[Form] = []
    failure: HearthError | None = None
    for name, revision in names:
        try:
            forms += _look(name, revision, entry, fits, wait)
        except (HubOffline, *TEMPORARY):
            raise
        except HearthError as error:
            log.info("%s is not offered: %s", name, error)
            failure = failure or error
    if not forms:
        raise failure or ModelNotInCatalogue(name=str(source))
    low = frozenset(name.lower() for name in taken)
    first = forms[0].repository
    about = entry is not None and entry.repository == first.name
    advised, recipe, reason = _advise(forms, fits)
    base = entry.id if entry is not None else _SAYS_GGUF.sub("", first.name.rpartition("/")[2])
    return ModelForms(
        entry=entry,
        title=entry.name if entry is not None else first.name.rpartition("/")[2],
        name=free_name(base, low),
        taken=low,
        page=page(first.name),
        licence=entry.licence if entry is not None and about else first.licence,
        licence_url=entry.licence_url if entry is not None else "",
        forms=tuple(forms),
        advised=advised,
        recipe=recipe,
        reason=reason,
        disk_free_bytes=fits.spec.disk_free_bytes,
        is_measured=fits.is_measured,
    )


def judge_forms(known: ModelForms, fits: Fits) -> ModelForms:
    """The same forms by what `fits` knows of this machine; the hub is not asked."""
    forms = []
    for form in known.forms:
        shape = next((fit.shape for fit in form.fits.values()), None)
        forms.append(replace(form, fits=_fits(form.choice, shape, fits)))
    advised, recipe, reason = _advise(forms, fits)
    return replace(
        known,
        forms=tuple(forms),
        advised=advised,
        recipe=recipe,
        reason=reason,
        disk_free_bytes=fits.spec.disk_free_bytes,
        is_measured=fits.is_measured,
    )


def expected_speed(entry: ModelEntry, fits: Fits) -> float:
    """Tokens a second that a model here should write after a short prompt; 0 where that cannot be told."""
    try:
        return fits.of_entry(entry).at(SHORT_PROMPT).write_speed
    except (HearthError, OSError) as error:
        log.info("How fast %s should be cannot be told: %s", entry.name, error)
        return 0.0


def _entry_of(name: str) -> CatalogueEntry | None:
    """The model that the catalogue has in this repository."""
    try:
        return find_in_catalogue(name)
    except ModelNotInCatalogue:
        low = name.lower()
        for entry in catalogue():
            if low in {other.repository.lower() for other in _others(entry)}:
                return entry
        return None


def _others(entry: CatalogueEntry) -> list[GgufFile | GenaiFolder]:
    return [*entry.gguf, *entry.genai]


def _repositories(entry: CatalogueEntry) -> list[tuple[str, str]]:
    """Name and revision of each repository that has the model, that of its authors first."""
    named = {entry.repository: entry.revision}
    for other in _others(entry):
        named.setdefault(other.repository, other.revision)
    return list(named.items())


def _look(name: str, revision: str, entry: CatalogueEntry | None, fits: Fits, wait: Wait) -> Iterator[Form]:
    offer = hub.look(name, revision, wait=wait, tries=_TRIES)
    refusal = hub.refusal(offer.repository, wait=wait, tries=_TRIES)
    config = None
    if refusal is None and entry is None:
        try:
            config = hub.read_config(offer.repository, wait=wait, tries=_TRIES)
        except RepositoryGated as error:
            refusal = error
        except HearthError as error:  # without it, the fit is not known
            log.info("The config.json of %s cannot be read: %s", name, error)
    shape = entry.shape if entry is not None else _shape(name, config or {})
    for choice in offer.choices:
        yield Form(offer.repository, choice, _fits(choice, shape, fits), refusal)


def _shape(name: str, config: Mapping[str, Any]) -> ModelShape | None:
    try:
        return ModelShape.of_config(config)
    except HearthError as error:
        log.info("How %s fits cannot be told: %s", name, error)
        return None


def _fits(choice: Choice, shape: ModelShape | None, fits: Fits) -> Mapping[str, ModelFit]:
    """By recipe; nothing where the shape is not known."""
    if shape is None:
        return {}
    if choice.format is Format.GGUF:
        return {AS_IT_IS: fits.of_gguf(shape, choice.bytes)}
    if choice.format is Format.CHECKPOINT:
        return {name: fits.of_checkpoint(shape, name, choice.bytes) for name in OFFERED_RECIPES}
    return {}


def _advise(forms: Sequence[Form], fits: Fits) -> tuple[Form, str, Reason | None]:
    """The form to take, its recipe, and why that format, where something speaks for one."""
    better = _better_format(forms, fits)
    speaks = better is not None and (better.is_measured or better.format == GGUF)
    advised, recipe = advise_form(forms, fits.spec.disk_free_bytes, better)
    return advised, recipe, better.reason if better is not None and speaks else None


def _better_format(forms: Sequence[Form], fits: Fits) -> FormatAdvice | None:
    """ONNX or GGUF, where the model is there as both."""
    ours = [form.fits[DEFAULT_RECIPE] for form in forms if DEFAULT_RECIPE in form.fits]
    others = [form for form in forms if form.choice.format is Format.GGUF and form.fits]
    if not ours or not others:
        return None
    other = min(others, key=lambda form: _gguf_rank(form.choice))
    return best_format(fits, ours[0], other.fits[AS_IT_IS], CONTEXT)


def advise_form(forms: Sequence[Form], free: int, better: FormatAdvice | None) -> tuple[Form, str]:
    """What fits best; of equals, what Hearth quantizes itself, and measures, comes before what others have made, unless
    the other format is `better`."""
    formats = [Format.CHECKPOINT, Format.GGUF, Format.GENAI]
    if better is not None and better.format == GGUF:
        formats = [Format.GGUF, Format.CHECKPOINT, Format.GENAI]
    every = [(form, recipe) for form in forms for recipe in form.recipes if recipe in (*RECIPES, AS_IT_IS)]

    def rank(pair: tuple[Form, str]) -> tuple[int, int, int, int]:
        form, recipe = pair
        estimate = form.estimate(recipe)
        fit = form.fits.get(recipe)
        worst = _UNKNOWN_RANK if estimate is None else _RANKS[estimate.fit]
        needed = form.choice.bytes if fit is None else fit.disk.most
        worst += _NO_ROOM if free and needed > free else 0
        worst += _REFUSED if form.refusal is not None else 0
        return worst, formats.index(form.choice.format), _gguf_rank(form.choice), every.index(pair)

    return min(every, key=rank)


def _gguf_rank(choice: Choice) -> int:
    low = choice.name.lower()
    return next((place for place, kind in enumerate(_GGUF_ORDER) if kind in low), len(_GGUF_ORDER))
