"""Sizes, durations, how far something is, and errors, in the words of a person."""

from __future__ import annotations

import re

from PySide6.QtCore import QLocale

from hearth import paths
from hearth.errors import HearthError
from hearth.i18n import ntr, tr
from hearth.services.events import ModelStatus

_PIECE = 16


def size_text(size: int) -> str:
    """`size` bytes, such as “1.2 MB”."""
    return QLocale().formattedDataSize(size, 1, QLocale.DataSizeFormat.DataSizeSIFormat)


def memory_text(size: int) -> str:
    """`size` bytes of memory, such as “16 GB”: by 1024, as memory is sold."""
    text = QLocale().formattedDataSize(size, 1, QLocale.DataSizeFormat.DataSizeTraditionalFormat)
    return text.replace(f"{QLocale().decimalPoint()}0 ", " ")


def speed_text(speed: float) -> str:
    """A number of tokens a second, no more exact than an estimate is."""
    return QLocale().toString(speed, "f", 0 if speed >= 10 else 1)


def measured_speed_text(speed: float) -> str:
    """A number of tokens a second, as exact as it was measured."""
    return QLocale().toString(speed, "f", 0) if speed >= 100 else QLocale().toString(speed, "g", 3)


def time_left_text(seconds: float) -> str:
    """How long something will still take."""
    whole = max(1, round(seconds))
    if whole < 60:
        return ntr("{n} second left", "{n} seconds left", whole)
    if whole < 90 * 60:
        return ntr("{n} minute left", "{n} minutes left", round(whole / 60))
    return ntr("{n} hour left", "{n} hours left", round(whole / 3600))


def about_text(seconds: float) -> str:
    """About how long something takes that was not begun."""
    if seconds < 90:
        return tr("about a minute")
    if seconds < 90 * 60:
        return ntr("about {n} minute", "about {n} minutes", round(seconds / 60))
    return ntr("about {n} hour", "about {n} hours", round(seconds / 3600))


def loading_text(status: ModelStatus) -> str:
    """Which model is on its way, and how far."""
    percent = round(status.progress * 100)
    if status.is_preparing:
        return tr("Preparing {name}… {percent} %", name=status.name, percent=percent)
    return tr("Loading {name}… {percent} %", name=status.name, percent=percent)


def breakable(name: str) -> str:
    """`name` with places where a line may end, which cannot be seen."""
    pieces = (
        piece[at : at + _PIECE]
        for piece in re.split(r"(?<=[-._])", name)
        for at in range(0, len(piece), _PIECE)
    )
    return "\u200b".join(pieces)


def two_sentences(first: str, second: str) -> str:
    """One after the other, as the language parts them; the second may be empty."""
    return tr("{first} {second}", first=first, second=second) if second else first


def error_text(error: Exception) -> str:
    """What happened and what to do; for what Hearth does not know, where the log is."""
    if isinstance(error, HearthError):
        return str(error)
    return tr("Something went wrong. The details are in {path}.", path=str(paths.log_file()))
