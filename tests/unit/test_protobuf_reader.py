"""The protobuf reader: every byte string is a message or a plain error, in bounded time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.model_folder.protobuf_reader import ProtobufError, ProtobufReader
from onnx_bytes import block, number, varint


def test_fields_come_in_order_with_their_places() -> None:
    data = (
        number(1, 300) + block(2, "hello") + varint(3 << 3 | 5) + b"abcd" + varint(4 << 3 | 1) + b"12345678"
    )
    fields = list(ProtobufReader(data).fields())
    assert [(field.number, field.wire) for field in fields] == [(1, 0), (2, 2), (3, 5), (4, 1)]
    assert fields[0].value == 300
    assert data[fields[1].start : fields[1].end] == b"hello"
    assert data[fields[3].start : fields[3].end] == b"12345678"


@pytest.mark.parametrize(
    "data",
    [
        b"\x08",  # a tag without a value
        b"\x08" + b"\xff" * 11,  # a varint without end
        b"\x12\x05abc",  # a length beyond the end
        b"\x12" + b"\xff" * 9 + b"\x01",  # a length of 2^64 - 1
        b"\x00\x00",  # field number 0
        b"\x0b\x0c",  # groups
        b"\x0f",  # wire type 7
        b"\x0d\x01",  # four bytes, of which one is there
    ],
)
def test_broken_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ProtobufError):
        list(ProtobufReader(data).fields())


def test_the_number_of_fields_is_bounded() -> None:
    with pytest.raises(ProtobufError, match="too many"):
        list(ProtobufReader(number(1, 1) * 11, max_fields=10).fields())


def test_integers_are_signed_packed_or_not() -> None:
    data = number(1, -2) + block(1, varint(5) + varint(-1))
    reader = ProtobufReader(data)
    assert [reader.integers(field) for field in reader.fields()] == [[-2], [5, -1]]


def test_a_list_of_integers_is_bounded() -> None:
    data = block(1, varint(1) * 65)
    reader = ProtobufReader(data)
    (field,) = reader.fields()
    with pytest.raises(ProtobufError, match="too long"):
        reader.integers(field)


@given(st.binary(max_size=200))
def test_noise_is_read_or_refused_and_nothing_else(data: bytes) -> None:
    reader = ProtobufReader(data)
    try:
        fields = list(reader.fields())
    except ProtobufError:
        return
    assert all(0 <= field.start <= field.end <= len(data) for field in fields)


@given(st.lists(st.tuples(st.integers(1, 2**29 - 1), st.integers(0, 2**64 - 1) | st.binary(max_size=20))))
def test_what_was_written_is_read(values: list[tuple[int, int | bytes]]) -> None:
    data = b"".join(block(n, v) if isinstance(v, bytes) else number(n, v) for n, v in values)
    read = [
        (field.number, field.value if field.wire == 0 else data[field.start : field.end])
        for field in ProtobufReader(data).fields()
    ]
    assert read == values
