"""`hearth models fit` and `hearth models catalogue`: what this machine can run, before anything is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from hearth.cli.options import Json
from hearth.cli.output import note, size_text, status, write, write_json, write_pairs, write_table
from hearth.errors import CommandInvalid, ModelNotFound
from hearth.i18n import mark, tr

if TYPE_CHECKING:
    from hearth.models.fit import Advice, Estimate, ModelFit
    from hearth.services.model_fit import Fits
    from hearth.services.model_formats import FormatAdvice

_COMMAND = "hearth models fit"
_CONFIG, _GENAI_CONFIG = "config.json", "genai_config.json"
_CONFIG_MAX_BYTES = 16 << 20
_AS_IT_IS = ""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate as `--json` gives it: bytes, and tokens a second."""

    context: int
    weights: int
    kv_cache: int
    working: int
    rest_of_system: int
    total: int
    weights_are_mapped: bool
    write_speed: float
    read_speed: float
    fit: str
    reason: str

    @classmethod
    def of(cls, estimate: Estimate) -> Figures:
        memory = estimate.memory
        return cls(
            context=estimate.context,
            weights=memory.weights,
            kv_cache=memory.kv,
            working=memory.working,
            rest_of_system=memory.rest,
            total=memory.total,
            weights_are_mapped=memory.is_mapped,
            write_speed=round(estimate.write_speed, 2),
            read_speed=round(estimate.read_speed, 2),
            fit=estimate.fit,
            reason=str(estimate.reason),
        )


def fit(
    model: Annotated[
        str,
        typer.Argument(
            metavar=tr("MODEL"),
            help=tr(
                "A model here, one of the catalogue, a GGUF file, or the folder of a model or checkpoint."
            ),
        ),
    ],
    context: Annotated[
        str, typer.Option(metavar=tr("NUMBERS"), help=tr("Tokens of a conversation, with commas between."))
    ] = "2048,4096,8192",
    recipe: Annotated[
        str,
        typer.Option(metavar=tr("NAME_OR_FILE"), help=tr("How it would be quantized, where it is not yet.")),
    ] = "balanced",
    json: Json = False,
) -> None:
    """Write the estimate, and what would fit better."""
    from hearth.config import load_config
    from hearth.models.fit import advise, contexts_up_to
    from hearth.services.model_fit import Fits
    from hearth.services.model_formats import best_format

    wanted = _contexts(context)
    with status(tr("Measuring this machine…")):
        fits = Fits.open(load_config())
    choices = _choices(fits, model, recipe)
    name = next(iter(choices))
    chosen = choices[name]
    estimates = [chosen.at(each) for each in contexts_up_to(chosen.shape.context, wanted)]
    advice = advise(choices, name, estimates[-1].context)
    as_gguf = _as_gguf(fits, model) if name else None
    best = best_format(fits, chosen, as_gguf, estimates[-1].context) if as_gguf is not None else None
    if json:
        write_json(_summary(model, name, chosen, estimates, advice, as_gguf, best))
        return
    _write(fits, chosen, name, estimates)
    if as_gguf is not None and best is not None:
        write("")
        in_gguf = as_gguf.at(estimates[-1].context)
        size = size_text(as_gguf.disk.model)
        write(
            tr("In GGUF ({size}), {n} tokens: {reason}.", size=size, n=in_gguf.context, reason=in_gguf.reason)
        )
        write(str(best.reason))
    if advice is not None:
        write("")
        template = mark("Better: a conversation of {n} tokens: {reason}.")
        if advice.recipe:
            template = mark("Better: the recipe “{recipe}” with {n} tokens: {reason}.")
        write(tr(template, recipe=advice.recipe, n=advice.context, reason=advice.estimate.reason))


def _summary(
    model: str,
    recipe: str,
    chosen: ModelFit,
    estimates: list[Estimate],
    advice: Advice | None,
    as_gguf: ModelFit | None,
    best: FormatAdvice | None,
) -> dict[str, Any]:
    """The whole answer, as `--json` gives it."""
    return {
        "model": model,
        "recipe": recipe or None,
        "download_bytes": chosen.disk.download,
        "disk_bytes": chosen.disk.model + chosen.disk.packed,
        "disk_bytes_meanwhile": chosen.disk.most,
        "estimates": [Figures.of(estimate) for estimate in estimates],
        "advice": advice and {"recipe": advice.recipe or None, **_builtins(Figures.of(advice.estimate))},
        "gguf": as_gguf
        and {
            "download_bytes": as_gguf.disk.model,
            "estimates": [Figures.of(as_gguf.at(each.context)) for each in estimates],
        },
        "format": best and {"advised": best.format, "reason": str(best.reason)},
    }


