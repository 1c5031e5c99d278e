"""`hearth models`: what models are here, and how they come and go."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import msgspec
import typer

from hearth.cli.opening import open_models
from hearth.cli.output import ask, note, progress, size_text, write, write_json, write_pairs, write_table
from hearth.cli.usage import CommandLine
from hearth.errors import ModelBuiltIn
from hearth.i18n import tr

if TYPE_CHECKING:
    from hearth.models.registry import ModelEntry

app = CommandLine()

Name = Annotated[str, typer.Argument(metavar=tr("NAME"), help=tr("Name or alias of a model."))]
Json = Annotated[bool, typer.Option("--json", help=tr("Write JSON, for programs."))]


class ModelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A model as `--json` gives it."""

    name: str
    format: str
    path: str
    bytes: int
    in_place: bool
    built_in: bool
    aliases: tuple[str, ...]
    source: str
    revision: str
    licence: str
    imported_at: datetime | None

    @classmethod
    def of(cls, entry: ModelEntry, **more: Any) -> Self:
        manifest = entry.manifest
        return cls(
            name=entry.name,
            format=entry.format,
            path=str(entry.path),
            bytes=entry.bytes,
            in_place=entry.in_place,
            built_in=entry.built_in,
            aliases=entry.aliases,
            source=manifest.source,
            revision=manifest.revision,
            licence=manifest.licence,
            imported_at=manifest.imported_at,
            **more,
        )


class ModelDetails(ModelSummary, frozen=True, kw_only=True):
    """What its files say of it, beside."""

    architecture: str
    context_length: int
    vocab_size: int
    layers: int
    has_chat_template: bool
    files: dict[str, int]


@app.command("list", help=tr("Every model on this machine."))
def list_(json: Json = False) -> None:
    with open_models() as registry:
        entries = registry.list()
    if json:
        write_json([ModelSummary.of(entry) for entry in entries])
    elif not entries:
        note(tr("There is no model here yet. Import a model folder with: hearth models import FOLDER"))
    else:
        rows = [
            (
                entry.name,
                size_text(entry.bytes),
                ", ".join(entry.aliases),
                f"({tr('part of Hearth')})" if entry.built_in else str(entry.path),
            )
            for entry in entries
        ]
        write_table((tr("NAME"), tr("SIZE"), tr("ALIASES"), tr("FOLDER")), rows)


@app.command(help=tr("One model: where it came from and what it is."))
def show(name: Name, json: Json = False) -> None:
    from hearth.model_folder.folder import ModelFolder

    with open_models() as registry:
        entry = registry.get(name)
    folder = ModelFolder.open(entry.path)
    model = folder.config.model
    details = ModelDetails.of(
        entry,
        architecture=model.type,
        context_length=model.context_length,
        vocab_size=model.vocab_size,
        layers=model.decoder.num_hidden_layers,
        has_chat_template=folder.chat_template is not None,
        files={file.relative_to(entry.path).as_posix(): file.stat().st_size for file in folder.files()},
    )
    if json:
        write_json(details)
    else:
        write_pairs(_lines(details))


def _lines(details: ModelDetails) -> list[tuple[str, str]]:
    imported = details.imported_at
    pairs = [
        (tr("Name"), details.name),
        (tr("Aliases"), ", ".join(details.aliases)),
        (tr("Format"), details.format),
        (tr("Folder"), _folder(details)),
        (tr("Size"), size_text(details.bytes)),
        (tr("Source"), details.source),
        (tr("Revision"), details.revision),
        (tr("Licence"), details.licence),
        (tr("Imported"), imported.astimezone().strftime("%Y-%m-%d %H:%M") if imported else ""),
        (tr("Architecture"), details.architecture),
        (tr("Layers"), str(details.layers)),
        (tr("Context"), tr("{n} tokens", n=details.context_length)),
        (tr("Vocabulary"), tr("{n} tokens", n=details.vocab_size)),
        (tr("Chat template"), tr("yes") if details.has_chat_template else tr("no: it only continues text")),
    ]
    pairs = [(name, value) for name, value in pairs if value]
    return pairs + [(name, size_text(size)) for name, size in details.files.items()]


