"""What a help page may name: only what is really there. Used by the test of the pages."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote

import msgspec
import typer
from babel.messages.pofile import read_po
from markdown_it import MarkdownIt
from markdown_it.token import Token
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMainWindow

import hearth
from hearth import paths
from hearth.cli.app import app
from hearth.cli.terminal_chat import COMMANDS
from hearth.config import Config
from hearth.help import HelpLibrary
from hearth.help.keys import is_key
from hearth.help.page import HelpPage, HelpSection
from hearth.help.search import plain_text
from hearth.ui.menus import build_menus

PACKAGE = Path(hearth.__file__).parent
ROOT = PACKAGE.parents[1]

# How long an answer may be. In Chinese a character counts, and a Latin word or a number as one.
LENGTHS = {"en": (12, 45), "zh": (20, 85)}

# Keys that no menu has: the file that handles each, and what stands there.
IN_VIEW_KEYS = {
    "Enter": ("ui/chat/growing_edit.py", "Key.Key_Return"),
    "Shift+Enter": ("ui/chat/growing_edit.py", "ShiftModifier"),
    "Up": ("ui/chat/growing_edit.py", "Key.Key_Up"),
    "Down": ("ui/model_picker.py", "Key.Key_Down"),
    "Ctrl+A": ("ui/chat/chat_view.py", "StandardKey.SelectAll"),
    "Home": ("ui/chat/scroll_keys.py", "Key.Key_Home"),
    "End": ("ui/chat/chat_view.py", "Key.Key_End"),
    "Page Up": ("ui/chat/scroll_keys.py", "Key.Key_PageUp"),
    "Page Down": ("ui/chat/scroll_keys.py", "Key.Key_PageDown"),
    "Delete": ("ui/conversation_list.py", "Key.Key_Delete"),
    "Tab": ("ui/chat/chat_view.py", "focusNextPrevChild"),
    "F11": ("ui/menus.py", "key.FullScreen"),  # a Mac has another
    "Ctrl+F": ("ui/help_window.py", '"Ctrl+F"'),
    "Alt+Left": ("ui/help_window.py", '"Alt+Left"'),
    "Alt+Right": ("ui/help_window.py", '"Alt+Right"'),
    "Ctrl+W": ("ui/help_window.py", '"Ctrl+W"'),
    "Ctrl+D": ("cli/terminal_chat.py", "Ctrl+D"),
}

# Code that is none of Hearth's names: what other programs call their things, and values.
OTHER_CODE = frozenset(
    {
        "#",
        ">",
        "~",
        "Ctrl",
        ".venv",
        ".venv/bin",
        ".venv/Scripts",
        "hearth-starter",
        "model.onnx",
        "model.onnx.data",
        "~/Library/Application Support/Hearth",
        "~/.local/share/Hearth",
        r"%LOCALAPPDATA%\Hearth",
        "INFO",
        "WARNING",
        "ERROR",
    }
)


@dataclass(frozen=True)
class Screen:
    """What the program shows in one language, and the keys that its menus have.

    Attributes:
        names: every text, without the marks of its accelerator.
        menus: the texts of the menus, and of every entry with its menu: `("File", "New Chat")`.
    """

    names: frozenset[str]
    menus: frozenset[tuple[str, ...]]
    keys: frozenset[str]


def screen(language: str) -> Screen:
    """What the program shows in that language; needs a QApplication."""
    sources = set(_source_texts())
    translated = {text: text for text in sources}
    if language != "en":
        file = ROOT / "resources" / "translations" / language / "LC_MESSAGES" / "hearth.po"
        with file.open("rb") as stream:
            for message in read_po(stream):
                for text in (message.id,) if isinstance(message.id, str) else message.id:
                    found = message.string if isinstance(message.string, str) else message.string[0]
                    translated[text] = found or text
    window = QMainWindow()
    build_menus(window)
    menus: set[tuple[str, ...]] = set()
    keys: set[str] = set()
    for menu in window.menuBar().actions():
        title = bare(translated[menu.text()])
        menus.add((title,))
        for action in menu.menu().actions():
            if not action.isSeparator():
                menus.add((title, bare(translated[action.text()])))
                keys.update(_keys(action))
    window.deleteLater()
    return Screen(frozenset(bare(translated[text]) for text in sources), frozenset(menus), frozenset(keys))


def bare(text: str) -> str:
    """A text of the screen as it is read: no accelerators, `&New` or `新建(&N)`."""
    return re.sub(r"&(.)", r"\1", re.sub(r"\s*\(&\w\)", "", text))


def faults(page: HelpPage, library: HelpLibrary, shown: Screen) -> list[str]:
    """What is wrong with a page whose form is right."""
    found: list[str] = []
    low, high = LENGTHS[library.language]
    for section in page.sections:
        length = answer_length(section, library.language)
        if not low <= length <= high:
            found.append(f"{section.heading}: the answer has length {length}, not {low} to {high}")
    found += [f"**{name}** is not on the screen" for name in _bold(page) if not is_on_screen(name, shown)]
    found += [f"`{code}`: {fault}" for code in _codes(page) if (fault := code_fault(code, shown))]
    found += [f"({link}) leads nowhere" for link in _links(page) if not _leads(link, page, library)]
    found += [f"HTML or a picture: {text}" for text in _foreign(page)]
    found += [f"marks that are not read as such: {text}" for text in _left_over(page)]
    return found


def answer_length(section: HelpSection, language: str) -> int:
    text = plain_text(section.answer)
    if language == "en":
        return len(text.split())
    wide = "\u3400-\u9fff"
    return len(re.findall(rf"[{wide}]|[^\W{wide}]+", text))


def is_on_screen(name: str, shown: Screen) -> bool:
    """Whether a name, or each step of a path, is there; a path that begins with a menu must be one of its entries."""
    steps = tuple(name.split(" > "))
    if len(steps) > 1 and steps[:1] in shown.menus:
        return steps[:2] in shown.menus and all(step in shown.names for step in steps[2:])
    return all(step in shown.names for step in steps)


def code_fault(code: str, shown: Screen) -> str:
    """Why `code` cannot stand in a help page; empty where it is the name of something that is there."""
    if is_key(code):
        return "" if code in shown.keys or code in IN_VIEW_KEYS else "no such key"
    words = re.findall(r"(?:^|\||\s)(hearth(?:\s[^|<>]*)?)(?=$|[|<>])", code)
    if words:
        return next(filter(None, map(_command_fault, words)), "")
    first, *others = code.split()
    if code.startswith("-"):
        return "" if first in _all_options() else "no command has that option"
    if code.startswith("/"):
        return "" if first in COMMANDS else "no such command in the terminal chat"
    if first == "make":
        return "" if (others or ["help"])[0] in _make_targets() else "make has no such target"
    known = code in OTHER_CODE or code in _files() or code in _settings() or code in _commands(_root())
    assigned = re.fullmatch(r"(\w+) = .+|\[(\w+)\]", code)
    if assigned and not known:
        name = assigned[1] or assigned[2]
        known = any(name in setting.split(".") for setting in _settings())
    return "" if known or code in _literals() else "nothing is called that"


def in_view_key_fault(key: str) -> str:
    """Why the reviewed list of keys is wrong about `key`."""
    file, words = IN_VIEW_KEYS[key]
    return "" if words in (PACKAGE / file).read_text(encoding="utf-8") else f"{file} has no {words}"


# What pages hold


def _tokens(page: HelpPage) -> Iterator[Token]:
    parser = MarkdownIt("commonmark").enable("table")
    for markdown in (page.title, page.intro, *(f"{s.heading}\n\n{s.text}" for s in page.sections)):
        for token in parser.parse(markdown):
            yield token
            yield from token.children or ()


def _bold(page: HelpPage) -> Iterator[str]:
    inside: list[str] | None = None
    for token in _tokens(page):
        if token.type == "strong_open":
            inside = []
        elif token.type == "strong_close" and inside is not None:
            yield "".join(inside)
            inside = None
        elif inside is not None:
            inside.append(token.content or token.markup)


def _codes(page: HelpPage) -> Iterator[str]:
    for token in _tokens(page):
        if token.type == "code_inline":
            yield token.content
        elif token.type in ("fence", "code_block"):
            yield from (line for line in token.content.splitlines() if line.strip())


def _links(page: HelpPage) -> Iterator[str]:
    return (unquote(str(token.attrGet("href"))) for token in _tokens(page) if token.type == "link_open")


def _foreign(page: HelpPage) -> Iterator[str]:
    return (token.content for token in _tokens(page) if token.type in ("html_block", "html_inline", "image"))


def _left_over(page: HelpPage) -> Iterator[str]:
    """Text with marks in it. Bold that ends in “…” ends for Markdown only before a space or a sign."""
    return (token.content for token in _tokens(page) if token.type == "text" and "**" in token.content)


def _leads(link: str, page: HelpPage, library: HelpLibrary) -> bool:
    if link.startswith("https://"):
        return True
    page_id, _, heading = link.partition("#")
    pages = {known.id: known for known in library.pages}
    target = pages.get(page_id) if page_id else page
    return target is not None and (not heading or target.section(heading) is not None)


# What the program has


@cache
def _trees() -> list[ast.Module]:
    return [ast.parse(file.read_text(encoding="utf-8")) for file in sorted(PACKAGE.rglob("*.py"))]


def _source_texts() -> Iterator[str]:
    """The first argument of every tr() and mark(), and the first two of every ntr()."""
    for tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                count = {"tr": 1, "mark": 1, "ntr": 2}.get(node.func.id, 0)
                for argument in node.args[:count]:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield argument.value


def _keys(action: QAction) -> Iterator[str]:
    for sequence in action.shortcuts():
        text = sequence.toString(QKeySequence.SequenceFormat.PortableText)
        yield text.replace("PgUp", "Page Up").replace("PgDown", "Page Down").replace("Del", "Delete")


@cache
def _root() -> Any:
    return typer.main.get_command(app)


def _commands(group: Any) -> dict[str, Any]:
    return getattr(group, "commands", {})


def _options(command: Any) -> dict[str, Any]:
    """The options of a command by their names, with what they are."""
    found = {name: option for option in command.params for name in (*option.opts, *option.secondary_opts)}
    return {
        **{name: option for name, option in found.items() if name.startswith("-")},
        "-h": None,
        "--help": None,
    }


@cache
def _all_options() -> set[str]:
    def walk(command: Any) -> Iterator[str]:
        yield from _options(command)
        for inner in _commands(command).values():
            yield from walk(inner)

    return set(walk(_root()))


def _command_fault(line: str) -> str:
    """Why the command line cannot be right; arguments may be placeholders, and may be left out."""
    try:
        words = shlex.split(line.replace("…", "x"))[1:]
    except ValueError as error:
        return str(error)
    command, places = _root(), 0
    while words:
        word = words.pop(0)
        options = _options(command)
        if word.startswith("-") and word != "-":
            name, _, value = word.partition("=")
            if name not in options:
                return f"there is no option {name}"
            takes_value = options[name] is not None and not options[name].is_flag and not value
            if takes_value and (not words or words[0].startswith("-")):
                return f"{name} needs a value"
            words = words[1:] if takes_value else words
        elif _commands(command):
            if word not in _commands(command):
                return f"there is no command {word}"
            command = _commands(command)[word]
        else:
            places += 1
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    unlimited = any(argument.nargs == -1 for argument in arguments)
    return "" if unlimited or places <= len(arguments) else "too many arguments"


@cache
def _make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@cache
def _settings() -> set[str]:
    """The keys of the settings file, those in tables with the table's name, and the values that can be chosen."""
    found = set()
    for field in msgspec.structs.fields(Config):
        found.add(field.name)
        if isinstance(field.default, msgspec.Struct):
            found |= {f"{field.name}.{name}" for name in field.default.__struct_fields__}
            for inner in msgspec.structs.fields(type(field.default)):
                choices = (get_args(inner.type)[1].extra or {}).get("choices", ())
                found |= {f'"{choice}"' for choice in choices}
    return found


@cache
def _files() -> set[str]:
    """The files and folders of the home folder, what SQLite and the log put beside them, and the repository's own."""
    database, log = paths.database_file().name, paths.log_file()
    home = {database, log.name, log.parent.name, paths.config_file().name, paths.models_folder().name}
    home |= {paths.kept_context_folder().name, paths.kv_scales_folder().name}
    home.add(paths.packed_weights_folder().name)
    beside = {f"{database}-wal", f"{database}-shm", f"{log.name}.1", f"{log.name}.2"}
    return home | beside | {file.name for file in ROOT.glob("*.md")}


@cache
def _literals() -> set[str]:
    """Short texts in the code that are not for people: names of files, variables, settings' values."""
    found: set[str] = set()
    for tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                value = node.value
                if re.fullmatch(r"[\w.-]+", value) and re.search(r"[._]|^[A-Z]+$", value):
                    found.add(value)
    return found
