"""How commands write: results to stdout, all else to stderr, and nothing that moves where nobody watches."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

# Control characters but tab and newline: in a terminal they move the cursor, change the title, or worse.
_CONTROLS = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)], "\N{REPLACEMENT CHARACTER}")


def write(text: str) -> None:
    """A line to stdout, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def write_streamed(text: str) -> None:
    """What a model wrote to stdout, at once; harmless where it is a terminal, exact where it is a file."""
    sys.stdout.write(harmless(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def harmless(text: str) -> str:
    """The text without what a terminal would obey."""
    return text.translate(_CONTROLS)


def note(text: str) -> None:
    """A line to stderr, for people."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def ask(question: str) -> bool:
    """Ask on stderr whether to go on; anything but yes is no."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes", "是")


def write_json(value: Any) -> None:
    """A value to stdout as JSON, for programs; in lines, so that people may read it too."""
    write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def write_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns without lines, so that other tools can cut them."""
    table = [headers, *rows]
    widths = [max(text_width(row[column]) for row in table) for column in range(len(headers))]
    for row in table:
        cells = [cell + " " * (width - text_width(cell)) for cell, width in zip(row, widths, strict=True)]
        write("  ".join(cells).rstrip())


def write_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Names and values, a line each."""
    width = max(text_width(name) for name, _ in pairs)
    for name, value in pairs:
        write(f"{name}{' ' * (width - text_width(name))}  {value}".rstrip())


def size_text(count: int) -> str:
    """A number of bytes for people, in powers of 1000 as disks are sold."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def measured_speed_text(speed: float) -> str:
    """A number of tokens a second, as exact as it was measured."""
    return f"{speed:.0f}" if speed >= 100 else f"{speed:.3g}"


@contextmanager
def status(text: str) -> Iterator[None]:
    """Show that something takes a while, where somebody watches."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


@contextmanager
def progress(text: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar for bytes, where somebody watches; gives a callback for done and total."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def step_progress(text: str) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar with the time left, where somebody watches; gives a callback for what is done, and done and total.

    What is done begins with `text`; where that changes, the time starts anew.
    """
    if not sys.stderr.isatty():
        yield lambda _text, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task, shown = bar.add_task(text, total=None), text

        def update(now: str, done: int, total: int) -> None:
            nonlocal shown
            if now != shown:
                bar.reset(task, description=now)
                shown = now
            bar.update(task, completed=done, total=total)

        yield update


def text_width(text: str) -> int:
    """Columns that a terminal gives to `text`."""
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)
