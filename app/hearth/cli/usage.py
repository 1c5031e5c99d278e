"""What the command line says by itself, in the reader's language: help, usage, and what is wrong with a command.

Typer has these words in English only. So commands lay out their help here, and Typer's complaints are recognised and
told in Hearth's words; one that is not recognised stays as it is.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from hearth.cli.output import note, text_width
from hearth.errors import CommandInvalid
from hearth.i18n import mark, tr

_WIDEST = 80  # columns
_NAMES = 30  # columns that names of options may take before what they mean begins below them

_COMPLAINTS = (
    (r"Missing command\.", mark("a command is missing")),
    (
        r"No such command '(?P<name>.*)'\. Did you mean (?P<near>.*)\?",
        mark("there is no command {name}, but there is {near}"),
    ),
    (r"No such command '(?P<name>.*)'\.", mark("there is no command {name}")),
    (
        r"No such option: (?P<name>\S+) \(Possible options: (?P<near>.*)\)",
        mark("there is no option {name}, but there is {near}"),
    ),
    (r"No such option: (?P<name>.*)", mark("there is no option {name}")),
    (r"Missing (argument|option) '(?P<name>.*)'\.", mark("{name} is missing")),
    (r"Got unexpected extra argument\(s\) \((?P<words>.*)\)", mark("there is no place for “{words}”")),
    (r"Option '(?P<name>.*)' requires an argument\.", mark("{name} needs a value")),
    (r"Option '(?P<name>.*)' does not take a value\.", mark("{name} takes no value")),
    (
        r"Invalid value for '(?P<name>.*)': Input should be a valid integer\b.*",
        mark("{name} must be a whole number"),
    ),
    (
        r"Invalid value for '(?P<name>.*)': Input should be a valid number\b.*",
        mark("{name} must be a number"),
    ),
    (
        r"Invalid value for '(?P<name>.*)': Input should be greater than or equal to (?P<low>\S+)",
        mark("{name} must be at least {low}"),
    ),
)
"""What Typer says, and what is said in its place."""


class Command(TyperCommand):
    """A command whose help is in the reader's language."""

    def get_usage(self, ctx: Any) -> str:
        return _usage(ctx)

    def get_help(self, ctx: Any) -> str:
        return _help(ctx)


class Group(TyperGroup):
    """A group of commands whose help is in the reader's language; it is shown where no command is given."""

    def get_usage(self, ctx: Any) -> str:
        return _usage(ctx)

    def get_help(self, ctx: Any) -> str:
        return _help(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args:
            note(_help(ctx))
            raise typer.Exit(2)
        return super().parse_args(ctx, args)


class CommandLine(typer.Typer):
    """Commands that speak the reader's language."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            cls=Group,
            add_completion=False,
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
            context_settings={"help_option_names": ["-h", "--help"]},
            **settings,
        )

    def command(self, *names: Any, **settings: Any) -> Callable[[Any], Any]:
        return super().command(*names, cls=Command, **settings)

    def run(self, arguments: Sequence[str]) -> int:
        """Do what the command line says; the exit code.

        Raises:
            CommandInvalid: it makes no sense; its usage was written.
            HearthError: it could not be done.
        """
        try:
            code = self(args=list(arguments), prog_name="hearth", standalone_mode=False)
        except SystemExit as end:  # whoever read the output has had enough
            code = end.code
        except typer.TyperException as error:
            context = getattr(error, "ctx", None)
            if context is not None:
                note(_usage(context))
            raise CommandInvalid(
                reason=_reason(error.format_message()),
                command=context.command_path if context is not None else "hearth",
            ) from error
        return code if isinstance(code, int) else 0


def _reason(complaint: str) -> str:
    for pattern, template in _COMPLAINTS:
        found = re.fullmatch(pattern, complaint, re.DOTALL)
        if found:
            return tr(template, **{name: value.replace("'", "") for name, value in found.groupdict().items()})
    return complaint.rstrip(".")


def _usage(context: Any) -> str:
    words = [context.command_path, tr("[OPTIONS]")]
    words += [_placeholder(one) for one in context.command.params if not isinstance(one, TyperOption)]
    if isinstance(context.command, TyperGroup):
        words.append(tr("COMMAND"))
    return tr("Usage: {command}", command=" ".join(words))


def _help(context: Any) -> str:
    command = context.command
    options = [one for one in command.params if isinstance(one, TyperOption)]
    arguments = [one for one in command.params if one not in options]
    lines = [_usage(context), ""]
    lines += ["  " + line for line in wrapped(command.help or "", _columns() - 2)]
    lines += _table(tr("Arguments:"), [(one.metavar or one.name, one.help or "") for one in arguments])
    lines += _table(
        tr("Options:"),
        [*((_names(one), _meaning(one)) for one in options), ("-h, --help", tr("Show this help."))],
    )
    if isinstance(command, TyperGroup):
        lines += _table(tr("Commands:"), [(name, one.help or "") for name, one in command.commands.items()])
    return "\n".join(lines)


def _placeholder(argument: Any) -> str:
    name = argument.metavar or argument.name
    return (name if argument.required else f"[{name}]") + ("..." if argument.nargs != 1 else "")


def _names(option: TyperOption) -> str:
    names = ", ".join(sorted(option.opts, key=len))
    return names if option.is_flag else f"{names} {option.metavar}"


def _meaning(option: TyperOption) -> str:
    text = option.help or ""
    if option.is_flag or not option.default:  # what 0 means is in the text
        return text
    return tr("{text} [default: {value}]", text=text, value=option.default)


def _table(heading: str, rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    """A heading, and names beside what they mean; nothing where there are none."""
    if not rows:
        return
    yield ""
    yield heading
    column = min(max(text_width(name) for name, _ in rows), _NAMES) + 4
    for name, meaning in rows:
        first, *others = wrapped(meaning, _columns() - column) or [""]
        start = "  " + name
        if text_width(start) + 2 > column:
            yield start
            start = ""
        yield (start + " " * (column - text_width(start)) + first).rstrip()
        yield from (" " * column + line for line in others)


def _columns() -> int:
    return min(shutil.get_terminal_size().columns, _WIDEST)


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns: broken at spaces and between Chinese characters, never before punctuation."""
    lines = [""]
    for piece in _PIECES.findall(text):
        if lines[-1] and text_width(lines[-1] + piece.rstrip()) > width:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += piece
    return [line for line in [*lines[:-1], lines[-1].rstrip()] if line]


# What stays on one line: a character of a wide script, or a word, each with the punctuation and spaces behind it.
_WIDE = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
_CLOSING = "，。；：！？、）」』】》”…"
_PIECES = re.compile(rf"(?:[（「『【《“]*[{_WIDE}]|[^\s{_WIDE}{_CLOSING}]+|[{_CLOSING}])[{_CLOSING}]*\s*")
