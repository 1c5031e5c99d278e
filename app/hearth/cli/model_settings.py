"""`hearth models rename` and `settings`: what a model is called, and what it uses of its own."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from hearth.cli.model_summary import ModelSummary
from hearth.cli.opening import open_hearth
from hearth.cli.options import Json, Name
from hearth.cli.output import harmless, write, write_json, write_pairs
from hearth.errors import CommandInvalid
from hearth.i18n import tr

_SETTINGS = "hearth models settings"


def rename(
    name: Name,
    new: Annotated[str, typer.Argument(metavar=tr("NEW"), help=tr("What to call it from now on."))],
    json: Json = False,
) -> None:
    """Conversations and settings follow; the old name stays an alias."""
    from hearth.services.model_manager import ModelManager

    with open_hearth() as hearth:
        entry = ModelManager(hearth).rename(name, new)
    if json:
        write_json(ModelSummary.of(entry))
    else:
        aliases = ", ".join(entry.aliases)
        write(tr("{name} has these aliases: {aliases}", name=entry.name, aliases=aliases))


def settings(
    name: Name,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar=tr("KEY=VALUE"),
            help=tr(
                "Change one, as in temperature=0.2; without a value it is taken away. May be given again."
            ),
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show what is set for the model, and what holds for the rest."""
    from hearth.services.model_manager import ModelManager

    with open_hearth() as hearth:
        entry = hearth.models.get(name)
        if set_:
            entry = ModelManager(hearth).change_settings(entry.name, dict(map(_change, set_)))
        own = msgspec.structs.asdict(entry.manifest.settings)
        engine = msgspec.structs.asdict(hearth.config.engine)
        rest = {**engine, **msgspec.structs.asdict(hearth.defaults_of(entry))}
    if json:
        write_json(
            {"name": entry.name, "settings": own, "applied": {key: _applied(own, rest, key) for key in own}}
        )
    else:
        write_pairs([(key, _text(own[key], rest[key])) for key in own])


def _change(text: str) -> tuple[str, object | None]:
    """`key=value` as a key and its value."""
    from hearth.model_folder.model_settings import check_key, parse_setting

    key, equals, value = text.partition("=")
    if not equals:
        reason = tr("“{text}” must be a setting, “=” and a value", text=text)
        raise CommandInvalid(reason=reason, command=_SETTINGS)
    check_key(key)
    return key, parse_setting(key, value) if value else None


def _applied(own: dict[str, object], rest: dict[str, object], key: str) -> object:
    return rest[key] if own[key] is None else own[key]


def _text(own: object, rest: object) -> str:
    if own is None:
        return tr("{text} ({detail})", text=_shown(rest), detail=tr("not set for this model"))
    return _shown(own)


def _shown(value: object) -> str:
    return harmless(msgspec.json.encode(value).decode())
