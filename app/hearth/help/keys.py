"""Keys in the help, spelled as the reader's system spells them."""

from __future__ import annotations

import re
import sys

from hearth.help.page import HelpPage

# Pages on what a terminal does: there a Mac has Ctrl+C, too.
TERMINAL_PAGES = frozenset({"command-line", "terminal-chat", "run-in-scripts", "bench-and-doctor"})

_NAMES = "Backspace|Delete|Down|End|Enter|Esc|Home|Left|Page Down|Page Up|Right|Space|Tab|Up"
_KEY = re.compile(rf"(?:(?:Ctrl|Shift|Alt)\+)+(?:[A-Z0-9]|[+\-=,.]|F\d\d?|{_NAMES})|F\d\d?|{_NAMES}")
_MAC = {
    "Ctrl": "⌘",
    "Alt": "⌥",
    "Shift": "⇧",
    "Backspace": "⌫",
    "Delete": "⌦",
    "Enter": "Return",
    "Left": "←",
    "Right": "→",
    "Up": "↑",
    "Down": "↓",
}
_MAC_ORDER = ("Alt", "Shift", "Ctrl")


def is_key(code: str) -> bool:
    """Whether `code` is a key or a combination of keys, such as `Ctrl+N` or `Enter`."""
    return _KEY.fullmatch(code) is not None


def native_key(key: str, system: str = sys.platform) -> str:
    """The key as menus show it: `Ctrl+N` is ⌘N on a Mac."""
    if system != "darwin":
        return key
    if key == "F11":
        return "⌃⌘F"  # what Qt gives for full screen there
    *modifiers, last = key.replace("++", "+plus").split("+")
    held = "".join(_MAC[name] for name in _MAC_ORDER if name in modifiers)
    return held + ("+" if last == "plus" else _MAC.get(last, last))


def native_keys(page: HelpPage, markdown: str, system: str = sys.platform) -> str:
    """`markdown` of that page with all its keys so."""
    if page.id in TERMINAL_PAGES:
        return markdown
    return re.sub(
        r"`([^`\n]+)`",
        lambda found: f"`{native_key(found[1], system)}`" if is_key(found[1]) else found[0],
        markdown,
    )
