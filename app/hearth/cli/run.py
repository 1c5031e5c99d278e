"""`hearth run`: one prompt, one answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hearth.cli.grammar_options import read_grammar
from hearth.cli.opening import load_model, open_hearth
from hearth.cli.options import Json, Model, Threads
from hearth.cli.output import write, write_json, write_streamed
from hearth.config import DefaultsSection
from hearth.engine.grammar import Grammar
from hearth.engine.host.protocol import ChatMessage
from hearth.engine.outputs import FinishReason, Usage
from hearth.engine.sampling_params import SamplingParams
from hearth.errors import ChatTemplateMissing, InputInvalid
from hearth.i18n import tr


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` gives."""

    text: str
    token_ids: list[int]
    finish_reason: FinishReason | None
    usage: Usage | None


def run(
    model: Model,
    prompt: Annotated[
        str, typer.Argument(metavar=tr("PROMPT"), help=tr("The prompt; - reads standard input."))
    ],
    raw: Annotated[
        bool, typer.Option("--raw", help=tr("Continue the prompt as it stands, without a chat template."))
    ] = False,
    system: Annotated[str | None, typer.Option(metavar=tr("TEXT"), help=tr("System prompt."))] = None,
    temperature: Annotated[
        float | None, typer.Option(metavar=tr("NUMBER"), help=tr("0 always takes the likeliest token."))
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(metavar=tr("NUMBER"), help=tr("Choose among tokens with this much probability.")),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(metavar=tr("NUMBER"), help=tr("Choose among this many tokens; 0 is all."))
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(metavar=tr("NUMBER"), help=tr("Longest answer, in tokens."))
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar=tr("NUMBER"), help=tr("The same seed gives the same answer."))
    ] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar=tr("TEXT"), help=tr("End before this text; may be given more than once.")),
    ] = None,
    json_schema: Annotated[
        Path | None,
        typer.Option(metavar=tr("FILE"), help=tr("The answer is JSON that the schema in this file takes.")),
    ] = None,
    regex: Annotated[
        str | None, typer.Option(metavar=tr("TEXT"), help=tr("The answer matches this regular expression."))
    ] = None,
    choice: Annotated[
        list[str] | None,
        typer.Option(metavar=tr("TEXT"), help=tr("The answer is this text; give it once for each choice.")),
    ] = None,
    lark: Annotated[
        Path | None,
        typer.Option(metavar=tr("FILE"), help=tr("The answer follows the Lark grammar in this file.")),
    ] = None,
    gbnf: Annotated[
        Path | None,
        typer.Option(metavar=tr("FILE"), help=tr("The answer follows the GBNF grammar in this file.")),
    ] = None,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Write one answer to stdout as it grows, or as JSON at the end."""
    text = _read_stdin() if prompt == "-" else prompt
    grammar = read_grammar(json_schema, regex, choice, lark, gbnf)
    with open_hearth() as hearth:
        defaults = hearth.defaults_for(model)
        params = sampling_params(
            defaults,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            max_tokens=max_tokens,
            seed=seed,
            stop=tuple(stop or ()),
            grammar=grammar,
        )
        worker = load_model(hearth, model, threads=threads)
        if raw:
            outputs = worker.generate(params, text=text)
        elif not worker.info().has_chat_template:
            raise ChatTemplateMissing(name=worker.name)
        else:
            system = defaults.system_prompt if system is None else system
            outputs = worker.generate(params, messages=_messages(system, text))
        texts: list[str] = []
        token_ids: list[int] = []
        finish_reason, usage = None, None
        for output in outputs:
            token_ids += output.token_ids
            texts.append(output.text)
            finish_reason, usage = output.finish_reason, output.usage
            if output.text and not json:
                write_streamed(output.text)
    if json:
        write_json(
            RunResult(text="".join(texts), token_ids=token_ids, finish_reason=finish_reason, usage=usage)
        )
    else:
        write("")


def sampling_params(
    defaults: DefaultsSection,
    *,
    temperature: float | None,
    top_p: float | None,
    top_k: int | None,
    max_tokens: int | None,
    seed: int | None,
    stop: tuple[str, ...],
    grammar: Grammar | None = None,
) -> SamplingParams:
    """What was asked for, and the settings file for the rest.

    Raises:
        RequestInvalid: a value has no meaning.
    """
    params = SamplingParams(
        temperature=defaults.temperature if temperature is None else temperature,
        top_p=defaults.top_p if top_p is None else top_p,
        top_k=defaults.top_k if top_k is None else top_k,
        min_p=defaults.min_p,
        repetition_penalty=defaults.repetition_penalty,
        presence_penalty=defaults.presence_penalty,
        frequency_penalty=defaults.frequency_penalty,
        max_tokens=(defaults.max_tokens or None) if max_tokens is None else max_tokens,
        seed=seed,
        stop=stop,
        grammar=grammar,
    )
    params.check()
    return params


def _messages(system: str, text: str) -> list[ChatMessage]:
    question = ChatMessage("user", text)
    return [ChatMessage("system", system), question] if system else [question]


def _read_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise InputInvalid(reason=tr("standard input is not text in UTF-8")) from error
