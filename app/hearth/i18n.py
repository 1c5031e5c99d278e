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
from typing import Any, Final

from hearth.paths import resource

LANGUAGES: Final = {"en": "English", "zh": "简体中文"}
"""The languages that Hearth speaks, each under its own name."""

_DOMAIN = "hearth"
_catalogue: gettext.NullTranslations = gettext.NullTranslations()
_language = "en"


def system_language() -> str:
    """The language that the system asks for, such as `zh_CN` or `en`."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable, "").split(".")[0]
        if value and value not in ("C", "POSIX"):
            return value
    return _desktop_language() or (locale.getlocale()[0] or "en").split(".")[0]


def use_language(language: str) -> None:
    """Show texts in `language` from now on; `system` follows the system, an unknown one falls back to English."""
    global _catalogue, _language
    wanted = system_language() if language == "system" else language
    code = wanted.replace("-", "_").split("_")[0].lower()
    _language = code if code in LANGUAGES else "en"
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


def _desktop_language() -> str:
    """What macOS and Windows tell, which set no variables for a program that is started by a click."""
    if sys.platform == "win32":
        import ctypes

        return locale.windows_locale.get(ctypes.windll.kernel32.GetUserDefaultUILanguage(), "")
    if sys.platform == "darwin":
        asked = ["/usr/bin/defaults", "read", "-g", "AppleLanguages"]
        told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
        first = re.search(r"[A-Za-z][\w-]*", told)  # of a list such as ( "zh-Hans-CN", "en-CN" )
        return first.group() if first else ""
    return ""