def _write(fits: Fits, chosen: ModelFit, recipe: str, estimates: list[Estimate]) -> None:
    from hearth.models.fit import FIT_TEXTS, memory_text, speed_text

    disk = chosen.disk
    pairs = [(tr("Recipe"), recipe)] if recipe else []
    if disk.download:
        pairs.append((tr("Download"), size_text(disk.download)))
    on_disk = size_text(disk.model + disk.packed)
    if disk.most > disk.model + disk.packed:
        on_disk = tr(
            "{text} ({detail})", text=on_disk, detail=tr("{size} meanwhile", size=size_text(disk.most))
        )
    pairs += [
        (tr("On the disk"), on_disk),
        (tr("Free there"), size_text(fits.spec.disk_free_bytes)),
        (tr("Memory here"), memory_text(fits.spec.memory_bytes)),
    ]
    write_pairs(pairs)
    if disk.most > fits.spec.disk_free_bytes:
        note(tr("The disk has not enough room for it."))
    write("")
    headers = (
        tr("TOKENS"),
        tr("WEIGHTS"),
        tr("CONVERSATION"),
        tr("WORK"),
        tr("IN ALL"),
        tr("READS"),
        tr("WRITES"),
        "",
    )
    rows = [
        (
            str(each.context),
            *(
                memory_text(size)
                for size in (each.memory.weights, each.memory.kv, each.memory.working, each.memory.model)
            ),
            *(
                tr("{n} tokens/s", n=speed_text(speed)) if speed else ""
                for speed in (each.read_speed, each.write_speed)
            ),
            tr(FIT_TEXTS[each.fit]),
        )
        for each in estimates
    ]
    write_table(headers, rows)
    write("")
    for each in estimates:
        write(tr("{n} tokens: {reason}.", n=each.context, reason=each.reason))
    available = fits.spec.available_bytes
    if available and estimates[0].memory.private > available:
        note(tr("Only {size} are free now: close other programs first.", size=memory_text(available)))


def catalogue(json: Json = False) -> None:
    """Write every entry."""
    from hearth.models.catalogue import catalogue as entries

    if json:
        write_json([{**_builtins(entry), "good_at": entry.good_at_text} for entry in entries()])
        return
    rows = [
        (
            entry.id,
            size_text(entry.checkpoint_bytes),
            tr("{text} ({detail})", text=entry.licence, detail=tr("to be agreed to"))
            if entry.gated
            else entry.licence,
            entry.good_at_text,
        )
        for entry in entries()
    ]
    write_table((tr("NAME"), tr("DOWNLOAD"), tr("LICENCE"), tr("GOOD AT")), rows)


def _choices(fits: Fits, model: str, recipe: str) -> Mapping[str, ModelFit]:
    """The model in the form that it has or would have, and after it those that could be had instead."""
    from hearth.cli.opening import open_models
    from hearth.model_folder.folder import ModelFolder
    from hearth.model_folder.gguf_file import read_gguf
    from hearth.model_folder.json_file import read_json
    from hearth.models.catalogue import ModelNotInCatalogue, find_in_catalogue
    from hearth.quantize.recipe_file import load_recipe

    with open_models() as registry:
        try:
            entry = registry.get(model)
            return {_AS_IT_IS: fits.of_entry(entry)}
        except ModelNotFound as error:
            missing = error
    path = Path(model)
    if path.is_file():
        return {_AS_IT_IS: fits.of_gguf_file(read_gguf(path))}
    if (path / _GENAI_CONFIG).is_file():
        return {_AS_IT_IS: fits.of_folder(ModelFolder.open(path.resolve()))}
    if (path / _CONFIG).is_file():
        config = read_json(path / _CONFIG, dict[str, Any], _CONFIG_MAX_BYTES)
        download = sum(file.stat().st_size for file in path.glob("*.safetensors"))
        return fits.of_config(config, load_recipe(recipe), download=download)
    try:
        known = find_in_catalogue(model)
    except ModelNotInCatalogue:
        raise missing from None
    return fits.of_catalogue(known, load_recipe(recipe))


def _as_gguf(fits: Fits, model: str) -> ModelFit | None:
    """The GGUF file that the catalogue has of a model of its own, the first where it has several."""
    from hearth.models.catalogue import ModelNotInCatalogue, find_in_catalogue

    try:
        entry = find_in_catalogue(model)
    except ModelNotInCatalogue:
        return None
    return fits.of_gguf(entry.shape, entry.gguf[0].bytes) if entry.gguf else None


def _contexts(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        reason = tr(
            "{name} must be whole numbers of at least {low}, with commas between", name="--context", low=1
        )
        raise CommandInvalid(reason=reason, command=_COMMAND)
    return numbers


def _builtins(value: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(value)
    return found
