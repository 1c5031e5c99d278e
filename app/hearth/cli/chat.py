"""`hearth chat`: the chat in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from hearth.cli.opening import open_hearth
from hearth.cli.output import note
from hearth.errors import HearthError, ModelNotChosen, ModelNotFound, NoModels
from hearth.i18n import tr

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth


def chat(
    model: Annotated[
        str | None,
        typer.Argument(metavar=tr("MODEL"), help=tr("Name or alias; the model used last by default.")),
    ] = None,
) -> None:
    """Read questions from the terminal, or line by line from standard input, and answer each."""
    from hearth.cli.terminal_chat import TerminalChat

    with open_hearth() as hearth:
        try:
            name = choose_model(hearth, model)
        except NoModels as empty:
            note(str(empty))  # a new user's first sight, not a failure
            return
        session = TerminalChat(hearth)
        session.use_model(name)
        if sys.stdin.isatty():
            note(tr("Chatting with {name}. /help shows what else there is, Ctrl+D leaves.", name=name))
        failed = False
        for line in _lines():
            try:
                if not session.take(line):
                    break
            except HearthError as error:
                failed = True
                note(str(error))
    # Who types has seen it; a program that writes lines must be told.
    if failed and not sys.stdin.isatty():
        raise typer.Exit(1)


def choose_model(hearth: Hearth, wanted: str | None) -> str:
    """The model to chat with: the one named, that of the settings, the one used last, the only one, or the starter.

    Raises:
        ModelNotFound, NoModels, ModelNotChosen
    """
    if wanted is not None:
        return hearth.models.get(wanted).name
    entries = hearth.models.list()
    if not entries:
        raise NoModels
    names = [entry.name for entry in entries]
    try:
        if hearth.config.defaults.model:
            return hearth.models.get(hearth.config.defaults.model).name
    except ModelNotFound as error:
        note(str(error))
    last = next((talk.model for talk in hearth.conversations.list(limit=50) if talk.model in names), None)
    if last is not None:
        return last
    own = [entry.name for entry in entries if not entry.built_in]
    if len(own) > 1:
        raise ModelNotChosen(names=", ".join(names))
    return own[0] if own else names[0]


def _lines() -> Iterator[str]:
    """What the person types, until Ctrl+D; Ctrl+C clears the line."""
    if not sys.stdin.isatty():
        for line in sys.stdin:
            yield line.rstrip("\n")
        return
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter

    from hearth.cli.terminal_chat import COMMANDS

    prompt: PromptSession[str] = PromptSession(
        completer=WordCompleter(list(COMMANDS), sentence=True), complete_while_typing=False
    )
    while True:
        try:
            yield prompt.prompt("> ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
