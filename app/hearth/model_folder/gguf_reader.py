"""The header of a GGUF file, read with every count, length and place checked against the file's size.

Specification: ggml's `docs/gguf.md`, versions 2 and 3 (and 1, whose counts have 32 bits). Nothing is believed that the
file does not have room for, so a header that lies costs no memory.
"""

from __future__ import annotations

import mmap
import struct
from typing import Final

import msgspec

MAGIC: Final = b"GGUF"
_MOST_KEYS = 4096
_MOST_TENSORS = 1 << 17
_LONGEST_NAME = 65_535
_LONGEST_KEPT = 16 << 20  # a chat template is a few kilobytes
_MOST_KEPT = 64 << 20  # all texts together
_MOST_ENTRIES = 1 << 24  # of all arrays of texts together, and of arrays
_MOST_DIMENSIONS = 4
_DEEPEST = 4  # arrays of arrays

_SCALARS: Final[dict[int, str]] = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING, _ARRAY = 8, 9

Value = int | float | bool | str


class HeaderInvalid(ValueError):
    """What is wrong with a header, in a few English words."""


class Tensor(msgspec.Struct, frozen=True):
    """A tensor's entry: `shape` from the innermost dimension outwards, `offset` from the start of the data."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int


class Header(msgspec.Struct, frozen=True):
    """What stands before the tensors' data.

    Attributes:
        values: by key, without arrays.
        lengths: of the arrays, by key.
        places: where their entries begin, in bytes.
        data_start: where the tensors' data begins, in bytes.
    """

    version: int
    values: dict[str, Value]
    lengths: dict[str, int]
    places: dict[str, int]
    tensors: tuple[Tensor, ...]
    data_start: int

    def text(self, key: str) -> str:
        value = self.values.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> int:
        """A whole number that is not negative; 0 where there is none."""
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, int):
            return 0
        return max(0, value)

    def flag(self, key: str) -> bool | None:
        value = self.values.get(key)
        return value if isinstance(value, bool) else None


class HeaderReader:
    """Walks over a header; `data` is the file, as bytes or mapped."""

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self._data = data
        self._size = len(data)
        self._at = 0
        self._count = "<Q"
        self._kept = self._entries = 0

    def read(self) -> Header:
        """The header.

        Raises:
            HeaderInvalid: it is cut off, or says what cannot be.
        """
        if self._bytes(4) != MAGIC:
            raise HeaderInvalid("it is no GGUF file")
        version = self._number("<I")
        if version and not version & 0xFFFF:
            raise HeaderInvalid("it is for processors of the other byte order (big endian)")
        if version not in (1, 2, 3):
            raise HeaderInvalid(f"it has version {version} of GGUF, which is not known")
        self._count = "<I" if version == 1 else "<Q"
        tensors = self._length(_MOST_TENSORS, least=8, what="tensors")
        keys = self._length(_MOST_KEYS, least=9, what="keys")
        values: dict[str, Value] = {}
        lengths: dict[str, int] = {}
        places: dict[str, int] = {}
        for _ in range(keys):
            key = self._string(_LONGEST_NAME)
            if key in values or key in lengths:
                raise HeaderInvalid("a key stands in it twice")
            kind = self._number("<I")
            if kind == _ARRAY:
                places[key] = self._at + 4 + struct.calcsize(self._count)
                lengths[key] = self._skip_array(1)
            elif kind == _STRING:
                values[key] = self._string(_LONGEST_KEPT)
            else:
                values[key] = self._scalar(kind)
        entries = tuple(self._tensor() for _ in range(tensors))
        alignment = values.get("general.alignment", 32)
        if isinstance(alignment, bool) or not isinstance(alignment, int) or not 1 <= alignment <= 1 << 16:
            raise HeaderInvalid("its alignment cannot be")
        if alignment & (alignment - 1):
            raise HeaderInvalid("its alignment is no power of two")
        return Header(version, values, lengths, places, entries, -(-self._at // alignment) * alignment)

    def text_at(self, header: Header, key: str, index: int) -> str:
        """One entry of an array of texts; empty where there is none. `header` is what `read` gave."""
        if not 0 <= index < header.lengths.get(key, 0):
            return ""
        self._at = header.places[key]
        self._skip_strings(index)
        return self._string(_LONGEST_NAME)

    def _scalar(self, kind: int) -> Value:
        form = _SCALARS.get(kind)
        if form is None:
            raise HeaderInvalid("a value has an unknown type")
        (value,) = struct.unpack(form, self._bytes(struct.calcsize(form)))
        return value  # type: ignore[no-any-return]

    def _skip_array(self, depth: int) -> int:
        """Step over an array; how many entries it has."""
        if depth > _DEEPEST:
            raise HeaderInvalid("its arrays are nested too deeply")
        kind = self._number("<I")
        if kind == _STRING:
            length = self._length(_MOST_ENTRIES, least=struct.calcsize(self._count), what="texts")
            self._walk(length)
            self._skip_strings(length)
        elif kind == _ARRAY:
            length = self._length(_MOST_ENTRIES, least=4, what="arrays")
            self._walk(length)
            for _ in range(length):
                self._skip_array(depth + 1)
        else:
            form = _SCALARS.get(kind)
            if form is None:
                raise HeaderInvalid("an array has an unknown type")
            width = struct.calcsize(form)
            length = self._length(self._size, least=width, what="numbers")
            self._bytes_skipped(length * width)
        return length

    def _walk(self, count: int) -> None:
        """So many entries are looked at one by one, which takes time."""
        self._entries += count
        if self._entries > _MOST_ENTRIES:
            raise HeaderInvalid("its arrays are too long")

    def _skip_strings(self, count: int) -> None:
        unpack, width, data, at = (
            struct.Struct(self._count).unpack_from,
            struct.calcsize(self._count),
            self._data,
            self._at,
        )
        for _ in range(count):
            if at + width > self._size:
                raise HeaderInvalid("it is cut off")
            (length,) = unpack(data, at)
            at += width + length
            if at > self._size:
                raise HeaderInvalid("a text in it is longer than the file")
        self._at = at

    def _tensor(self) -> Tensor:
        name = self._string(_LONGEST_NAME)
        dimensions = self._number("<I")
        if not 1 <= dimensions <= _MOST_DIMENSIONS:
            raise HeaderInvalid("a tensor has an impossible number of dimensions")
        shape = tuple(self._number(self._count) for _ in range(dimensions))
        return Tensor(name, shape, self._number("<I"), self._number("<Q"))

    def _string(self, longest: int) -> str:
        length = self._number(self._count)
        if length > self._size - self._at:
            raise HeaderInvalid("a text in it is longer than the file")
        self._kept += length
        if length > longest or self._kept > _MOST_KEPT:
            raise HeaderInvalid("a text in it is too long")
        return self._bytes(length).decode("utf-8", errors="replace")

    def _length(self, most: int, *, least: int, what: str) -> int:
        """A count of things that take at least `least` bytes each."""
        count = self._number(self._count)
        if count > most or count * least > self._size - self._at:
            raise HeaderInvalid(f"it claims to have {count} {what}, and has no room for them")
        return count

    def _number(self, form: str) -> int:
        (value,) = struct.unpack(form, self._bytes(struct.calcsize(form)))
        return int(value)

    def _bytes(self, count: int) -> bytes:
        start = self._bytes_skipped(count)
        return self._data[start : start + count]

    def _bytes_skipped(self, count: int) -> int:
        start = self._at
        if count > self._size - start:
            raise HeaderInvalid("it is cut off")
        self._at += count
        return start