def _folder(details: ModelDetails) -> str:
    if details.built_in:
        return tr("{text} ({detail})", text=details.path, detail=tr("part of Hearth"))
    if details.in_place:
        return tr("{text} ({detail})", text=details.path, detail=tr("used in place"))
    return details.path


@app.command("import", help=tr("Add a model folder in the onnxruntime-genai format."))
def import_(
    path: Annotated[Path, typer.Argument(metavar=tr("PATH"), help=tr("The model folder."))],
    name: Annotated[
        str | None,
        typer.Option(metavar=tr("NAME"), help=tr("What to call it; the folder's name by default.")),
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help=tr("Use it where it lies, and copy nothing."))
    ] = False,
    json: Json = False,
) -> None:
    with open_models() as registry:
        text = tr("Checking {path}", path=path.name) if in_place else tr("Copying {path}", path=path.name)
        with progress(text) as report:
            entry = registry.import_folder(path, name=name, in_place=in_place, progress=report)
    if json:
        write_json(ModelSummary.of(entry))
    else:
        write(
            tr(
                "{name} is here ({size}). Chat with it: hearth chat {name}",
                name=entry.name,
                size=size_text(entry.bytes),
            )
        )


@app.command(help=tr("Give a model another name, or take that name away."))
def alias(
    name: Name,
    alias: Annotated[str, typer.Argument(metavar=tr("ALIAS"), help=tr("The other name."))],
    remove: Annotated[bool, typer.Option("--remove", help=tr("Take the alias away."))] = False,
    json: Json = False,
) -> None:
    with open_models() as registry:
        name = registry.get(name).name
        if remove:
            registry.remove_alias(alias)
        else:
            registry.alias(name, alias)
        entry = registry.get(name)
    if json:
        write_json(ModelSummary.of(entry))
    else:
        write(tr("{name} has these aliases: {aliases}", name=name, aliases=", ".join(entry.aliases) or "–"))


@app.command(help=tr("Compare a model's files with their checksums."))
def verify(name: Name, json: Json = False) -> None:
    with open_models() as registry:
        entry = registry.get(name)
        with progress(tr("Checking {path}", path=entry.name)) as report:
            registry.verify(entry.name, report)
    checked, damaged = _verify_packed(entry)
    if json:
        packed = {"checked": checked, "damaged": damaged}
        write_json({"name": entry.name, "files": len(entry.manifest.files), "ok": True, "packed": packed})
    elif entry.manifest.files:
        write(tr("{name} is whole: every file is the one that was imported.", name=entry.name))
    else:
        write(
            tr("{name} is sound, but has no checksums to compare with: it was not imported.", name=entry.name)
        )


def _verify_packed(entry: ModelEntry) -> tuple[int, int]:
    """Check what was made of the model for faster loading: how much there is of it, and how much was damaged."""
    from hearth.engine.packed_weights import PackedWeights
    from hearth.model_folder.digest import model_digest
    from hearth.model_folder.folder import ModelFolder
    from hearth.paths import packed_weights_folder

    model = model_digest(ModelFolder.open(entry.path, [entry.path] if entry.in_place else []))
    with progress(tr("Checking the packed weights of {name}", name=entry.name)) as report:
        checked, damaged = PackedWeights(packed_weights_folder(), 0).verify(model, report)
    if damaged:
        note(tr("The packed weights were damaged and are deleted; Hearth makes them anew."))
    return checked, damaged


@app.command(help=tr("Delete a model from this machine; a folder used in place is left alone."))
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=tr("Do not ask."))] = False,
    json: Json = False,
) -> None:
    with open_models() as registry:
        entry = registry.get(name)
        if entry.built_in:
            raise ModelBuiltIn(name=entry.name)
        if entry.in_place:
            question = tr("Forget {name}? Its files in {path} stay.", name=entry.name, path=entry.path)
        else:
            question = tr("Delete {name} ({size})?", name=entry.name, size=size_text(entry.bytes))
        if not yes and sys.stdin.isatty() and not ask(question):
            raise typer.Exit(1)
        registry.remove(entry.name)
    if json:
        write_json(ModelSummary.of(entry))
    else:
        write(tr("{name} is gone.", name=entry.name))
