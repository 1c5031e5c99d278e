"""What helps to find a fault, as text to copy: versions, machine and models, never what a person or a model wrote."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from hearth import __version__, paths
from hearth.config import Config
from hearth.errors import HearthError
from hearth.hardware.machine import read_machine
from hearth.hardware.probe import run_probe
from hearth.i18n import tr
from hearth.services.engine_options import engine_options

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth

_LIBRARIES = ("PySide6-Essentials", "numpy", "tokenizers", "jinja2", "sqlalchemy", "msgspec")
# The texts among the settings that say nothing about their owner; those with choices need not stand here.
_HARMLESS = frozenset({"language", "defaults.model", "folders.models"})


def diagnostics(hearth: Hearth | None) -> str:
    """The report, a line for each fact. Asks a process and reads files: takes a second, not for a main thread.

    Args:
        hearth: None where it could not be opened.
    """
    machine, runtime = read_machine(), run_probe()
    lines = [
        _line("Hearth", __version__),
        _line(tr("System"), machine.system),
        _line(tr("Processor"), f"{machine.cpu} ({' '.join(machine.instruction_sets)})"),
        _line(tr("Cores"), tr("{usable} of {all} usable", usable=machine.usable_cores, all=machine.cores)),
        _line(
            tr("Memory"),
            tr(
                "{free} of {all} free",
                free=_size(machine.available_bytes),
                all=_size(machine.memory_bytes),
            ),
        ),
        _line("Python", platform.python_version()),
        _line("ONNX Runtime", runtime.problem or f"{runtime.version} ({', '.join(runtime.providers)})"),
        _line(tr("Libraries"), ", ".join(_libraries())),
        _line(tr("Home"), str(paths.home())),
    ]
    if hearth is None:
        lines.append(tr("Hearth could not be opened."))
    else:
        options = engine_options(hearth.config.engine, machine)
        lines += [
            _line(tr("Threads"), str(options.threads)),
            _line(tr("Keys and values"), _size(options.kv_cache_bytes)),
            *_database(hearth),
            "",
            tr("Settings that differ from the defaults:"),
            *(_bullets(_settings(hearth))),
            "",
            tr("Models:"),
            *(_bullets(_models(hearth))),
        ]
    return _without_user_folder("\n".join(lines))


def _line(name: str, value: str) -> str:
    return f"{name}: {value}"


def _bullets(lines: Iterator[str]) -> list[str]:
    return [f"- {line}" for line in lines] or ["–"]


def _libraries() -> Iterator[str]:
    for name in _LIBRARIES:
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except PackageNotFoundError:  # the packaged app carries no metadata
            continue


def _database(hearth: Hearth) -> Iterator[str]:
    try:
        size = _size(paths.database_file().stat().st_size)
        count = str(hearth.conversations.count())
    except (HearthError, OSError) as error:
        yield _line(tr("Database"), _problem(error))
    else:
        yield _line(tr("Database"), size)
        yield _line(tr("Conversations"), count)


def _settings(hearth: Hearth) -> Iterator[str]:
    if hearth.config_error:
        yield f"config.toml: {_problem(hearth.config_error)}"
    yield from _differing(hearth.config, Config())


def _differing(config: msgspec.Struct, default: msgspec.Struct, table: str = "") -> Iterator[str]:
    for field in msgspec.structs.fields(config):
        name = f"{table}{field.name}"
        value, standard = getattr(config, field.name), getattr(default, field.name)
        if isinstance(value, msgspec.Struct):
            yield from _differing(value, standard, f"{name}.")
        elif value != standard:
            shown = _shown(value) if _is_harmless(name, field.type) else tr("(set, not shown)")
            yield f"{name} = {shown}"


def _shown(value: object) -> str:
    # Before it is encoded: the user's folder would not be known in C:\\Users\\name.
    return msgspec.json.encode(_without_user_folder(value) if isinstance(value, str) else value).decode()


def _is_harmless(name: str, annotation: Any) -> bool:
    kind, meta = get_args(annotation)
    return kind is not str or name in _HARMLESS or "choices" in (meta.extra or {})


def _models(hearth: Hearth) -> Iterator[str]:
    states = {status.name: status for status in hearth.pool.statuses()}
    try:
        entries = hearth.models.list()
    except HearthError as error:
        yield _problem(error)
        return
    for entry in entries:
        status = states.get(entry.name)
        state = f", {status.state.value}" if status else ""
        failure = f" ({_problem(status.error)})" if status and status.error else ""
        yield f"{entry.name}: {_size(entry.bytes)}{state}{failure}"


def _problem(error: Exception) -> str:
    """What failed, by its code: the words of an error may quote a file."""
    return error.code if isinstance(error, HearthError) else type(error).__name__


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _without_user_folder(text: str) -> str:
    """The user's own folder, whose name is often theirs, becomes `~`."""
    home = Path.home()
    if home == Path(home.anchor):
        return text
    # On Windows a path may be written with either stroke, and in small letters or large ones.
    folder = r"[\\/]".join(re.escape(part.strip(r"\/")) for part in home.parts)
    flags = re.IGNORECASE if sys.platform == "win32" else re.NOFLAG
    return re.sub(folder + r"(?=[\\/\s\"']|$)", "~", text, flags=flags)
