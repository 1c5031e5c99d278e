"""What an answer must match."""

from __future__ import annotations

import msgspec

from hearth.errors import RequestInvalid
from hearth.i18n import tr

_MOST_CHARACTERS = 256 * 1024
# Schemas take the longest to compile, longer than in proportion to their length: such a one about two seconds.
_LONGEST_SCHEMA = 128 * 1024
_MOST_CHOICES = 10_000


class Grammar(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an answer must match: one of the five.

    Attributes:
        json_schema: the answer is JSON that this schema takes; the text of the schema, itself JSON. Properties come
            in the order of the schema.
        regex: the whole answer matches this expression, in the syntax of Rust's `regex` without look-around.
        choice: the answer is one of these texts.
        lark: the answer is what this grammar derives from `start`, in llguidance's variant of Lark's syntax.
        gbnf: the answer is what this grammar derives from `root`, in llama.cpp's notation.
    """

    json_schema: str | None = None
    regex: str | None = None
    choice: tuple[str, ...] = ()
    lark: str | None = None
    gbnf: str | None = None

    def check(self) -> None:
        """Raise RequestInvalid unless exactly one is given, in a sane size. Whether it compiles shows later."""
        texts = {"json_schema": self.json_schema, "regex": self.regex, "lark": self.lark, "gbnf": self.gbnf}
        given: dict[str, tuple[str, ...]] = {
            name: (text,) for name, text in texts.items() if text is not None
        }
        if self.choice:
            given["choice"] = self.choice
        if len(given) != 1:
            raise RequestInvalid(
                reason=tr(
                    "a grammar has exactly one of {names}", names="json_schema, regex, choice, lark, gbnf"
                )
            )
        ((name, parts),) = given.items()
        if not all(parts):
            raise RequestInvalid(reason=tr("{name} has an empty text", name=name))
        if len(parts) > _MOST_CHOICES:
            raise RequestInvalid(
                reason=tr(
                    "choice has {count} texts, and may have {most}", count=len(parts), most=_MOST_CHOICES
                )
            )
        characters = sum(map(len, parts))
        most = _LONGEST_SCHEMA if name == "json_schema" else _MOST_CHARACTERS
        if characters > most:
            raise RequestInvalid(
                reason=tr(
                    "{name} has {characters} characters, and may have {most}",
                    name=name,
                    characters=characters,
                    most=most,
                )
            )
