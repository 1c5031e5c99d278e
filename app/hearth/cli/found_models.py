"""`hearth models find` and `add`: the models of other apps, listed and used where they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from hearth.cli.model_summary import ModelSummary
from hearth.cli.opening import open_models
from hearth.cli.options import Json
from hearth.cli.output import note, progress, size_text, write, write_json, write_table
from hearth.i18n import tr

if TYPE_CHECKING:
    from hearth.services.other_apps import Finding

_ADD = "hearth models add"


class FoundSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A model of another app as `--json` gives it."""

    reference: str
    app: str
    name: str
    path: str
    format: str
    bytes: int
    licence: str
    source: str
    revision: str
    added_as: str

    @classmethod
    def of(cls, finding: Finding) -> FoundSummary:
        model = finding.model
        return cls(
            reference=model.reference,
            app=model.app,
            name=model.name,
            path=str(model.path),
            format=model.format.value,
            bytes=model.bytes,
            licence=model.licence,
            source=model.source,
            revision=model.revision,
            added_as=finding.added_as,
        )


def find(json: Json = False) -> None:
    """List what other apps have."""
    from hearth.services.other_apps import find as find_models

    with open_models() as registry:
        findings = find_models(registry)
    if json:
        write_json([FoundSummary.of(finding) for finding in findings])
    elif not findings:
        note(tr("No other app has a model here that Hearth can use."))
    else:
        rows = [
            (
                finding.model.reference,
                finding.model.format.value,
                size_text(finding.model.bytes),
                finding.added_as,
            )
            for finding in findings
        ]
        write_table((tr("MODEL"), tr("FORMAT"), tr("SIZE"), tr("IN HEARTH AS")), rows)


def add(
    found: Annotated[
        list[str],
        typer.Argument(
            metavar=tr("FOUND"),
            help=tr("Models as “hearth models find” names them: with their app, or without."),
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar=tr("NAME"), help=tr("What to call it; the name it has there by default.")),
    ] = None,
    json: Json = False,
) -> None:
    """Register each where it lies; the first that cannot be is told, and those before it are there."""
    from hearth.errors import CommandInvalid
    from hearth.services import other_apps

    if name is not None and len(found) > 1:
        reason = tr("{option} is for one model", option="--name")
        raise CommandInvalid(reason=reason, command=_ADD)
    summaries = []
    with open_models() as registry:
        findings = other_apps.find(registry)
        chosen = [other_apps.choose(findings, wanted).model for wanted in found]
        for model in chosen:
            with progress(tr("Checking {path}", path=model.name)) as report:
                entry = other_apps.add(registry, model, name=name, progress=report)
            summaries.append(ModelSummary.of(entry))
            if not json:
                text = tr(
                    "{name} is here, and its files stay where they are. Chat with it: hearth chat {name}",
                    name=entry.name,
                )
                write(text)
    if json:
        write_json(summaries)
