"""Translation of every text that a user sees, through gettext.

`tr` translates now; `mark` only marks a template for extraction, for texts that are translated when they are shown.
Catalogues are `translations/<language>/LC_MESSAGES/hearth.mo` in the resources. English is the source language.
"""

from __future__ import annotations

import gettext
import locale
import os
from typing import Any

from hearth.paths import resource

_DOMAIN = "hearth"
_catalogue: gettext.NullTranslations = gettext.NullTranslations()


def system_language() -> str:
    """The language that the system asks for, such as `zh_CN` or `en`."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable, "").split(".")[0]
        if value and value not in ("C", "POSIX"):
            return value
    return (locale.getlocale()[0] or "en").split(".")[0]


def use_language(language: str) -> None:
    """Show texts in `language` from now on; `system` follows the system, an unknown one falls back to English."""
    global _catalogue
    wanted = system_language() if language == "system" else language
    _catalogue = gettext.translation(_DOMAIN, str(resource("translations")), [wanted], fallback=True)


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
