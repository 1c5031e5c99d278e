"""The few pieces of the protobuf wire format that a rewritten graph needs.

The format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

_VARINT, _MESSAGE = 0, 2  # wire types


def message_field(number: int, payload: bytes) -> bytes:
    """A field that is a message, a string or bytes."""
    return _varint(number << 3 | _MESSAGE) + _varint(len(payload)) + payload


def number_field(number: int, value: int) -> bytes:
    """A field that is a whole number, not negative."""
    return _varint(number << 3 | _VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)
