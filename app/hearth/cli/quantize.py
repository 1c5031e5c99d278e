"""`hearth quantize`: a checkpoint becomes a model of this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
import typer

from hearth.cli.model_summary import ModelSummary
from hearth.cli.opening import open_models
from hearth.cli.options import Json
from hearth.cli.output import ask, note, size_text, step_progress, write, write_json
from hearth.cli.quality_tables import write_quality
from hearth.errors import CommandInvalid
from hearth.i18n import tr
from hearth.model_folder.quality import QualityReport

if TYPE_CHECKING:
    from hearth.models.registry import ModelRegistry
    from hearth.quantize.recipe import Recipe
    from hearth.services.quantizing import QuantizeProgress

_Value = TypeVar("_Value", int, str)
_COMMAND = "hearth quantize"


class QuantizedModel(ModelSummary, frozen=True, kw_only=True):
    """The model that was made, as `--json` gives it."""

    recipe: dict[str, object]
    seconds: float
    quality: QualityReport | None


def _show_recipe(name: str) -> None:
    if name:
        from hearth.quantize.recipe_file import load_recipe, recipe_text

        write(recipe_text(load_recipe(name)).rstrip())
        raise typer.Exit


def quantize(
    source: Annotated[
        Path,
        typer.Argument(
            metavar=tr("SOURCE"), help=tr("Folder of a checkpoint, or ORG/NAME of one that was fetched.")
        ),
    ],
    name: Annotated[str, typer.Argument(metavar=tr("NAME"), help=tr("What to call the model."))],
    recipe: Annotated[
        str,
        typer.Option(
            metavar=tr("NAME_OR_FILE"),
            help=tr("“balanced”, “small”, “quality”, “int8”, “reference”, or a file of your own."),
        ),
    ] = "balanced",
    _shown: Annotated[
        str,
        typer.Option(
            "--show-recipe",
            metavar=tr("NAME_OR_FILE"),
            is_eager=True,
            callback=_show_recipe,
            help=tr(
                "Print a recipe in the form of a file, to change and to give to --recipe, and do no more."
            ),
        ),
    ] = "",
    bits: Annotated[
        int,
        typer.Option(
            metavar=tr("NUMBER"),
            help=tr("Bits of each weight in the layers: 2, 4, 8, 16 or 32; 0 is the recipe's."),
        ),
    ] = 0,
    block_size: Annotated[
        int,
        typer.Option(
            metavar=tr("NUMBER"),
            help=tr("Weights that share a scale: 16, 32, 64, 128 or 256; 0 is the recipe's."),
        ),
    ] = 0,
    context: Annotated[
        str,
        typer.Option(
            metavar=tr("NAME"),
            help=tr("The length of texts, for a model that was stretched: “original” or “long”."),
        ),
    ] = "",
    discard: Annotated[
        bool,
        typer.Option("--discard", help=tr("Remove what is kept of a run that was stopped, and do no more.")),
    ] = False,
    json: Json = False,
) -> None:
    """Build the model; the same command again goes on where it was stopped."""
    from hearth.models.hub.names_on_the_way import check_not_on_the_way
    from hearth.services.quantizing import Stage
    from hearth.services.quantizing import discard as discard_work
    from hearth.services.quantizing import quantize as build

    if discard:
        with open_models() as registry:
            discard_work(registry, name)
        note(tr("Nothing is left of {name}.", name=name))
        return
    chosen = _recipe(recipe, bits, block_size, context)
    with open_models() as registry:
        check_not_on_the_way(registry.root, name)
        try:
            with step_progress(tr("Quantizing {name}", name=name)) as show:

                def progress(at: QuantizeProgress) -> None:
                    texts = {
                        Stage.BUILDING: tr("Quantizing {name}", name=name),
                        Stage.MEASURING: tr("Measuring {name}…", name=name),
                        Stage.CHECKING: tr("Checking {path}", path=name),
                    }
                    show(texts[at.stage], at.done, at.total)

                entry = build(registry, source, name, chosen, progress=progress)
        except KeyboardInterrupt:
            _ask_to_keep(registry, name)
            raise
    quantization, quality = entry.manifest.quantization, entry.manifest.quality
    if json and quantization is not None:
        write_json(
            QuantizedModel.of(
                entry, recipe=quantization.recipe, seconds=quantization.seconds, quality=quality
            )
        )
    else:
        if quality is None:
            note(tr("Its quality could not be measured; the log file says why."))
        else:
            write_quality(quality)
            write("")
        text = tr(
            "{name} is here ({size}). Chat with it: hearth chat {name}",
            name=name,
            size=size_text(entry.bytes),
        )
        write(text)


def _recipe(name: str, bits: int, block_size: int, context: str) -> Recipe:
    from hearth.quantize.recipe import LONG, ORIGINAL
    from hearth.quantize.recipe_file import load_recipe
    from hearth.quantize.rounding.scheme import BITS, BLOCK_SIZES

    chosen = load_recipe(name)
    if bits:
        chosen = chosen.with_bits(_one_of("--bits", bits, BITS))
    if block_size:
        chosen = chosen.with_block_size(_one_of("--block-size", block_size, BLOCK_SIZES))
    if context:
        chosen = msgspec.structs.replace(chosen, context=_one_of("--context", context, (ORIGINAL, LONG)))
    return chosen


def _one_of(option: str, value: _Value, allowed: tuple[_Value, ...]) -> _Value:
    if value not in allowed:
        reason = tr("{name} must be one of {values}", name=option, values=", ".join(map(str, allowed)))
        raise CommandInvalid(reason=reason, command=_COMMAND)
    return value


def _ask_to_keep(registry: ModelRegistry, name: str) -> None:
    """What is done is kept unless the person says otherwise."""
    from hearth.services.quantizing import discard as discard_work

    note("")
    question = tr("Remove what is done of {name}? Otherwise the same command goes on from there.", name=name)
    if sys.stdin.isatty() and ask(question):
        discard_work(registry, name)
        note(tr("Nothing is left of {name}.", name=name))
    else:
        note(tr("What is done is kept: the same command goes on from there, and with --discard removes it."))
