"""Every text that a user sees can be translated, and is: the code, the catalogues and what they compile to agree."""

from __future__ import annotations

import ast
import io
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

import hearth
from hearth.errors import HearthError
from hearth.i18n import LANGUAGES
from hearth.paths import resource

CODE = Path(hearth.__file__).parent
KEYWORDS = {"tr": None, "mark": None, "ntr": (1, 2)}  # as in the Makefile
TRANSLATED = sorted(set(LANGUAGES) - {"en"})

HAN = r"[\u4e00-\u9fff]"
ACCELERATOR = re.compile(r"&(\w)")
KEYS = re.compile(r"\b(?:Ctrl|Shift|Alt)\+\w+|\bF\d+\b|(?<=[(（])(?:Enter|Esc|End)(?=[)）])")


def _folder(language: str) -> Path:
    return resource("translations", language, "LC_MESSAGES")


def _catalogue(language: str) -> Catalog:
    with (_folder(language) / "hearth.po").open("rb") as file:
        return read_po(file)


def _texts_in_the_code() -> list[str | tuple[str, ...]]:
    found = extract_from_dir(CODE, keywords=KEYWORDS)
    return list(dict.fromkeys(text for _file, _line, text, _comments, _context in found))


def _messages(language: str) -> list[Message]:
    return [message for message in _catalogue(language) if message.id]


def _pairs(language: str) -> Iterator[tuple[str, str]]:
    """Each text and its translation; of a text with a plural, the plural."""
    for message in _messages(language):
        text = message.id if isinstance(message.id, str) else message.id[-1]
        yield text, _forms(message)[-1]


def _forms(message: Message) -> list[str]:
    """The translation for each plural form, or the only one."""
    forms = message.string or ""
    return [forms] if isinstance(forms, str) else list(forms)


def _fields(text: str) -> list[str]:
    return sorted(
        f"{name}!{conversion}:{spec}"
        for _before, name, spec, conversion in string.Formatter().parse(text)
        if name is not None
    )


def test_there_is_a_catalogue_for_each_language() -> None:
    assert sorted(folder.name for folder in resource("translations").iterdir()) == TRANSLATED


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_catalogue_has_the_texts_of_the_code_in_their_order(language: str) -> None:
    """`make translations` makes it so."""
    assert [message.id for message in _messages(language)] == _texts_in_the_code()
    assert not _catalogue(language).obsolete


def test_every_marked_text_reaches_the_catalogues() -> None:
    """It is a literal, and not inside an f-string, where the extraction of Python 3.11 does not look."""
    extracted = set(_texts_in_the_code())
    marked = {
        tuple(_literal(argument) for argument in call.args[:2]) if name == "ntr" else _literal(call.args[0])
        for file in sorted(CODE.rglob("*.py"))
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and (name := _name(call.func)) in KEYWORDS
        if name == "ntr" or _literal(call.args[0]) is not None
    }
    assert marked - extracted == set()
    assert len(marked) > 400


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_translated_in_each_of_its_forms(language: str) -> None:
    forms = _catalogue(language).num_plurals
    assert {"en": 2, "zh": 1}[language] == forms
    left = [
        message.id
        for message in _messages(language)
        if message.fuzzy
        or not all(_forms(message))
        or len(_forms(message)) != (1 if isinstance(message.id, str) else forms)
    ]
    assert left == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_what_is_filled_in_is_the_same(language: str) -> None:
    assert [pair for pair in _pairs(language) if _fields(pair[0]) != _fields(pair[1])] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_lines_ellipses_and_keys_are_the_same(language: str) -> None:
    def marks(text: str) -> tuple[int, bool, list[str], bool]:
        return (
            text.count("\n"),
            text.endswith("…"),
            sorted(KEYS.findall(text)),
            text.strip().endswith((".", "。")),
        )

    assert [pair for pair in _pairs(language) if marks(pair[0]) != marks(pair[1])] == []


def test_chinese_accelerators_are_the_english_letters_in_brackets() -> None:
    for text, translation in _pairs("zh"):
        letter = ACCELERATOR.search(text)
        if letter is None:
            assert "&" not in translation, text
        else:
            assert re.search(rf"\(&{letter[1].upper()}\)…?$", translation), text
            assert translation.count("&") == 1, text


def test_chinese_punctuation_is_full_width_and_latin_stands_apart() -> None:
    wrong = re.compile(
        rf"{HAN}[,;:!?()]|[,;:!?()]{HAN}|{HAN}\.(?!\w)|{HAN}[A-Za-z0-9]|[A-Za-z0-9]{HAN}|\.\.\."
    )
    texts = [re.sub(r"\(&\w\)", "", translation) for _text, translation in _pairs("zh")]
    assert [text for text in texts if wrong.search(text)] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_what_is_read_is_what_the_catalogue_compiles_to(language: str) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, _catalogue(language))
    assert (_folder(language) / "hearth.mo").read_bytes() == compiled.getvalue()


# Texts that are not marked for translation

