"""A model as the wizard lists it: from the catalogue, or from a search on the hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from PySide6.QtCore import QLocale

from hearth.i18n import mark, ntr, tr
from hearth.models.catalogue import CatalogueEntry
from hearth.models.fit import Estimate, Fit
from hearth.models.hub.choices import Format
from hearth.services.model_forms import QUICK, HubModel, Judged
from hearth.ui.wording import memory_text, size_text, speed_text

VERDICTS = {Fit.WELL: mark("Runs well"), Fit.SLOWLY: mark("Runs slowly"), Fit.NOT: mark("Does not fit")}
VERDICT_ICONS = {Fit.WELL: "check", Fit.SLOWLY: "warning", Fit.NOT: "close"}
VERDICT_COLOURS = {Fit.WELL: "success", Fit.SLOWLY: "accent", Fit.NOT: "text_faint"}
_BILLION = 10**9
_RANKS = {Fit.WELL: 0, Fit.SLOWLY: 1, Fit.NOT: 2}
_FORMATS = {
    Format.CHECKPOINT: mark("the original, to be compressed here"),
    Format.GENAI: mark("ready-made folders (ONNX)"),
}


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One row.

    Attributes:
        source: an entry of the catalogue, or the name of a repository.
        badge: a word beside the title; may be empty.
        fit, verdict: how it fits this machine, and in words; None and empty while that is not known.
        about: what it is good at, or what there is of it.
        facts: its figures, in one quiet line.
    """

    source: CatalogueEntry | str
    title: str
    about: str
    facts: str
    badge: str = ""
    fit: Fit | None = None
    verdict: str = ""

    @property
    def spoken(self) -> str:
        """What a screen reader says."""
        return ". ".join(
            part for part in (self.title, self.badge, self.verdict, self.about, self.facts) if part
        )


def listed_entry(entry: CatalogueEntry, judged: Judged | None, *, is_recommended: bool) -> ListedModel:
    """An entry of the catalogue; `judged`: None while this machine is not known."""
    facts = [parameters_text(entry.parameters), entry.licence]
    if entry.gated:
        facts[1] = tr("{text} ({detail})", text=entry.licence, detail=tr("to be agreed to"))
    fit, verdict = None, ""
    if judged is not None:
        estimate = judged.estimate
        fit = verdict_of(estimate, is_measured=judged.is_measured)
        verdict = "" if fit is None else verdict_text(fit)
        if fit is not Fit.NOT and not judged.has_room:
            fit, verdict = Fit.NOT, tr("No room on the disk")
        facts.append(tr("takes {size} of memory", size=memory_text(estimate.memory.model)))
        if estimate.write_speed:
            facts.append(tr("about {n} tokens a second", n=speed_text(estimate.write_speed)))
    return ListedModel(
        source=entry,
        title=entry.name,
        about=entry.good_at_text,
        facts=" · ".join(facts),
        badge=tr("Recommended for this machine") if is_recommended else "",
        fit=fit,
        verdict=verdict,
    )


def verdict_of(estimate: Estimate, *, is_measured: bool) -> Fit | None:
    """None where there is memory enough, and speeds that are still to be measured decide."""
    return None if estimate.fit is Fit.WELL and not is_measured else estimate.fit


def verdict_text(fit: Fit | None) -> str:
    """The verdict in words."""
    return tr("Fits") if fit is None else tr(VERDICTS[fit])


def listed_found(model: HubModel) -> ListedModel:
    """A repository that a search has found."""
    found = model.found
    facts = [ntr("{n} download in a month", "{n} downloads in a month", found.downloads)]
    if found.gated:
        facts.append(tr("its licence is to be agreed to"))
    texts = [
        tr(_FORMATS[format_]) for format_ in (Format.CHECKPOINT, Format.GENAI) if format_ in found.formats
    ]
    if Format.GGUF in found.formats:
        texts.append(_gguf_text([model.bytes for model in found.models if model.format is Format.GGUF]))
    about = tr("; ").join(texts)
    return ListedModel(
        source=found.repository,
        title=found.repository,
        about=about[:1].upper() + about[1:],
        facts=" · ".join(facts),
        fit=Fit.NOT if model.is_too_large else None,
        verdict=tr(VERDICTS[Fit.NOT]) if model.is_too_large else "",
    )


def best_first(
    judged: Mapping[str, Judged], entries: list[CatalogueEntry], recommended: CatalogueEntry | None
) -> list[CatalogueEntry]:
    """The recommended one, then what is quick here, the largest first, then the others, the fastest first."""

    def rank(entry: CatalogueEntry) -> tuple[bool, int, bool, float]:
        one = judged[entry.id]
        fit = one.estimate.fit if one.has_room else Fit.NOT
        speed = one.estimate.write_speed
        is_quick = fit is Fit.WELL and not 0 < speed < QUICK
        return entry is not recommended, _RANKS[fit], not is_quick, -entry.parameters if is_quick else -speed

    return sorted(entries, key=rank)


def parameters_text(parameters: int) -> str:
    """Such as “4 billion parameters”."""
    if parameters < _BILLION:
        return tr("{n} million parameters", n=_number(parameters / 1e6))
    return tr("{n} billion parameters", n=_number(parameters / 1e9))


def _number(value: float) -> str:
    """No more exact than needed."""
    number = QLocale().toString(value, "f", 2 if value < 1 else 1 if value < 10 else 0)
    point = QLocale().decimalPoint()
    return number.rstrip("0").rstrip(point) if point in number else number


def _gguf_text(sizes: list[int]) -> str:
    if not sizes:
        return tr("ready-made files (GGUF)")
    if len(sizes) == 1:
        return tr("a ready-made file of {size} (GGUF)", size=size_text(sizes[0]))
    return tr(
        "{n} GGUF files of {low} to {high}",
        n=len(sizes),
        low=size_text(min(sizes)),
        high=size_text(max(sizes)),
    )
