"""`hearth help`: the help pages in the terminal."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer

from hearth.cli.output import note, write, write_table
from hearth.help import HelpLibrary, read_help
from hearth.help.keys import native_keys
from hearth.help.page import HelpPage
from hearth.i18n import language, tr

_WIDEST = 100  # columns; longer lines are hard to read


def help_(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar=tr("WORDS"), help=tr("What you want to know; or a page's name.")),
    ] = None,
    all_: Annotated[bool, typer.Option("--list", help=tr("List all pages by their names."))] = False,
) -> None:
    """Write the page that fits the words best; the contents without words. The exit code is 1 where none fits."""
    library = read_help(language())
    asked = " ".join(words or ())
    if all_:
        write_table([tr("Page"), tr("Title")], [[page.id, page.title] for page in library.pages])
    elif not asked:
        _write_contents(library)
    else:
        found = _find(library, asked)
        if not found:
            note(tr("Nothing found for “{words}”.", words=asked))
            note(tr("Try fewer or other words; “hearth help” shows the contents."))
            raise typer.Exit(1)
        _write_page(found[0], found[1:])


def _find(library: HelpLibrary, asked: str) -> list[HelpPage]:
    """The page of that name, or those that the words lead to, the best first."""
    named = [page for page in library.pages if page.id == asked]
    return named or list(dict.fromkeys(hit.page for hit in library.search(asked)))


def _write_contents(library: HelpLibrary) -> None:
    width = max((len(page.id) for page in library.pages), default=0)
    for group in library.groups:
        write(group.title)
        for page in group.pages:
            write(f"  {page.id:<{width}}  {page.title}")
        write("")
    write(tr("Read a page, or search: hearth help WORDS"))


def _write_page(page: HelpPage, others: list[HelpPage]) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    parts = [f"# {page.title}", page.intro]
    for section in page.sections:
        parts += [f"## {section.heading}", section.text]
    console = Console(file=sys.stdout, highlight=False)
    console.width = min(console.width, _WIDEST)
    console.print(Markdown(_terminal_links(native_keys(page, "\n\n".join(parts))), hyperlinks=False))
    if others:
        write("")
        write(tr("More about it:"))
        for other in others[:3]:
            write(f"  hearth help {other.id}")


def _terminal_links(markdown: str) -> str:
    """Links between pages as the commands that lead there."""
    return re.sub(r"\[([^\]]+)\]\(([\w-]+)(?:#[^)]*)?\)", r"\1 (`hearth help \2`)", markdown)
