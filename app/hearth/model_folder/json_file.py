"""JSON files of a model, which nobody vouches for: capped in size and safe in depth."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from hearth.errors import ModelFileInvalid, because
from hearth.i18n import tr

T = TypeVar("T")


def read_json(path: Path, kind: type[T], max_bytes: int) -> T:
    """The file as `kind`; parts that `kind` does not name are checked to be JSON and skipped.

    Raises:
        ModelFileInvalid: too large, not JSON, not of this shape, or unreadable.
    """
    return decode_json(path, read_capped(path, max_bytes), kind)


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
        raise ModelFileInvalid(
            file=str(path), reason=tr("it is not JSON ({detail})", detail=error)
        ) from error


def read_capped(path: Path, max_bytes: int) -> bytes:
    """The file's bytes.

    Raises:
        ModelFileInvalid: it has more than `max_bytes`, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise ModelFileInvalid(file=str(path), reason=because(error)) from error
    if len(data) > max_bytes:
        raise ModelFileInvalid(file=str(path), reason=tr("it has more than {size} MB", size=max_bytes >> 20))
    return data
