"""The command line put together."""

from __future__ import annotations

from typing import Annotated

import typer

from hearth import __version__
from hearth.cli import bench, chat, doctor, evaluate, hub, models, quantize, run
from hearth.cli import help as help_pages
from hearth.cli.usage import CommandLine
from hearth.i18n import tr

app = CommandLine()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hearth {__version__}")
        raise typer.Exit


@app.callback(
    help=tr("A private AI assistant for the machine you already own. Without a command: the window.")
)
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help=tr("Show the version."))
    ] = False,
) -> None:
    """What stands before every command."""


app.command("chat", help=tr("Chat in the terminal; the conversation is kept like the window's."))(chat.chat)
app.command("run", help=tr("Answer one prompt on standard output."))(run.run)
app.add_typer(models.app, name="models", help=tr("The models on this machine."))
models.app.command("pull", help=tr("Fetch a model, or a checkpoint to quantize, from the model hub."))(
    hub.pull
)
models.app.command("search", help=tr("Find repositories on the model hub that Hearth can use."))(hub.search)
models.app.command("login", help=tr("Keep a token of the model hub, for repositories that ask who you are."))(
    hub.login
)
models.app.command("logout", help=tr("Forget the token of the model hub."))(hub.logout)
app.command("quantize", help=tr("Make a model for this machine from a checkpoint, with fewer bits."))(
    quantize.quantize
)
app.command("bench", help=tr("Measure a model on this machine: loading, reading, writing, memory."))(
    bench.bench
)
app.command("evaluate", help=tr("Measure how good a model is on a text, or how close it is to another."))(
    evaluate.evaluate
)
app.command("doctor", help=tr("What this machine has, what Hearth will use, and why."))(doctor.doctor)
app.command("help", help=tr("Read the help pages, or search in them."))(help_pages.help_)
