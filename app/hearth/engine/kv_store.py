"""Keys and values of recent conversations on the disk, so that one goes on at once after a restart.

A file holds what one sequence computed: a line of JSON, the token ids as int32, then per layer its keys and its values,
[kv_heads, tokens, head_dim], each block followed by its CRC-32. Nothing is compressed: the mantissas of floats hardly
shrink, and reading them from a disk is far faster than computing them.

A file that is damaged, or of another model or layout, is removed when it is met.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import IO
from uuid import uuid4

import msgspec
import numpy as np

from hearth.engine.kv_cache import KVCache, KVShape
from hearth.engine.shared_length import shared_length

log = logging.getLogger(__name__)

# Computing fewer tokens anew is as quick as finding them.
LEAST_TOKENS = 256
_FORMAT = 1
_HEADER_MAX_BYTES = 4096
# Writing a file takes seconds.
_FORSAKEN_SECONDS = 3600


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line of a file.

    Attributes:
        model: a digest of the model.
        kv: number and shape of the blocks, and their type.
    """

    format: int
    model: str
    kv: tuple[int, int, int, str]
    tokens: int


class _Damaged(Exception):
    """A file that does not hold what it says."""


@dataclass(eq=False)
class Stored:
    """One file.

    Attributes:
        tokens: ids, int64.
    """

    file: Path
    tokens: np.ndarray


