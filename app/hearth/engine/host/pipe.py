"""Frames on a byte stream: a 4-byte little-endian length, then that many bytes of MessagePack."""

from __future__ import annotations

import struct
from threading import Lock
from typing import IO, Generic, TypeVar

import msgspec

from hearth.engine.host.protocol import MAX_FRAME_BYTES
from hearth.errors import RequestInvalid
from hearth.i18n import tr

_LENGTH = struct.Struct("<I")
Incoming = TypeVar("Incoming")


class PipeClosed(Exception):
    """The other end is gone."""


class FrameInvalid(Exception):
    """A frame that is not a message of this protocol; the stream itself is still in step.

    Attributes:
        request_id: the request that it speaks of, where that can be read.
    """

    def __init__(self, reason: str, request_id: str | None) -> None:
        super().__init__(reason)
        self.request_id = request_id


class Pipe(Generic[Incoming]):
    """One end of the conversation. `send` may be called from any thread, `receive` from one.

    Args:
        reader, writer: binary streams.
        incoming: the union of messages that arrive at this end.
    """

    def __init__(self, reader: IO[bytes] | None, writer: IO[bytes] | None, incoming: object) -> None:
        if reader is None or writer is None:
            raise ValueError("a pipe needs both ends")
        self._reader = reader
        self._writer = writer
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(incoming)
        self._write_lock = Lock()

    def send(self, message: msgspec.Struct) -> None:
        """Encode and write. Raises PipeClosed, and RequestInvalid where the message cannot be encoded."""
        self.write(self.frame(message))

    def frame(self, message: msgspec.Struct) -> bytes:
        """The bytes of a message. Raises RequestInvalid where it cannot be encoded or is too large."""
        try:
            body = self._encoder.encode(message)
        except (UnicodeEncodeError, OverflowError, TypeError) as error:
            raise RequestInvalid(reason=str(error)) from error
        if len(body) > MAX_FRAME_BYTES:
            raise RequestInvalid(
                reason=tr("it is larger than {megabytes} MB", megabytes=MAX_FRAME_BYTES >> 20)
            )
        return _LENGTH.pack(len(body)) + body

    def write(self, frame: bytes) -> None:
        """Blocks while the other end does not read. Raises PipeClosed."""
        with self._write_lock:
            try:
                self._writer.write(frame)
                self._writer.flush()
            except (OSError, ValueError) as error:  # ValueError: closed at this end
                raise PipeClosed from error

    def receive(self) -> Incoming:
        """The next message; blocks. Raises PipeClosed or FrameInvalid."""
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        if length > MAX_FRAME_BYTES:
            raise PipeClosed(f"a frame of {length} bytes")
        body = self._read(length)
        try:
            message: Incoming = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FrameInvalid(str(error), _request_id(body)) from error
        return message

    def _read(self, length: int) -> bytes:
        try:
            data = self._reader.read(length)
        except (OSError, ValueError) as error:
            raise PipeClosed from error
        if len(data) < length:
            raise PipeClosed
        return data


class _Named(msgspec.Struct):
    request_id: str | None = None


def _request_id(body: bytes) -> str | None:
    try:
        return msgspec.msgpack.decode(body, type=_Named).request_id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
