"""The grammar that the options of a command name."""

from __future__ import annotations

from pathlib import Path

from hearth.engine.grammar import Grammar
from hearth.errors import InputInvalid, because
from hearth.i18n import tr


def read_grammar(
    json_schema: Path | None,
    regex: str | None,
    choice: list[str] | None,
    lark: Path | None,
    gbnf: Path | None,
) -> Grammar | None:
    """The grammar, from text or from files; None where nothing is given.

    Raises:
        InputInvalid: a file cannot be read, or is not UTF-8.
        RequestInvalid: more than one is given, or it is empty or too long.
    """
    if json_schema is None and regex is None and not choice and lark is None and gbnf is None:
        return None
    grammar = Grammar(
        json_schema=_read(json_schema),
        regex=regex,
        choice=tuple(choice or ()),
        lark=_read(lark),
        gbnf=_read(gbnf),
    )
    grammar.check()
    return grammar


def _read(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputInvalid(reason=f"{file}: {because(error)}") from error
    except UnicodeDecodeError as error:
        raise InputInvalid(reason=tr("{file} is not text in UTF-8", file=file)) from error
