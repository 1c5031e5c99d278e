"""Arguments and options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

from hearth.i18n import tr

Model = Annotated[str, typer.Argument(metavar=tr("MODEL"), help=tr("Name or alias of a model."))]
Name = Annotated[str, typer.Argument(metavar=tr("NAME"), help=tr("Name or alias of a model."))]
Threads = Annotated[
    int, typer.Option(metavar=tr("NUMBER"), min=0, help=tr("Processor threads; 0 lets Hearth choose."))
]
Json = Annotated[bool, typer.Option("--json", help=tr("Write JSON, for programs."))]
