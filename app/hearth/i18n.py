"""Translation of every text that a user sees, through gettext.

`tr` translates now; `mark` only marks a template for extraction, for texts that are translated when they are shown.
Catalogues are `translations/<language>/LC_MESSAGES/hearth.mo` in the resources. English is the source language.
"""

from __future__ import annotations

import gettext
import locale
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from typing import Any, Final

from hearth.paths import resource

LANGUAGES: Final = {"en": "English", "zh": "简体中文"}
"""The languages that Hearth speaks, each under its own name."""

_DOMAIN = "hearth"
_catalogue: gettext.NullTranslations = gettext.NullTranslations()
_language = "en"


def use_language(language: str) -> None:
    """Show texts in `language` from now on; `system` follows the system, an unknown one falls back to English."""
    global _catalogue, _language
    _language = nearest(system_languages() if language == "system" else [language])
    _catalogue = gettext.translation(_DOMAIN, str(resource("translations")), [_language], fallback=True)


def language() -> str:
    """The language in force, a key of LANGUAGES."""
    return _language


def mark(text: str) -> str:
    """Mark a template for extraction; it is translated when it is shown."""
    return text


def tr(text: str, /, **params: Any) -> str:
    """The translation of `text` with its `{parameters}` filled in."""
    translated = _catalogue.gettext(text)
    return translated.format_map(params) if params else translated


def ntr(singular: str, plural: str, n: int, /, **params: Any) -> str:
    """The translation for a count; `{n}` is filled in with it."""
    return _catalogue.ngettext(singular, plural, n).format_map({"n": n, **params})


def nearest(wanted: Iterable[str]) -> str:
    """The key of LANGUAGES for the first of these that Hearth speaks, such as `zh_TW` or `zh-Hans-CN`; or English."""
    codes = (re.split(r"[-_.@]", language)[0].lower() for language in wanted)
    return next((code for code in codes if code in LANGUAGES), "en")


def system_languages() -> list[str]:
    """The languages that the system asks for, the most wanted first: the variables of gettext, or the desktop's own."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable, "")
        if value.partition(".")[0] in ("C", "POSIX"):
            return ["en"]
        if value:
            return [*os.environ.get("LANGUAGE", "").split(":"), value]
    # A program that is started by a click has none of them on macOS and Windows.
    if sys.platform == "darwin":
        asked = ["/usr/bin/defaults", "read", "-g", "AppleLanguages"]
        return languages_of_macos(subprocess.run(asked, capture_output=True, text=True, check=False).stdout)
    if sys.platform == "win32":
        import ctypes

        return languages_of_windows(ctypes.windll.kernel32.GetUserDefaultUILanguage())
    return []


def languages_of_macos(told: str) -> list[str]:
    """What `defaults read -g AppleLanguages` tells: a list in brackets, the most wanted first."""
    return re.findall(r"[A-Za-z][\w-]*", told)


def languages_of_windows(identifier: int) -> list[str]:
    """What GetUserDefaultUILanguage tells: the number of a language, such as 0x0804 for `zh_CN`."""
    return [locale.windows_locale.get(identifier, "")]
