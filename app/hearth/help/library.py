"""All help pages in one language, in reading order."""

from __future__ import annotations

import logging
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hearth.help.page import HelpPage, parse_page
from hearth.help.search import HelpHit, HelpIndex
from hearth.paths import resource

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HelpGroup:
    """Pages that belong together."""

    title: str
    pages: tuple[HelpPage, ...]


@dataclass(frozen=True)
class HelpLibrary:
    """The help in one language."""

    language: str
    groups: tuple[HelpGroup, ...]

    @cached_property
    def pages(self) -> tuple[HelpPage, ...]:
        """All pages in reading order."""
        return tuple(page for group in self.groups for page in group.pages)

    def page(self, page_id: str) -> HelpPage:
        """
        Raises:
            KeyError: there is no such page.
        """
        for page in self.pages:
            if page.id == page_id:
                return page
        raise KeyError(page_id)

    def search(self, words: str) -> list[HelpHit]:
        """The places that `words` lead to, the best first."""
        return self._index.search(words)

    @cached_property
    def _index(self) -> HelpIndex:
        return HelpIndex(self.pages)


def read_help(language: str, *, strict: bool = False, folder: Path | None = None) -> HelpLibrary:
    """Read the contents and every page.

    Args:
        language: a key of `i18n.LANGUAGES`.
        strict: whether a page that is missing or whose form is broken is an error. Where it is not, what can be
            shown is read and the log says what is wrong.
        folder: where `contents.toml`, `en` and `zh` lie; by default what travels with Hearth.

    Raises:
        ValueError: a page is missing or broken, and where; only if `strict`.
    """
    folder = folder or resource("help")
    groups = []
    for group in _contents(folder / "contents.toml", strict):
        pages = [_read(folder / language, str(page_id), strict) for page_id in group.get("pages", ())]
        groups.append(HelpGroup(str(group.get(language, "")), tuple(page for page in pages if page)))
    return HelpLibrary(language, tuple(group for group in groups if group.pages))


def _contents(file: Path, strict: bool) -> list[dict[str, Any]]:
    try:
        groups: list[dict[str, Any]] = tomllib.loads(file.read_text(encoding="utf-8"))["group"]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError) as error:
        _complain(f"{file}: {error}", strict)
        return []
    return groups


def _read(folder: Path, page_id: str, strict: bool) -> HelpPage | None:
    file = folder / f"{page_id}.md"
    try:
        source = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        _complain(f"{file}:1: {error}", strict)
        return None
    page, faults = parse_page(page_id, source)
    for fault in faults:
        _complain(f"{file}:{fault.line}: {fault.text}", strict)
    return page


def _complain(text: str, strict: bool) -> None:
    if strict:
        raise ValueError(text)
    _log.warning("help: %s", text)
