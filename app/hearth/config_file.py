"""Changes to the settings file `config.toml` that leave everything else in it as it stands, comments too."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import tomlkit
from tomlkit.container import Container
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Comment, Item, Table, Trivia

from hearth.config import Config, check_key, default_text, parse_config, read_text, table_text
from hearth.errors import ConfigInvalid, writing_failed
from hearth.i18n import tr

Body = list[tuple[Any, Item]]


def change_config(path: Path, changes: Mapping[str, object | None]) -> Config:
    """Set keys of the settings file, as `{"defaults.top_p": 0.9}`; None brings a key's default back.

    A value takes the place of the line `#key = default` where there is one. The file is written whole or not at all.

    Returns:
        The settings as they are now, with what was changed by hand since they were last read.

    Raises:
        ConfigUnknownKey, ConfigInvalid: a key or value has no meaning, or the file is damaged; it is not touched.
        HomeUnwritable, DiskFull: it cannot be written.
    """
    for key in changes:
        check_key(key, path)
    old = read_text(path)
    windows = old is not None and "\r\n" in old
    text = default_text() if old is None else old.replace("\r\n", "\n")
    parse_config(text, path)
    try:
        for key, value in changes.items():
            text = _reset(text, key) if value is None else _set(text, key, value)
    except TOMLKitError as error:  # it is stricter than what read the file
        raise ConfigInvalid(
            path=str(path), reason=tr("it is not valid TOML: {detail}", detail=error)
        ) from error
    config = parse_config(text, path)
    if windows:
        text = text.replace("\n", "\r\n")
    if text != old:
        _write(path, text)
    return config


def _set(text: str, key: str, value: object) -> str:
    table_name, _, name = key.rpartition(".")
    document = tomlkit.parse(text)
    if table_name and table_name not in document:
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        document = tomlkit.parse(text + gap + table_text(table_name))
    table: Any = document[table_name] if table_name else document
    if name in table:
        table[name] = value
    elif (comment := _commented(_body(table), name)) is not None:
        comment.trivia.comment = f"{name} = {tomlkit.item(value).as_string()}"
    else:
        table[name] = value
    return tomlkit.dumps(document)


def _reset(text: str, key: str) -> str:
    table_name, _, name = key.rpartition(".")
    document = tomlkit.parse(text)
    table: Any = document.get(table_name, {}) if table_name else document
    if name not in table:
        return text
    body = _body(table)
    if not body or _commented(body, name) is not None:
        del table[name]
        return tomlkit.dumps(document)
    place = next(index for index, (found, _) in enumerate(body) if found is not None and found.key == name)
    trivia = body[place][1].trivia
    default = msgspec.json.encode(_default(key)).decode()
    remark = f"{trivia.comment_ws}{trivia.comment}"
    del table[name]
    body[place] = None, Comment(Trivia(trivia.indent, "", f"#{name} = {default}{remark}", trivia.trail))
    return tomlkit.dumps(document)


def _body(table: Any) -> Body:
    """The lines of a table that has lines of its own; of others (inline, dotted, in pieces) none."""
    if isinstance(table, Container):
        return table.body
    if isinstance(table, Table) and table.display_name is not None:
        return table.value.body
    return []


def _commented(body: Body, name: str) -> Comment | None:
    """The line `#name = …` that stands for a default."""
    pattern = re.compile(rf"#{re.escape(name)}\s*=")
    return next(
        (item for _, item in body if isinstance(item, Comment) and pattern.match(item.trivia.comment)), None
    )


def _default(key: str) -> object:
    value: Any = Config()
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _write(path: Path, text: str) -> None:
    target = path.resolve()  # a link, as those who keep their settings in one place have, stays one
    temporary = target.with_name(f"{target.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise writing_failed(target.parent, error) from error
