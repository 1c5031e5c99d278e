"""`hearth models pull`, `search`, `login` and `logout`: models from the hub."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from hearth.cli.checkpoints import CheckpointSummary
from hearth.cli.model_summary import ModelSummary
from hearth.cli.opening import open_models
from hearth.cli.options import Json
from hearth.cli.output import note, progress, size_text, status, write, write_json, write_table
from hearth.errors import CheckpointNeeded, TokenMissing
from hearth.i18n import tr
from hearth.models.hub.address import host, token_page

if TYPE_CHECKING:
    from hearth.models.hub.checkpoints import CheckpointEntry
    from hearth.models.hub.search import Found
    from hearth.models.registry import ModelEntry, ModelRegistry


class Account(msgspec.Struct, frozen=True):
    """Who the hub takes us for."""

    host: str
    name: str


def pull(
    repository: Annotated[
        str,
        typer.Argument(
            metavar=tr("REPO[@REVISION]"),
            help=tr("Repository on the hub, as its page names it, or a name of the catalogue."),
        ),
    ],
    file: Annotated[
        str | None,
        typer.Option(
            metavar=tr("GLOB"), help=tr("Which of its models: the one with a file that fits, as “*q4_k_m*”.")
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar=tr("NAME"), help=tr("What to call the model."))] = None,
    discard: Annotated[
        bool,
        typer.Option(
            "--discard", help=tr("Remove what is kept of a download that was stopped, and do no more.")
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Fetch the model; the same command again goes on where it was stopped."""
    from hearth.models.hub.repository import parse_repository

    wanted, revision = parse_repository(_of_catalogue(repository))
    with open_models() as registry:
        if discard:
            _discard(registry, wanted)
            return
        entry = _pull(registry, wanted, revision, file, name)
    _say(entry, json)


def _of_catalogue(name: str) -> str:
    """The repository and revision that the catalogue has under this name; else `name` itself."""
    from hearth.models.catalogue import catalogue

    entry = next((one for one in catalogue() if one.id == name.lower()), None)
    return name if entry is None else f"{entry.repository}@{entry.revision}"


def _pull(
    registry: ModelRegistry, wanted: str, revision: str, file: str | None, name: str | None
) -> ModelEntry | CheckpointEntry:
    from hearth.models.hub.choices import choose
    from hearth.services.download_events import DownloadStatus
    from hearth.services.downloads import Downloads
    from hearth.services.hub import look

    with status(tr("Asking {host}…", host=host())):
        offer = look(wanted, revision)
    choice = choose(offer.repository.name, offer.choices, file)
    downloads = Downloads(registry)
    added = downloads.add(offer.repository, choice, name)
    try:
        with progress(tr("Fetching {name}", name=added.name)) as report:

            def show(at: DownloadStatus) -> None:
                report(at.done, at.total)

            return downloads.run(added.id, progress=show)
    except KeyboardInterrupt:
        note("")
        note(
            tr("What is fetched is kept: the same command goes on from there, and with --discard removes it.")
        )
        raise


def _discard(registry: ModelRegistry, wanted: str) -> None:
    from hearth.services.downloads import Downloads
    from hearth.services.install_notes import InstallNotes

    downloads, installs = Downloads(registry), InstallNotes(registry)
    for found in downloads.of_repository(wanted):
        if waiting := installs.waiting_for(found.id):
            _, needed = waiting[0]
            raise CheckpointNeeded(name=needed.repository, model=needed.name)
        downloads.cancel(found.id)
    note(tr("Nothing is left of {name}.", name=wanted))


def _say(entry: ModelEntry | CheckpointEntry, json: bool) -> None:
    from hearth.models.hub.checkpoints import CheckpointEntry

    summary: CheckpointSummary | ModelSummary
    if isinstance(entry, CheckpointEntry):
        summary = CheckpointSummary.of(entry)
        words = tr(
            "{name} is here ({size}), as a checkpoint. Make a model of it: hearth quantize {name} NAME",
            name=entry.name,
            size=size_text(entry.bytes),
        )
    else:
        summary = ModelSummary.of(entry)
        words = tr(
            "{name} is here ({size}). Chat with it: hearth chat {name}",
            name=entry.name,
            size=size_text(entry.bytes),
        )
    if json:
        write_json(summary)
    else:
        write(words)


def search(
    words: Annotated[
        list[str], typer.Argument(metavar=tr("WORDS"), help=tr("Words in the repository's name."))
    ],
    limit: Annotated[
        int,
        typer.Option(
            min=1, max=100, metavar=tr("NUMBER"), help=tr("Repositories to show, the most used first.")
        ),
    ] = 10,
    json: Json = False,
) -> None:
    from hearth.services.hub import search as search_hub

    with status(tr("Asking {host}…", host=host())):
        found = search_hub(" ".join(words), limit)
    if json:
        write_json(found)
    elif not found:
        note(tr("{host} has nothing of that name that Hearth can run or quantize.", host=host()))
    else:
        write_table(
            (tr("REPOSITORY"), tr("FORMAT"), tr("SIZE")), [row for item in found for row in _rows(item)]
        )


def _rows(found: Found) -> list[tuple[str, str, str]]:
    """The repository, and below it its models where it has several."""
    name = found.repository
    if found.gated:
        name = tr("{text} ({detail})", text=name, detail=tr("terms to accept"))
    formats = ", ".join(found.formats)
    if len(found.models) == 1:
        return [(name, formats, size_text(found.models[0].bytes))]
    models = [(f"  {model.name}", model.format.value, size_text(model.bytes)) for model in found.models]
    return [(name, formats, ""), *models]


def login(json: Json = False) -> None:
    """Keep a token for gated and private repositories."""
    from hearth.models.hub.token import check_key_store
    from hearth.services.hub import log_in

    check_key_store()
    token = _ask_for_token()
    with status(tr("Asking {host}…", host=host())):
        name = log_in(token)
    if json:
        write_json(Account(host(), name))
    else:
        write(
            tr("{host} knows you as {name}; the token is in the system's key store.", host=host(), name=name)
        )


def _ask_for_token() -> str:
    where = token_page()
    if sys.stdin.isatty():
        note(tr("A token that may read is made at {page}.", page=where))
        token = getpass.getpass(tr("Token: "), sys.stderr)
    else:
        token = sys.stdin.readline()
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise TokenMissing(page=where)
    return token


def logout() -> None:
    """Forget the token."""
    from hearth.services.hub import log_out

    if log_out():
        write(tr("The token for {host} is gone from the system's key store.", host=host()))
    else:
        note(tr("There is no token for {host} in the system's key store.", host=host()))
