"""`hearth bench`: how fast a model runs on this machine, and what memory it takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from hearth.cli.opening import open_hearth
from hearth.cli.options import Json, Model, Threads
from hearth.cli.output import size_text, status, write, write_json, write_pairs, write_table
from hearth.errors import CommandInvalid
from hearth.i18n import ntr, tr
from hearth.services.benchmark.figures import What

if TYPE_CHECKING:
    from hearth.services.benchmark.benchmark import Report
    from hearth.services.benchmark.figures import Figure
    from hearth.services.benchmark.peer_side import PeerOptions


_COMMAND = "hearth bench"
PEER = "llama.cpp"
"""The engine that can be measured beside Hearth."""


def bench(
    model: Model,
    prompt_tokens: Annotated[
        str, typer.Option(metavar=tr("NUMBERS"), help=tr("Tokens to read, with commas between."))
    ] = "512,4096",
    streams: Annotated[
        str, typer.Option(metavar=tr("NUMBERS"), help=tr("Answers to write at once."))
    ] = "1,2,4,8",
    contexts: Annotated[
        str, typer.Option(metavar=tr("NUMBERS"), help=tr("Tokens that an answer follows."))
    ] = "0,2048,8192",
    generate_tokens: Annotated[
        int, typer.Option(metavar=tr("NUMBER"), min=2, help=tr("Tokens to write, in each stream."))
    ] = 64,
    repeat: Annotated[
        int, typer.Option(metavar=tr("NUMBER"), min=1, help=tr("Runs of each; the median counts."))
    ] = 5,
    threads: Threads = 0,
    peer: Annotated[
        str | None,
        typer.Option(metavar=PEER, help=tr("Measure this other engine beside Hearth, by turns.")),
    ] = None,
    peer_model: Annotated[
        Path | None,
        typer.Option(metavar=tr("FILE"), help=tr("The same model in that engine's format.")),
    ] = None,
    peer_reference: Annotated[
        Path | None,
        typer.Option(
            metavar=tr("FILE"), help=tr("Its weights in float32, to measure its noise; may be left out.")
        ),
    ] = None,
    peer_python: Annotated[
        Path | None,
        typer.Option(
            metavar=tr("FILE"), help=tr("Its interpreter; by default the one in Hearth's source tree.")
        ),
    ] = None,
    beside: Annotated[
        str | None,
        typer.Option(
            metavar=tr("MODEL"),
            help=tr("Measure this model beside it, by turns, such as the same one in another format."),
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Measure and report. The prompts are random tokens, so the answers are noise."""
    from hearth.services.benchmark.benchmark import Plan, measure_model

    plan = Plan(
        prompt_tokens=_numbers("--prompt-tokens", prompt_tokens, least=1),
        streams=_numbers("--streams", streams, least=1),
        contexts=_numbers("--contexts", contexts, least=0),
        generate_tokens=generate_tokens,
        repeat=repeat,
    )
    other = _peer(peer, peer_model, peer_reference, peer_python)
    if other is not None and beside is not None:
        _refuse(tr("{name} and {other} are not given together", name="--peer", other="--beside"))
    with open_hearth() as hearth, status(tr("Measuring {name}…", name=model)):
        report = measure_model(hearth, model, plan, threads=threads, peer=other, beside=beside)
    if json:
        write_json(report)
    else:
        _write(report, PEER.upper() if other else report.peer)


def _numbers(option: str, text: str, *, least: int) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < least:
        _refuse(
            tr("{name} must be whole numbers of at least {low}, with commas between", name=option, low=least)
        )
    return numbers


def _peer(
    peer: str | None, model: Path | None, reference: Path | None, python: Path | None
) -> PeerOptions | None:
    from hearth.services.benchmark.peer_side import PYTHON, PeerOptions

    if peer is None:
        if model or reference or python:
            _refuse(tr("{name} is missing", name="--peer"))
        return None
    if peer != PEER:
        _refuse(tr("{name} must be {value}", name="--peer", value=PEER))
    if model is None:
        _refuse(tr("{name} is missing", name="--peer-model"))
    return PeerOptions(model, reference, python or PYTHON)


def _refuse(reason: str) -> NoReturn:
    raise CommandInvalid(reason=reason, command=_COMMAND)


def _write(report: Report, other: str | None) -> None:
    write_pairs(
        [
            (tr("Model"), report.model),
            (tr("Runs on"), tr("{provider}, {n} threads", provider=report.provider, n=report.threads)),
            (
                tr("Weights"),
                tr("packed for this processor") if report.is_packed else tr("as in the model’s files"),
            ),
            (tr("Keys and values"), _kept(report)),
            *([(tr("Beside it"), report.peer)] if report.peer else []),
        ]
    )
    write("")
    headers = [tr("WHAT"), "HEARTH" if other in (None, PEER.upper()) else report.model]
    if other:
        headers += [other, tr("TIMES AS GOOD")]
    write_table(headers, [_row(report, figure) for figure in report.figures])


def _kept(report: Report) -> str:
    if report.kv_cache_noise is None:
        return report.kv_cache_type
    noise = f"{100 * report.kv_cache_noise:.1f}"
    return tr("{type}, which moves the logits by {percent} %", type=report.kv_cache_type, percent=noise)


def _row(report: Report, figure: Figure) -> list[str]:
    row = [_name(figure), _value(figure, figure.hearth)]
    if report.peer:
        row += [_value(figure, figure.peer), "" if figure.ratio is None else f"{figure.ratio:.2f}"]
    return row


def _name(figure: Figure) -> str:
    match figure.what:
        case What.LOAD_COLD:
            return tr("load, from the disk")
        case What.LOAD_WARM:
            return tr("load, from the file cache")
        case What.MODEL_COLD | What.MODEL_WARM:
            return tr("of it the model alone")
        case What.PREFILL:
            return tr("read {n} tokens", n=figure.tokens)
        case What.FIRST_TOKEN:
            return tr("first token after {n} tokens", n=figure.tokens)
        case What.DECODE:
            if figure.tokens:
                return tr("write after {n} tokens", n=figure.tokens)
            return ntr("write {n} answer", "write {n} answers at once", figure.streams)
        case What.MEMORY_LOADED:
            return tr("memory, nothing asked yet")
        case What.MEMORY_ONE | What.MEMORY_MANY:
            return ntr("memory, {n} answer", "memory, {n} answers at once", figure.streams)
        case What.MEMORY_MOST:
            return tr("memory, at most")
        case What.NOISE:
            return tr("rounding noise of the logits")


def _value(figure: Figure, value: float | None) -> str:
    if value is None:
        return ""
    match figure.unit:
        case "tokens/s":
            return tr("{n} tokens/s", n=f"{value:.1f}")
        case "bytes":
            return size_text(int(value))
        case "fraction":
            return f"{value:.1%}"
        case _:
            return tr("{n} s", n=f"{value:.3f}")
