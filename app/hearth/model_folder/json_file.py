"""JSON files of a model, which nobody vouches for: capped in size and safe in depth."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TypeVar

import msgspec

from hearth.errors import ModelFileInvalid, because
from hearth.i18n import tr
from hearth.model_folder.lfs_pointer import check_no_pointer

T = TypeVar("T")


def read_json(path: Path, kind: type[T], max_bytes: int) -> T:
    """The file as `kind`; parts that `kind` does not name are checked to be JSON and skipped.

    Raises:
        ModelFileInvalid: too large, not JSON, not of this shape, or unreadable.
    """
    return decode_json(path, read_capped(path, max_bytes), kind)


def write_json(path: Path, value: msgspec.Struct) -> None:
    """Write `value` whole or not at all; the folder is made where it is missing.

    Raises:
        OSError: it cannot be written; an older file is then untouched.
    """
    # Another thread or process may write the same file at this moment.
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as file:
            file.write(msgspec.json.encode(value))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def decode_json(path: Path, data: bytes, kind: type[T]) -> T:
    """`data`, which came from `path`, as `kind`."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise ModelFileInvalid(
            file=str(path), reason=tr("it does not fit the format ({detail})", detail=error)
        ) from error
    except RecursionError as error:
        raise ModelFileInvalid(file=str(path), reason=tr("it is nested too deeply")) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        check_no_pointer(path, data)
        raise ModelFileInvalid(
            file=str(path), reason=tr("it is not JSON ({detail})", detail=error)
        ) from error


def read_capped(path: Path, max_bytes: int) -> bytes:
    """The file's bytes.

    Raises:
        ModelFileInvalid: it has more than `max_bytes`, or cannot be read.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise ModelFileInvalid(file=str(path), reason=because(error)) from error
    if len(data) > max_bytes:
        raise ModelFileInvalid(file=str(path), reason=tr("it has more than {size} MB", size=max_bytes >> 20))
    return data


def _open_at_once(path: str, flags: int) -> int:
    """Open a file without waiting: where somebody has put a pipe, nobody may ever write to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