SHOWING = frozenset(
    {
        *(
            "QLabel",
            "QPushButton",
            "QToolButton",
            "QRadioButton",
            "QCheckBox",
            "QGroupBox",
            "QAction",
            "QMenu",
        ),
        *("addAction", "addMenu", "addRow", "addItem", "addItems", "addTab", "addButton", "insertItem"),
        *("setText", "setPlainText", "setHtml", "setMarkdown", "setPlaceholderText", "setLabelText"),
        *("setToolTip", "setStatusTip", "setWhatsThis", "setAccessibleName", "setAccessibleDescription"),
        *("setTitle", "setWindowTitle", "setInformativeText", "setDetailedText", "setHeaderLabels"),
        *("setSpecialValueText", "setPrefix", "setSuffix", "setFormat", "setTabText", "setItemText"),
        *("information", "warning", "critical", "question", "about", "getText"),
        *("getExistingDirectory", "getOpenFileName", "getSaveFileName", "show_message", "showMessage"),
        *("write", "note", "status", "progress", "write_table", "write_pairs", "write_heading"),
        *(
            "Argument",
            "Option",
            "command",
            "callback",
            "add_typer",
            "echo",
            "secho",
            "confirm",
            "prompt",
            "print",
        ),
    }
)
"""Calls that put their arguments before the user's eyes, or read them out."""

SHOWN_KEYWORDS = frozenset(
    {"help", "short_help", "epilog", "metavar", "text", "title", "caption", "label", "tip"}
)

NAMES = ("Hearth", "hearth help", "hearth", "onnxruntime-genai", "ONNX Runtime", "PySide6", "Python")
"""What is called the same in every language."""


def _unmarked(source: str) -> list[str]:
    """Literals with words in calls that show them, and that no function of `hearth.i18n` has gone over."""
    found = []
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call) or _name(call.func) not in SHOWING:
            continue
        if isinstance(call.func, ast.Attribute) and _name(call.func.value).strip("_") == "log":
            continue
        shown = [*call.args, *(word.value for word in call.keywords if word.arg in SHOWN_KEYWORDS)]
        if _name(call.func) in ("Argument", "Option", "command", "add_typer"):
            shown = shown[len(call.args) :]  # declarations: names of options and commands
        elif _name(call.func) == "addItem":
            shown = shown[:1]  # what follows is data
        found += [text for argument in shown for text in _literals(argument) if _has_words(text)]
    return found


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _literals(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case (
            ast.JoinedStr(values=parts)
            | ast.Tuple(elts=parts)
            | ast.List(elts=parts)
            | ast.BoolOp(values=parts)
        ):
            for part in parts:
                yield from _literals(part)
        case ast.BinOp(left=first, right=second) | ast.IfExp(body=first, orelse=second):
            yield from _literals(first)
            yield from _literals(second)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format")):
            yield text


def _has_words(text: str) -> bool:
    text = re.sub(r"<[^>]*>|&\w+;|\{\w*\}", "", text)
    for name in NAMES:
        text = text.replace(name, "")
    return re.search(r"[A-Za-z]{2}", text) is not None


@pytest.mark.parametrize(
    ("source", "unmarked"),
    [
        ('label.setText("Ready")', ["Ready"]),
        ('QLabel("Ready", self)', ["Ready"]),
        ('QLabel(tr("Ready"), self)', []),
        ('QLabel(tr("Ready") + " now" if ready else "", self)', [" now"]),
        ('label.setText(f"{n} words")', [" words"]),
        ('label.setText("{} words".format(n))', ["{} words"]),
        ('label.setText("<b>·</b>")', []),
        ('label.setText(texts["ready"])', []),
        ('menu.addAction("Quit", self.quit)', ["Quit"]),
        ('typer.Option("--json", help="Write JSON")', ["Write JSON"]),
        ('typer.Option("--json", help=tr("Write JSON"))', []),
        ('log.warning("it failed")', []),
        ('self.setWindowTitle("Hearth")', []),
    ],
)
def test_what_is_not_marked_for_translation_is_found(source: str, unmarked: list[str]) -> None:
    assert _unmarked(source) == unmarked


@pytest.mark.parametrize("front", ["ui", "cli"])
def test_no_text_is_shown_that_is_not_marked_for_translation(front: str) -> None:
    files = sorted((CODE / front).rglob("*.py"))
    assert files
    unmarked = {str(file.relative_to(CODE)): _unmarked(file.read_text(encoding="utf-8")) for file in files}
    assert {file: texts for file, texts in unmarked.items() if texts} == {}


def test_the_reasons_of_errors_are_marked_too() -> None:
    errors = {error.__name__ for error in HearthError.by_code.values()}
    unmarked = {
        f"{file.relative_to(CODE)}: {text}"
        for file in sorted(CODE.rglob("*.py"))
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and _name(call.func) in errors
        for value in call.keywords
        for text in _literals(value.value)
        if _has_words(text)
    }
    assert unmarked == set()
