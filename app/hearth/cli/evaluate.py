"""`hearth evaluate`: how good a model is on a text, and how close to another one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hearth.cli.opening import open_hearth
from hearth.cli.options import Json, Model, Threads
from hearth.cli.output import step_progress, write, write_json, write_pairs
from hearth.cli.quality_tables import write_measured
from hearth.errors import InputInvalid, ModelFileInvalid
from hearth.i18n import tr
from hearth.model_folder.json_file import read_capped

if TYPE_CHECKING:
    from hearth.model_folder.quality import Evaluation

_MAX_BYTES = 64 << 20


def evaluate(
    model: Model,
    text: Annotated[Path, typer.Option(metavar=tr("FILE"), help=tr("The text, in UTF-8."))],
    reference: Annotated[
        str | None,
        typer.Option(metavar=tr("MODEL"), help=tr("Another form of the same model, to compare with.")),
    ] = None,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Read the text with the model, write parts of it, and report."""
    content = _read(text)
    with open_hearth() as hearth:
        from hearth.services.quality_process import evaluate_model

        words = tr("Measuring {name}…", name=model)
        with step_progress(words) as report:
            evaluation = evaluate_model(
                hearth.models,
                hearth.config.engine,
                model,
                content,
                reference=reference,
                threads=threads,
                progress=lambda at: report(words, at.done, at.total),
            )
    if json:
        write_json(evaluation)
    else:
        _write(model, text, evaluation)


def _read(file: Path) -> str:
    try:
        return read_capped(file, _MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputInvalid(reason=tr("{path} is not UTF-8 text", path=file)) from error
    except ModelFileInvalid as error:
        reason = tr("{path}: {reason}", path=file, reason=error.params["reason"])
        raise InputInvalid(reason=reason) from error


def _write(model: str, file: Path, evaluation: Evaluation) -> None:
    read = tr("{n} tokens in windows of {length}", n=evaluation.tokens, length=evaluation.window)
    pairs = [(tr("Model"), model), (tr("Text"), tr("{text} ({detail})", text=str(file), detail=read))]
    if evaluation.reference:
        pairs.append((tr("Reference"), evaluation.reference))
    write_pairs([*pairs, (tr("Time"), tr("{n} s", n=f"{evaluation.seconds:.1f}"))])
    write("")
    write_measured(evaluation.measured)