@dataclass
class KVStore:
    """The files of one model, in a folder that all models share.

    Attributes:
        folder: is made when something is first saved.
        model: a digest of the model whose keys and values these are.
        byte_limit: for all files in the folder; those not used for longest go first.
    """

    folder: Path
    model: str
    shape: KVShape
    byte_limit: int
    _stored: list[Stored] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read which sequences are there."""
        for part in self.folder.glob("*.part"):
            _remove_if_forsaken(part)
        for file in sorted(self.folder.glob("*.kv")):
            try:
                with file.open("rb") as stream:
                    header = _read_header(stream)
                    if header.model == self.model:
                        self._stored.append(Stored(file, self._read_tokens(stream, header)))
            except OSError as error:
                log.warning("%s cannot be read now: %s", file, error)
            except _Damaged as error:
                log.warning("%s is removed: %s", file, error)
                _remove(file)

    def longest_shared(self, prompt: np.ndarray) -> tuple[Stored | None, int]:
        """The stored sequence with the longest beginning that `prompt` (int64) shares, and its length."""
        lengths = [shared_length(prompt, stored.tokens) for stored in self._stored]
        longest = max(lengths, default=0)
        return (self._stored[lengths.index(longest)], longest) if longest >= LEAST_TOKENS else (None, 0)

    def load(self, stored: Stored, cache: KVCache, slot: int, length: int) -> bool:
        """Read the first `length` tokens into an empty slot; False where the file turns out to be damaged."""
        try:
            with stored.file.open("rb") as stream:
                tokens = self._read_tokens(stream, _read_header(stream))
                block = np.empty((self.shape.kv_heads, len(tokens), self.shape.head_dim), self.shape.dtype)
                for layer in range(self.shape.layers):
                    for buffers in (cache.keys, cache.values):
                        _read_block(stream, block)
                        buffers[layer].write(slot, block[:, :length])
        except (OSError, _Damaged) as error:
            self._stored.remove(stored)
            log.warning("%s is removed: %s", stored.file, error)
            _remove(stored.file)
            return False
        cache.lengths[slot] = length
        with suppress(OSError):  # another process may have made room
            os.utime(stored.file)
        return True

    def is_worth_saving(self, tokens: np.ndarray, used: int) -> bool:
        """Whether the sequence is long enough, fits beside what was used since, and is not stored already.

        Args:
            used: when it was last used, in nanoseconds since the epoch.
        """
        size = len(tokens) * self.shape.bytes_per_token
        newer = sum(bytes_ for when, bytes_, _ in self._files() if when > used)
        if len(tokens) < LEAST_TOKENS or newer + size > self.byte_limit:
            return False
        return self.longest_shared(tokens)[1] < len(tokens)

    def save(self, tokens: np.ndarray, cache: KVCache, slot: int, used: int) -> Iterator[None]:
        """Write a slot that holds `tokens`, a layer at each step, so that it can be left off for better work.

        The file is as old as its last use: what is saved later, in a quiet time, may have been used earlier.
        What is not driven to its end leaves no file. A full disk is told to the log alone: nothing is lost but time.
        """
        name = hashlib.sha256(self.model.encode() + tokens.astype("<i4").tobytes()).hexdigest()[:32]
        file = self.folder / f"{name}.kv"
        part = self.folder / f"{name}.{uuid4().hex}.part"  # another process may keep the same
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as stream:
                part.chmod(0o600)  # it tells what was talked about
                stream.write(msgspec.json.encode(self._header(len(tokens))) + b"\n")
                _write_block(stream, tokens.astype("<i4"))
                for layer in range(self.shape.layers):
                    for buffers in (cache.keys, cache.values):
                        _write_block(stream, buffers[layer].read(slot, len(tokens)))
                    yield
            os.utime(part, ns=(used, used))
            part.replace(file)
            self._add(Stored(file, tokens))
        except OSError as error:
            log.warning("keys and values are not kept: %s", error)
        finally:
            _remove(part)

    def _add(self, newest: Stored) -> None:
        """Note a new file; those that it holds whole, and those that no longer fit, are removed."""
        for each in list(self._stored):
            if shared_length(each.tokens, newest.tokens) == len(each.tokens):
                self._stored.remove(each)
                if each.file != newest.file:
                    _remove(each.file)
        self._stored.append(newest)
        self._make_room()

    def _header(self, tokens: int) -> Header:
        shape = self.shape
        layout = (2 * shape.layers, shape.kv_heads, shape.head_dim, shape.dtype.str)
        return Header(format=_FORMAT, model=self.model, kv=layout, tokens=tokens)

    def _read_tokens(self, stream: BufferedReader, header: Header) -> np.ndarray:
        """The token ids behind the header; layout and length are checked before memory is set aside by them."""
        if header != self._header(header.tokens) or header.tokens < LEAST_TOKENS:
            raise _Damaged("its layout is another one")
        checksums = 4 * (1 + 2 * self.shape.layers)
        length = stream.tell() + header.tokens * (4 + self.shape.bytes_per_token) + checksums
        if length != os.fstat(stream.fileno()).st_size:
            raise _Damaged("its length is wrong")
        tokens = np.empty(header.tokens, "<i4")
        _read_block(stream, tokens)
        return tokens.astype(np.int64)

    def _files(self) -> list[tuple[int, int, Path]]:
        """Every kept file, of all models: when it was used, its bytes, and where it is; the longest unused first."""
        files = []
        for file in self.folder.glob("*.kv"):
            with suppress(FileNotFoundError):  # another process may make room
                stat = file.stat()
                files.append((stat.st_mtime_ns, stat.st_size, file))
        return sorted(files)

    def _make_room(self) -> None:
        """Remove what was not used for longest, until the rest is within the limit."""
        files = self._files()
        whole = sum(size for _, size, _ in files)
        for _, size, file in files:
            if whole <= self.byte_limit:
                return
            _remove(file)
            self._stored = [each for each in self._stored if each.file != file]
            whole -= size


def _remove(file: Path) -> None:
    """Remove a file; one that cannot be removed now is met again."""
    with suppress(OSError):
        file.unlink(missing_ok=True)


def _remove_if_forsaken(part: Path) -> None:
    """Remove the file of a process that was killed; a younger one may still be written."""
    with suppress(OSError):
        if time.time() - part.stat().st_mtime > _FORSAKEN_SECONDS:
            part.unlink()


def _read_header(stream: BufferedReader) -> Header:
    line = stream.readline(_HEADER_MAX_BYTES)
    try:
        return msgspec.json.decode(line, type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _Damaged(str(error)) from error


def _read_block(stream: BufferedReader, block: np.ndarray) -> None:
    """Fill a contiguous array."""
    view = block.data.cast("B")
    if stream.readinto(view) != block.nbytes:
        raise _Damaged("it is too short")
    if stream.read(4) != zlib.crc32(view).to_bytes(4, "little"):
        raise _Damaged("a checksum is wrong")


def _write_block(stream: IO[bytes], block: np.ndarray) -> None:
    view = block.data.cast("B")
    stream.write(view)
    stream.write(zlib.crc32(view).to_bytes(4, "little"))
