"""A reader of the protobuf wire format that trusts nothing and allocates next to nothing.

It walks the fields of one message at a time over a buffer (an mmap of the file), skips payloads by their length
without reading them, and bounds the number of fields, so that a hostile file costs a bounded time and no memory.
Hearth does not ship the `onnx` package for this: it is 20 MB in the installer, and a file must be checked before
native code sees it. The format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

from hearth.i18n import tr

MAX_FIELDS = 5_000_000

Buffer = mmap.mmap | bytes


class ProtobufError(Exception):
    """The bytes are not a message; the text says why, in plain words."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message.

    Attributes:
        number: the field's number, from 1.
        wire: 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes.
        value: the varint, for wire type 0, as an unsigned 64-bit integer; else 0.
        start, end: the payload's place in the buffer.
    """

    number: int
    wire: int
    value: int
    start: int
    end: int


class ProtobufReader:
    """Reads messages out of one buffer, within one budget of fields."""

    def __init__(self, buffer: Buffer, max_fields: int = MAX_FIELDS) -> None:
        self._buffer = buffer
        self._left = max_fields

    def fields(self, start: int = 0, end: int | None = None) -> Iterator[Field]:
        """The fields of the message in `buffer[start:end]`, in order.

        Raises:
            ProtobufError: the bytes break the format, or there are too many fields.
        """
        position, stop = start, len(self._buffer) if end is None else end
        while position < stop:
            self._left -= 1
            if self._left < 0:
                raise ProtobufError(tr("it has too many parts"))
            tag, position = self._varint(position, stop)
            number, wire = tag >> 3, tag & 7
            if not 0 < number < 1 << 29:
                raise ProtobufError(tr("it is not an ONNX graph (at byte {byte})", byte=position))
            value, begin = 0, position
            if wire == 0:
                value, position = self._varint(position, stop)
            elif wire == 1:
                position += 8
            elif wire == 2:
                length, begin = self._varint(position, stop)
                position = begin + length
            elif wire == 5:
                position += 4
            else:  # groups ended with proto2, and 6 and 7 never were
                raise ProtobufError(tr("it is not an ONNX graph (at byte {byte})", byte=position))
            if position > stop:
                raise ProtobufError(tr("it breaks off, or is not an ONNX graph (at byte {byte})", byte=begin))
            yield Field(number, wire, value, begin, position)

    def text(self, field: Field, limit: int = 4096) -> str:
        """A string field; at most `limit` bytes of UTF-8."""
        if field.wire != 2:
            raise ProtobufError(tr("a name in it is not text (at byte {byte})", byte=field.start))
        if field.end - field.start > limit:
            raise ProtobufError(tr("a name in it is too long (at byte {byte})", byte=field.start))
        try:
            return self._buffer[field.start : field.end].decode()
        except UnicodeDecodeError as error:
            raise ProtobufError(tr("a name in it is not text (at byte {byte})", byte=field.start)) from error

    def integers(self, field: Field, limit: int = 64) -> list[int]:
        """One occurrence of a repeated int64 field, packed or not; at most `limit` values."""
        if field.wire == 0:
            return [_signed(field.value)]
        if field.wire != 2:
            raise ProtobufError(tr("a number in it is not a number (at byte {byte})", byte=field.start))
        values: list[int] = []
        position = field.start
        while position < field.end:
            if len(values) == limit:
                raise ProtobufError(tr("a list in it is too long (at byte {byte})", byte=field.start))
            value, position = self._varint(position, field.end)
            values.append(_signed(value))
        return values

    def _varint(self, position: int, stop: int) -> tuple[int, int]:
        buffer, value = self._buffer, 0
        for shift in range(0, 70, 7):
            if position >= stop:
                raise ProtobufError(tr("it breaks off (at byte {byte})", byte=position))
            byte = buffer[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, position
        raise ProtobufError(tr("it is not an ONNX graph (at byte {byte})", byte=position))


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
