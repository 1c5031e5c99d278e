"""`hearth models`: what models are here, and how they come and go."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hearth.cli import fit, found_models, model_settings
from hearth.cli.checkpoints import CheckpointSummary, remove_checkpoint, write_checkpoints
from hearth.cli.model_summary import ModelSummary
from hearth.cli.opening import open_models
from hearth.cli.options import Json, Name
from hearth.cli.output import (
    ask,
    note,
    progress,
    size_text,
    write,
    write_json,
    write_pairs,
    write_table,
)
from hearth.cli.quality_tables import write_quality
from hearth.cli.usage import CommandLine
from hearth.errors import ModelBuiltIn, ModelNotFound
from hearth.i18n import tr
from hearth.model_folder.manifest import GENAI, ModelFacts, count_text

if TYPE_CHECKING:
    from hearth.models.registry import ModelEntry, ModelRegistry

app = CommandLine()


class ModelDetails(ModelSummary, frozen=True, kw_only=True):
    """What its files say of it, beside."""

    architecture: str
    title: str
    parameters: int
    quantization: str
    context_length: int
    vocab_size: int
    layers: int
    has_chat_template: bool
    files: dict[str, int]


@app.command("list", help=tr("Every model on this machine, and every checkpoint that was fetched."))
def list_(
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help=tr("Only the checkpoints, which can be quantized."))
    ] = False,
    json: Json = False,
) -> None:
    from hearth.models.hub.checkpoints import Checkpoints

    with open_models() as registry:
        entries = [] if checkpoints else registry.list()
        fetched = Checkpoints(registry.root).list()
    if json:
        write_json([CheckpointSummary.of(one) for one in fetched] if checkpoints else _summaries(entries))
        return
    if checkpoints and not fetched:
        note(tr("No checkpoint was fetched."))
    if not entries and not checkpoints:
        note(tr("There is no model here yet. Import a model folder with: hearth models import FOLDER"))
    if entries:
        _write_models(entries)
    if fetched:
        if entries:
            write("")
        write_checkpoints(fetched)


def _summaries(entries: Sequence[ModelEntry]) -> list[ModelSummary]:
    return [ModelSummary.of(entry) for entry in entries]


def _write_models(entries: Sequence[ModelEntry]) -> None:
    rows = [
        (
            entry.name,
            entry.format,
            "" if entry.is_remote else size_text(entry.bytes),
            ", ".join(entry.aliases),
            _place(entry),
        )
        for entry in entries
    ]
    write_table((tr("NAME"), tr("FORMAT"), tr("SIZE"), tr("ALIASES"), tr("FOLDER")), rows)


def _place(entry: ModelEntry) -> str:
    if entry.built_in:
        return f"({tr('part of Hearth')})"
    if entry.manifest.remote:
        return tr("{text} ({detail})", text=entry.manifest.remote.address, detail=tr("not on this machine"))
    return str(entry.file)


@app.command(help=tr("One model: where it came from and what it is."))
def show(name: Name, json: Json = False) -> None:
    from hearth.models.source import entry_facts, entry_files

    with open_models() as registry:
        entry = registry.get(name)
    remote = entry.manifest.remote
    facts = ModelFacts(architecture=remote.model) if remote else entry_facts(entry)
    details = ModelDetails.of(
        entry,
        architecture=facts.architecture,
        title=facts.title,
        parameters=facts.parameters,
        quantization=facts.quantization,
        context_length=facts.context_length,
        vocab_size=facts.vocab_size,
        layers=facts.layers,
        has_chat_template=facts.has_chat_template or remote is not None,
        files={} if remote else entry_files(entry),
    )
    if json:
        write_json(details)
    else:
        write_pairs(_lines(details))
        if entry.manifest.quality is not None:
            write("")
            write_quality(entry.manifest.quality)


def _lines(details: ModelDetails) -> list[tuple[str, str]]:
    imported = details.imported_at
    pairs = [
        (tr("Name"), details.name),
        (tr("Aliases"), ", ".join(details.aliases)),
        (tr("Format"), details.format),
        (tr("Folder"), _folder(details)),
        (tr("Size"), "" if details.remote else size_text(details.bytes)),
        (tr("Source"), details.source),
        (tr("Revision"), details.revision),
        (tr("Licence"), details.licence),
        (tr("Imported"), imported.astimezone().strftime("%Y-%m-%d %H:%M") if imported else ""),
        (tr("Title"), details.title),
        (tr("Architecture"), details.architecture),
        (tr("Parameters"), count_text(details.parameters)),
        (tr("Weights"), details.quantization),
        (tr("Layers"), str(details.layers or "")),
        (tr("Context"), tr("{n} tokens", n=details.context_length) if details.context_length else ""),
        (tr("Vocabulary"), tr("{n} tokens", n=details.vocab_size) if details.vocab_size else ""),
        (tr("Chat template"), tr("yes") if details.has_chat_template else tr("no: it only continues text")),
    ]
    pairs = [(name, value) for name, value in pairs if value]
    return pairs + [(name, size_text(size)) for name, size in details.files.items()]


def _folder(details: ModelDetails) -> str:
    if details.built_in:
        return tr("{text} ({detail})", text=details.path, detail=tr("part of Hearth"))
    if details.remote:
        return tr("{text} ({detail})", text=details.path, detail=tr("not on this machine"))
    if details.in_place:
        return tr("{text} ({detail})", text=details.path, detail=tr("used in place"))
    return details.path


@app.command(
    "import", help=tr("Add a model: a folder in the onnxruntime-genai format, or a GGUF or GGML file.")
)
def import_(
    path: Annotated[Path, typer.Argument(metavar=tr("PATH"), help=tr("The model's folder or file."))],
    name: Annotated[
        str | None,
        typer.Option(
            metavar=tr("NAME"), help=tr("What to call it; by default what its folder or file is called.")
        ),
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


@app.command("add-remote", help=tr("Add a model on a server that speaks OpenAI's API; asks for the key."))
def add_remote(
    address: Annotated[
        str, typer.Argument(metavar=tr("ADDRESS"), help=tr("Of the API, such as https://example.org/v1."))
    ],
    model: Annotated[str, typer.Option(metavar=tr("NAME"), help=tr("What the server calls the model."))],
    name: Annotated[str, typer.Option(metavar=tr("NAME"), help=tr("What to call it here."))],
    json: Json = False,
) -> None:
    from hearth.services import remote_models

    remote_models.check_address(address)
    with open_models() as registry:
        entry = remote_models.add_remote(registry, name, address=address, model=model, key=_ask_key(name))
    if json:
        write_json(ModelSummary.of(entry))
    else:
        write(tr("{name} is here. What you ask it goes to {address}.", name=entry.name, address=address))


@app.command("set-key", help=tr("Give a remote model another key; asks for it."))
def set_key(name: Name, json: Json = False) -> None:
    from hearth.services import remote_models

    with open_models() as registry:
        name, _ = remote_models.check_remote(registry, name)
        key = _ask_key(name)
        entry = remote_models.set_key(registry, name, key)
    if json:
        write_json(ModelSummary.of(entry))
    else:
        write(
            tr("{name} has its new key.", name=entry.name)
            if key
            else tr("{name} has no key.", name=entry.name)
        )


def _ask_key(name: str) -> str:
    """From the terminal, unseen, or from standard input; never from an argument, which other users could read."""
    if sys.stdin.isatty():
        return getpass(tr("Key for {name} (empty for none): ", name=name)).strip()
    return sys.stdin.readline().strip()


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


app.command("rename", help=tr("Give a model another name; the old one stays an alias."))(
    model_settings.rename
)
app.command(
    "settings", help=tr("What a model uses of its own: system prompt, sampling, context, device, rest.")
)(model_settings.settings)
app.command("find", help=tr("Models that other apps keep on this machine."))(found_models.find)
app.command("add", help=tr("Use a model of another app where it lies, and copy nothing."))(found_models.add)


@app.command(help=tr("Compare a model's files with their checksums."))
def verify(name: Name, json: Json = False) -> None:
    with open_models() as registry:
        entry = registry.get(name)
        with progress(tr("Checking {path}", path=entry.name)) as report:
            registry.verify(entry.name, report)
    checked, damaged = _verify_packed(entry) if entry.format == GENAI else (0, 0)
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
    from hearth.paths import packed_weights_folder
    from hearth.services.packed_forms import digest_of

    model = digest_of(entry)
    with progress(tr("Checking the packed weights of {name}", name=entry.name)) as report:
        checked, damaged = PackedWeights(packed_weights_folder(), 0).verify(model, report)
    if damaged:
        note(tr("The packed weights were damaged and are deleted; Hearth makes them anew."))
    return checked, damaged


@app.command(
    help=tr(
        "Delete a model, or a checkpoint that was fetched, from this machine; a folder used in place is left alone."
    )
)
def remove(
    name: Annotated[
        str, typer.Argument(metavar=tr("NAME"), help=tr("Name or alias of a model, or a checkpoint's name."))
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help=tr("Do not ask."))] = False,
    json: Json = False,
) -> None:
    from hearth.models.hub.checkpoints import Checkpoints

    with open_models() as registry:
        try:
            entry = registry.get(name)
        except ModelNotFound:
            checkpoint = Checkpoints(registry.root).get(name)
            if checkpoint is None:
                raise
            remove_checkpoint(registry, checkpoint, yes=yes)
            name = checkpoint.name
            summary: CheckpointSummary | ModelSummary = CheckpointSummary.of(checkpoint)
        else:
            _remove_model(registry, entry, yes=yes)
            name, summary = entry.name, ModelSummary.of(entry)
    if json:
        write_json(summary)
    else:
        write(tr("{name} is gone.", name=name))


def _remove_model(registry: ModelRegistry, entry: ModelEntry, *, yes: bool) -> None:
    if entry.built_in:
        raise ModelBuiltIn(name=entry.name)
    if entry.is_remote:
        question = tr("Forget {name} and its key?", name=entry.name)
    elif entry.in_place:
        question = tr("Forget {name}? Its files in {path} stay.", name=entry.name, path=entry.path)
    else:
        question = tr("Delete {name} ({size})?", name=entry.name, size=size_text(entry.bytes))
    if not yes and sys.stdin.isatty() and not ask(question):
        raise typer.Exit(1)
    registry.remove(entry.name)


app.command("catalogue", help=tr("Models that Hearth knows by name, and what each is good at."))(
    fit.catalogue
)
app.command("fit", help=tr("Whether a model fits this machine, how fast it would be, and why."))(fit.fit)
